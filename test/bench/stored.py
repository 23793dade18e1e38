"""What a server's database holds after sends, whose acknowledgements are known."""

import contextlib
import sqlite3

from servers import MIGCHAT, BenchError

SENT, RECEIVED = 1, 2  # enum entry_kind
CONTENT_IN_LOG_MAX_BYTES = 256  # src/store/sqlite/content.h

# The messages of either log. A text stands in both of them, or where it is long once in `content`.
MESSAGES = """
SELECT ref FROM log LEFT JOIN content ON content.message_id = log.ref
WHERE kind IN (:sent, :received) GROUP BY ref
HAVING count(*) FILTER (WHERE kind = :sent) = 1 AND count(*) FILTER (WHERE kind = :received) = 1
   AND count(log.text) = iif(:bytes <= :in_log_max, 2, 0) AND count(content.entries) = iif(:bytes <= :in_log_max, 0, 2)
   AND min(length(coalesce(log.text, content.text))) = :bytes AND max(length(coalesce(log.text, content.text))) = :bytes
   AND coalesce(max(content.entries), 2) = 2
"""
# While it moves a key is in both tables.
KEYS = ("SELECT key, ref FROM (SELECT account_id, key, message_id FROM sent_key"
        " UNION SELECT account_id, key, message_id FROM sent_key_recent)"
        f" LEFT JOIN ({MESSAGES}) ON ref = message_id")
PEER_KEYS = ("SELECT key, id FROM sent_keys LEFT JOIN messages ON id = message_id AND from_id = user_id"
             " AND length(content) = :bytes")


def whole_keys(name, path, content_bytes):
    """The keys of the sends, each of which made one message of so many bytes, entered where it belongs."""
    found = rows_of(path, KEYS if name == MIGCHAT else PEER_KEYS,
                    {"sent": SENT, "received": RECEIVED, "bytes": content_bytes,
                     "in_log_max": CONTENT_IN_LOG_MAX_BYTES})
    broken = [key for key, message in found if message is None]
    if broken:
        raise BenchError(f"{name}: {len(broken)} keys are stored without their message, or not whole: {broken[:3]}")
    if len({key for key, _ in found}) != len(found) or len({message for _, message in found}) != len(found):
        raise BenchError(f"{name}: a key or a message is stored twice")
    return {key for key, _ in found}


def messages_count(name, path):
    if name != MIGCHAT:
        return rows_of(path, "SELECT count(*) FROM messages")[0][0]
    sent, received = rows_of(path, "SELECT count(*) FILTER (WHERE kind = :sent), count(*) FILTER"
                             " (WHERE kind = :received) FROM log", {"sent": SENT, "received": RECEIVED})[0]
    if sent != received:
        raise BenchError(f"{sent} entries sent, {received} received")
    return sent


def check_count(name, path, wanted):
    found = messages_count(name, path)
    if found != wanted:
        raise BenchError(f"{name}: {wanted} messages were acknowledged or there before, {found} are stored")


def rows_of(path, query, parameters=()):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(query, parameters).fetchall()
