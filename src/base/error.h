/* error.h - the one list of everything that can go wrong.
 *
 * Each row gives the enumerator, the stable `code` clients see, the HTTP status and our own
 * wording for people. Log name, status and body come from this list and nowhere else, so they
 * cannot drift apart. Status is a number of RFC 9110, not an HTTP dependency: it is the kind.
 *
 * Uses:    nothing.
 * Used by: everyone. Functions that can fail return `enum error` and are MUST_CHECK.
 * Thread:  any; all data is constant.
 */
#ifndef MIGCHAT_BASE_ERROR_H
#define MIGCHAT_BASE_ERROR_H

#include "base/attributes.h"

/* X(enumerator suffix, stable code, status, text for people) */
#define ERROR_MAP(X)                                                                               \
    /* The request as HTTP (RFC 9110, RFC 9112). */                                                \
    X(REQUEST_MALFORMED, "request_malformed", 400, "The request is not well-formed HTTP")          \
    X(TARGET_MALFORMED, "target_malformed", 400, "The request target is not well-formed")          \
    X(HOST_MALFORMED, "host_malformed", 400, "The Host field is missing, doubled or malformed")    \
    X(FIELD_DOUBLED, "field_doubled", 400, "A field that may be given once was given twice")       \
    X(FRAMING_MALFORMED, "framing_malformed", 400, "The length of the body is not clear")          \
    X(TARGET_TOO_LONG, "target_too_long", 414, "The request line is too long")                     \
    X(HEAD_TOO_LARGE, "head_too_large", 431, "The request has too many or too long fields")        \
    X(METHOD_UNKNOWN, "method_unknown", 501, "The method is not known here")                       \
    X(CODING_UNKNOWN, "coding_unknown", 501, "The transfer coding is not known here")              \
    X(VERSION_UNKNOWN, "version_unknown", 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")       \
    X(ROUTE_NOT_FOUND, "route_not_found", 404, "There is nothing at this path")                    \
    X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "This path does not take this method")        \
    X(EXPECTATION_UNKNOWN, "expectation_unknown", 417, "Only 100-continue can be expected")        \
    X(BODY_TOO_LARGE, "body_too_large", 413, "The body is larger than this server takes")          \
    X(REQUEST_TIMEOUT, "request_timeout", 408, "The request did not arrive in time")               \
    X(TYPE_UNSUPPORTED, "type_unsupported", 415, "The body must be application/json in UTF-8")     \
    X(ENCODING_UNSUPPORTED, "encoding_unsupported", 415, "Content-Encoding is not supported")      \
    X(UPGRADE_REQUIRED, "upgrade_required", 426, "This path needs a WebSocket upgrade")            \
    X(HANDSHAKE_MALFORMED, "handshake_malformed", 400, "This is no WebSocket handshake")           \
    X(ORIGIN_NOT_ALLOWED, "origin_not_allowed", 403, "Pages of this origin may not connect here")  \
    /* Who is asking. */                                                                           \
    X(TOKEN_MISSING, "token_missing", 401, "This needs a bearer token")                            \
    X(TOKEN_INVALID, "token_invalid", 401, "The token is not valid")                               \
    X(CREDENTIALS_WRONG, "credentials_wrong", 401, "The name or the password is wrong")            \
    X(ACCOUNT_DISABLED, "account_disabled", 403, "This account has been disabled")                 \
    X(SIGNUP_CLOSED, "signup_closed", 403, "This server takes no new accounts")                    \
    X(INVITE_INVALID, "invite_invalid", 403, "This needs a valid invite")                          \
    X(RATE_LIMITED, "rate_limited", 429, "This was asked too often; try again later")              \
    /* What was asked: syntax, shape, values. */                                                   \
    X(QUERY_MALFORMED, "query_malformed", 400, "The query is not well-formed")                     \
    X(PARAMETER_DOUBLED, "parameter_doubled", 400, "A query parameter was given twice")            \
    X(JSON_MALFORMED, "json_malformed", 400, "The body is not well-formed JSON")                   \
    X(BODY_MISSING, "body_missing", 400, "This needs a JSON body")                                 \
    X(BODY_SHAPE, "body_shape", 422, "A member of the body is missing or of the wrong type")       \
    X(USERNAME_EMPTY, "username_empty", 400, "Username cannot be empty")                           \
    X(USERNAME_NOT_ALLOWED, "username_not_allowed", 400,                                           \
      "A username is 1 to 64 characters without control characters, / \\ ? # % & + or outer "      \
      "space")                                                                                     \
    X(USERNAME_TAKEN, "username_taken", 409, "This username is taken")                             \
    X(NAMES_HELD, "names_held", 409, "Three old names are held already; wait until one is free")   \
    X(PASSWORD_EMPTY, "password_empty", 400, "Password cannot be empty")                           \
    X(PASSWORD_TOO_SHORT, "password_too_short", 400, "The password is too short")                  \
    X(PASSWORD_TOO_LONG, "password_too_long", 400, "A password is at most 72 bytes")               \
    X(PASSWORD_NOT_ALLOWED, "password_not_allowed", 400, "A password cannot contain U+0000")       \
    X(PASSWORD_WRONG, "password_wrong", 401, "The current password is wrong")                      \
    X(LABEL_TOO_LONG, "label_too_long", 400, "A session label is at most 64 characters")           \
    X(CONTENT_EMPTY, "content_empty", 400, "Message content cannot be empty")                      \
    X(CONTENT_TOO_LONG, "content_too_long", 413, "The message is longer than this server takes")   \
    X(RECIPIENT_NOT_FOUND, "recipient_not_found", 404, "No account has this name")                 \
    X(ACCOUNT_NOT_FOUND, "account_not_found", 404, "No account has this name")                     \
    X(SESSION_NOT_FOUND, "session_not_found", 404, "There is no such session")                     \
    X(KEYS_NOT_FOUND, "keys_not_found", 404, "This account has no keys")                           \
    X(WITH_USER_MISSING, "with_user_missing", 400, "The parameter with_user is required")          \
    X(LIMIT_NOT_ALLOWED, "limit_not_allowed", 400, "limit is a whole number from 1 to 1000")       \
    X(SEQ_NOT_ALLOWED, "seq_not_allowed", 400, "This is not the seq of such an entry")             \
    X(CURSOR_NOT_ALLOWED, "cursor_not_allowed", 400, "A cursor is what the server gave as one")    \
    X(CURSOR_GONE, "cursor_gone", 410,                                                             \
      "This cursor leads nowhere; list again and go on from there")                                \
    X(WAIT_NOT_ALLOWED, "wait_not_allowed", 400, "wait is a whole number of seconds from 0 to 60") \
    X(KEY_NOT_ALLOWED, "key_not_allowed", 400,                                                     \
      "An idempotency key is 1 to 64 visible ASCII characters, the same in header and body")       \
    X(KEY_REUSED, "key_reused", 409, "This key was used for another message")                      \
    X(KEY_BUNDLE_NOT_ALLOWED, "key_bundle_not_allowed", 400,                                       \
      "Each key is 1 to 1024 characters, and one_time_prekeys at most 200")                        \
    X(ACCOUNT_CHANGED, "account_changed", 409, "The account changed meanwhile; try again")         \
    X(INVITE_NOT_ALLOWED, "invite_not_allowed", 400,                                               \
      "An invite is for 1 to 100000 accounts and lasts 1 second to 3650 days")                     \
    X(INVITE_NOT_FOUND, "invite_not_found", 404, "There is no such invite")                        \
    X(BLOCK_OF_ONESELF, "block_of_oneself", 400, "You cannot block yourself")                      \
    X(BLOCKS_FULL, "blocks_full", 409, "10000 accounts are blocked already; unblock one first")    \
    X(PATH_NOT_ALLOWED, "path_not_allowed", 400, "The path of a file begins with /")               \
    X(BACKUP_RUNNING, "backup_running", 409, "Another backup is being made")                       \
    /* What we could not do. */                                                                    \
    X(OVERLOADED, "overloaded", 503, "The server is busy; nothing was done, try again")            \
    X(DRAINING, "draining", 503, "The server is stopping; nothing was done, try again")            \
    X(MIGRATING, "migrating", 503, "The database is being prepared; nothing was done, try later")  \
    X(WRITER_STUCK, "writer_stuck", 503, "The writer does not answer")                             \
    X(DISK_LOW, "disk_low", 503, "The disk is nearly full")                                        \
    X(DISK_FULL, "disk_full", 503, "The disk is full; nothing was done")                           \
    X(STORE_FAILED, "store_failed", 503, "The database did not answer; nothing was done")          \
    X(OUTCOME_UNKNOWN, "outcome_unknown", 503,                                                     \
      "It is not known whether this was done; repeat it with the same key")                        \
    X(INTERNAL, "internal", 500, "Something went wrong in the server")

enum error {
    OK = 0,
#define ERROR_ENUMERATOR(name, code, status, text) ERROR_##name,
    ERROR_MAP(ERROR_ENUMERATOR)
#undef ERROR_ENUMERATOR
        ERROR_COUNT
};

/* The stable code, e.g. "recipient_not_found"; "ok" for OK. */
const char *error_code(enum error error);
/* The HTTP status, 400 to 599; 200 for OK. */
int error_status(enum error error);
/* Our wording for people, one sentence without a full stop. */
const char *error_text(enum error error);

#endif
