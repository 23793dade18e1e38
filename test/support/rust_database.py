"""Makes database files as the Rust server (migchat/server 281e17b) leaves them.

The statements are those its src/db.rs runs at every start, in its order; they are the file format
that adoption reads. Rows are put in as its handlers would.
"""

import ctypes
import sqlite3

USERS = """CREATE TABLE IF NOT EXISTS users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            username TEXT NOT NULL UNIQUE,
            password_hash TEXT NOT NULL,
            created_at TEXT NOT NULL DEFAULT (datetime('now'))
        )"""
SESSIONS = """CREATE TABLE IF NOT EXISTS sessions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL,
            token TEXT NOT NULL UNIQUE,
            created_at TEXT NOT NULL DEFAULT (datetime('now')),
            FOREIGN KEY (user_id) REFERENCES users(id)
        )"""
# As it was made before read_at; later starts added the column.
MESSAGES_WITHOUT_READ_AT = """CREATE TABLE IF NOT EXISTS messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            from_user_id INTEGER NOT NULL,
            to_user_id INTEGER NOT NULL,
            content TEXT NOT NULL,
            created_at TEXT NOT NULL DEFAULT (datetime('now')),
            FOREIGN KEY (from_user_id) REFERENCES users(id),
            FOREIGN KEY (to_user_id) REFERENCES users(id)
        )"""
MESSAGES = MESSAGES_WITHOUT_READ_AT.replace(
    "            FOREIGN KEY (from", "            read_at TEXT,\n            FOREIGN KEY (from")
ADD_READ_AT = "ALTER TABLE messages ADD COLUMN read_at TEXT"
INDEXES = ("CREATE INDEX IF NOT EXISTS idx_sessions_token ON sessions(token)",
           "CREATE INDEX IF NOT EXISTS idx_messages_to_user ON messages(to_user_id)",
           "CREATE INDEX IF NOT EXISTS idx_messages_from_user ON messages(from_user_id)")
USER_KEYS = """CREATE TABLE IF NOT EXISTS user_keys (
            user_id INTEGER PRIMARY KEY,
            identity_key TEXT NOT NULL,
            signed_prekey TEXT NOT NULL,
            signed_prekey_signature TEXT NOT NULL,
            created_at TEXT NOT NULL DEFAULT (datetime('now')),
            FOREIGN KEY (user_id) REFERENCES users(id)
        )"""
ONE_TIME_PREKEYS = """CREATE TABLE IF NOT EXISTS one_time_prekeys (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL,
            key_id INTEGER NOT NULL,
            public_key TEXT NOT NULL,
            used BOOLEAN DEFAULT FALSE,
            created_at TEXT NOT NULL DEFAULT (datetime('now')),
            FOREIGN KEY (user_id) REFERENCES users(id)
        )"""
KEY_INDEXES = (
    "CREATE INDEX IF NOT EXISTS idx_user_keys_user_id ON user_keys(user_id)",
    "CREATE INDEX IF NOT EXISTS idx_one_time_prekeys_user_id ON one_time_prekeys(user_id)",
    "CREATE INDEX IF NOT EXISTS idx_one_time_prekeys_used ON one_time_prekeys(used)")

# Which generations of that server wrote the file.
CURRENT = "current"                # all tables
READ_AT_ADDED = "read_at added"    # messages made before read_at, the column added later
NO_READ_AT = "no read_at"          # the first generation: no read_at, no keys
NO_KEYS = "no keys"                # read_at, but no key tables
NO_PREKEYS = "no prekeys"          # user_keys without one_time_prekeys
GENERATIONS = (CURRENT, READ_AT_ADDED, NO_READ_AT, NO_KEYS, NO_PREKEYS)

# What that server's GET /api/conversations counts, word for word.
CONVERSATIONS = """
        SELECT
            CASE
                WHEN m.from_user_id = ? THEN to_user.username
                ELSE from_user.username
            END as other_username,
            m.content as last_message,
            m.created_at as last_message_time,
            COUNT(CASE WHEN m.to_user_id = ? AND m.from_user_id != ? AND m.read_at IS NULL
                  THEN 1 END) as unread_count
        FROM messages m
        JOIN users from_user ON m.from_user_id = from_user.id
        JOIN users to_user ON m.to_user_id = to_user.id
        WHERE m.from_user_id = ? OR m.to_user_id = ?
        GROUP BY other_username
        ORDER BY m.created_at DESC"""


