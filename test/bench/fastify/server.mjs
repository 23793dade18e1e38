// The peer: the same routes on Fastify and better-sqlite3, as one would write them, and tuned.
//
// usage: node server.mjs PORT DATABASE idiomatic|tuned
//
// Both: WAL, synchronous FULL, prepared statements, response schemas (Fastify's fast serializer).
// tuned: the sends of one turn of the event loop share a transaction, answered after its commit;
// lists and conversations come from SQLite as JSON text.

import { createRequire } from "node:module";

// The packages are installed in the folder this is started in, outside the source tree.
const require = createRequire(`${process.cwd()}/`);
const fastify = require("fastify");
const Database = require("better-sqlite3");

const [port, path, mode] = process.argv.slice(2);
const isTuned = mode === "tuned";

const database = new Database(path);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");

const LIST = `
    SELECT m.id, f.username AS from_username, t.username AS to_username, m.content, m.created_at
    FROM (SELECT * FROM messages WHERE from_id = $user
          UNION ALL
          SELECT * FROM messages WHERE to_id = $user AND from_id <> $user
          ORDER BY id DESC LIMIT $limit) m
    JOIN users f ON f.id = m.from_id JOIN users t ON t.id = m.to_id
    ORDER BY m.id DESC`;
const CONVERSATIONS = `
    SELECT u.username, m.content AS last_message, m.created_at AS last_message_time, unread_count
    FROM (SELECT CASE WHEN from_id = $user THEN to_id ELSE from_id END AS other_id,
                 max(id) AS last_id,
                 count(CASE WHEN to_id = $user AND from_id <> $user AND read_at IS NULL
                       THEN 1 END) AS unread_count
          FROM messages WHERE from_id = $user OR to_id = $user GROUP BY other_id)
    JOIN messages m ON m.id = last_id JOIN users u ON u.id = other_id
    ORDER BY last_id DESC`;

const userOfToken = database.prepare("SELECT user_id FROM sessions WHERE token = ?").pluck();
const userOfName = database.prepare("SELECT id FROM users WHERE username = ?").pluck();
const messageOfKey = database.prepare(
    `SELECT m.id AS message_id, m.created_at FROM sent_keys k JOIN messages m ON m.id = k.message_id
     WHERE k.user_id = ? AND k.key = ?`);
const addMessage = database.prepare(
    "INSERT INTO messages (from_id, to_id, content, created_at) VALUES (?, ?, ?, ?)");
const addKey = database.prepare("INSERT INTO sent_keys VALUES (?, ?, ?)");
const list = isTuned
    ? database.prepare(`SELECT json_group_array(json_object('id', id, 'from_username', from_username,
        'to_username', to_username, 'content', content, 'created_at', created_at)) FROM (${LIST})`).pluck()
    : database.prepare(LIST);
const conversations = isTuned
    ? database.prepare(`SELECT json_group_array(json_object('username', username, 'last_message',
        last_message, 'last_message_time', last_message_time, 'unread_count', unread_count))
        FROM (${CONVERSATIONS})`).pluck()
    : database.prepare(CONVERSATIONS);

const text = { type: "string" };
const integer = { type: "integer" };
const arrayOf = (properties) => ({
    response: { 200: { type: "array", items: { type: "object", properties } } },
});
const listSchema = arrayOf({
    id: integer, from_username: text, to_username: text, content: text, created_at: text,
});
const conversationsSchema = arrayOf({
    username: text, last_message: text, last_message_time: text, unread_count: integer,
});
const sendSchema = {
    body: {
        type: "object", required: ["to_username", "content"],
        properties: { to_username: text, content: { type: "string", minLength: 1 } },
    },
    response: { 200: { type: "object", properties: { message_id: integer, created_at: text } } },
};

const app = fastify();

app.decorateRequest("userId", 0);

function authenticate(request, reply, done) {
    const field = request.headers.authorization;
    const userId = field?.startsWith("Bearer ") ? userOfToken.get(field.slice(7)) : undefined;
    if (userId === undefined) {
        reply.code(401).send({ error: "No session has this token" });
        return;
    }
    request.userId = userId;
    done();
}

function send(request) {
    const key = request.headers["idempotency-key"];
    if (key !== undefined) {
        const sent = messageOfKey.get(request.userId, key);
        if (sent !== undefined) {
            return sent;
        }
    }
    const toId = userOfName.get(request.body.to_username);
    if (toId === undefined) {
        return null;
    }
    const createdAt = new Date().toISOString();
    const { lastInsertRowid } = addMessage.run(request.userId, toId, request.body.content, createdAt);
    if (key !== undefined) {
        addKey.run(request.userId, key, lastInsertRowid);
    }
    return { message_id: lastInsertRowid, created_at: createdAt };
}

function answerSend(reply, sent) {
    if (sent === null) {
        reply.code(404).send({ error: "No account has this name" });
    } else {
        reply.send(sent);
    }
}

const sendAlone = database.transaction(send);
const sendAll = database.transaction((waiting) => waiting.map(({ request }) => send(request)));
let waiting = [];

function sendWaiting() {
    const batch = waiting;
    waiting = [];
    const sent = sendAll.immediate(batch);
    batch.forEach(({ reply }, at) => answerSend(reply, sent[at]));
}

app.get("/health", (request, reply) => {
    reply.type("text/plain").send("OK");
});

app.post("/api/messages/send", { schema: sendSchema, onRequest: authenticate }, (request, reply) => {
    if (!isTuned) {
        answerSend(reply, sendAlone.immediate(request));
        return;
    }
    waiting.push({ request, reply });
    if (waiting.length === 1) {
        setImmediate(sendWaiting);
    }
});

function answerRows(reply, statement, parameters) {
    if (isTuned) {
        reply.type("application/json; charset=utf-8").serializer((body) => body).send(statement.get(parameters));
    } else {
        reply.send(statement.all(parameters));
    }
}

app.get("/api/messages", { schema: listSchema, onRequest: authenticate }, (request, reply) => {
    const limit = request.query.limit === undefined ? -1 : Number(request.query.limit);
    answerRows(reply, list, { user: request.userId, limit });
});

app.get("/api/conversations", { schema: conversationsSchema, onRequest: authenticate }, (request, reply) => {
    answerRows(reply, conversations, { user: request.userId });
});

await app.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