# Python's own crypt module is gone from 3.13 on.
_crypt = ctypes.CDLL("libcrypt.so.1").crypt
_crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_crypt.restype = ctypes.c_char_p


def password_hash(password, cost=4):
    """bcrypt, which sees the first 72 bytes: the Rust crate cut there, and so does crypt."""
    return _crypt(password.encode(), f"$2b${cost:02}$abcdefghijklmnopqrstuu".encode()).decode()


class RustDatabase:
    def __init__(self, path, generation=CURRENT):
        self.path = str(path)
        self.generation = generation
        self.database = sqlite3.connect(self.path, isolation_level=None)
        self.database.execute("PRAGMA foreign_keys = ON")
        self._run_schema()

    def _run_schema(self):
        run = self.database.execute
        run(USERS)
        run(SESSIONS)
        run(MESSAGES if self.generation in (CURRENT, NO_KEYS, NO_PREKEYS)
            else MESSAGES_WITHOUT_READ_AT)
        if self.generation == READ_AT_ADDED:
            run(ADD_READ_AT)
        for statement in INDEXES:
            run(statement)
        if self.generation in (CURRENT, READ_AT_ADDED):
            run(USER_KEYS)
            run(ONE_TIME_PREKEYS)
            for statement in KEY_INDEXES:
                run(statement)
        elif self.generation == NO_PREKEYS:
            run(USER_KEYS)
            run(KEY_INDEXES[0])

    @property
    def has_read_at(self):
        return self.generation != NO_READ_AT

    @property
    def has_prekeys(self):
        return self.generation in (CURRENT, READ_AT_ADDED)

    def add_user(self, user_id, username, hashed, created_at="2025-11-03T12:00:00.123456789+00:00"):
        self.database.execute("INSERT INTO users VALUES (?,?,?,?)",
                              (user_id, username, hashed, created_at))

    def add_session(self, user_id, token, created_at="2025-11-03T12:00:00.123456789+00:00"):
        self.database.execute(
            "INSERT INTO sessions (user_id, token, created_at) VALUES (?,?,?)",
            (user_id, token, created_at))

    def add_message(self, message_id, sender, recipient, content, created_at, read_at=None):
        columns = (message_id, sender, recipient, content, created_at)
        if self.has_read_at:
            self.database.execute("INSERT INTO messages VALUES (?,?,?,?,?,?)",
                                  (*columns, read_at))
        else:
            self.database.execute("INSERT INTO messages VALUES (?,?,?,?,?)", columns)

    def add_keys(self, user_id, identity, prekeys):
        """`prekeys` is [(public key, used)]."""
        self.database.execute(
            "INSERT INTO user_keys VALUES (?,?,?,?,?)",
            (user_id, identity, f"signed {identity}", f"signature {identity}",
             "2025-11-03T12:00:00.5+00:00"))
        for number, (public_key, used) in enumerate(prekeys):
            self.database.execute(
                "INSERT INTO one_time_prekeys (user_id, key_id, public_key, used, created_at)"
                " VALUES (?,?,?,?,?)",
                (user_id, number, public_key, used, "2025-11-03T12:00:00.5+00:00"))

    def set_sequence(self, table, value):
        self.database.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (value, table))

    def unread(self, user_id):
        """name -> unread count, by that server's own query."""
        if not self.has_read_at:
            # It runs this at its next start.
            copy = sqlite3.connect(":memory:")
            self.database.backup(copy)
            copy.execute(ADD_READ_AT)
        else:
            copy = self.database
        return {row[0]: row[3] for row in copy.execute(CONVERSATIONS, (user_id,) * 5)}

    def close(self):
        self.database.close()


def dump(path):
    """Everything in a database file, as SQL text."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return list(database.iterdump())
    finally:
        database.close()
