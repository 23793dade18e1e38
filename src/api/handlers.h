/* handlers.h - every step of every route; routes.c says which is which.
 *
 * Each is a route_handler (http/router.h): OK goes on with the next step or answers what is in
 * the response, an error ends the exchange with that error. _read, _hash and _write are steps of
 * one route, on these lanes; the others are a route's only step.
 *
 * Uses:    http. Used by: api/routes.c, tests.
 */
#ifndef MIGCHAT_API_HANDLERS_H
#define MIGCHAT_API_HANDLERS_H

#include "base/error.h"
#include "http/exchange.h"

struct services;

/* health.c */
enum error api_health(struct exchange *exchange, struct services *services);
enum error api_livez(struct exchange *exchange, struct services *services);
enum error api_readyz(struct exchange *exchange, struct services *services);

/* admin_disabled.c */
enum error admin_account_disable(struct exchange *exchange, struct services *services);
enum error admin_account_enable(struct exchange *exchange, struct services *services);

/* admin_invites.c */
enum error admin_invite_create(struct exchange *exchange, struct services *services);
enum error admin_invite_list(struct exchange *exchange, struct services *services);
enum error admin_invite_revoke(struct exchange *exchange, struct services *services);

/* admin_backup.c */
enum error admin_backup_start(struct exchange *exchange, struct services *services);
enum error admin_backup_find(struct exchange *exchange, struct services *services);

/* admin_account_list.c */
enum error admin_account_list(struct exchange *exchange, struct services *services);
enum error admin_account_show(struct exchange *exchange, struct services *services);

/* admin_accounts.c */
enum error admin_account_add_read(struct exchange *exchange, struct services *services);
enum error admin_account_add_write(struct exchange *exchange, struct services *services);
enum error admin_account_delete(struct exchange *exchange, struct services *services);
enum error admin_password_read(struct exchange *exchange, struct services *services);
enum error admin_password_write(struct exchange *exchange, struct services *services);

/* admin_sessions.c */
enum error admin_session_list(struct exchange *exchange, struct services *services);
enum error admin_session_end(struct exchange *exchange, struct services *services);

/* admin_stats.c */
enum error admin_stats_count(struct exchange *exchange, struct services *services);
enum error admin_stats_show(struct exchange *exchange, struct services *services);

/* metrics_show.c */
enum error metrics_show(struct exchange *exchange, struct services *services);

/* accounts.c */
enum error api_account_create_read(struct exchange *exchange, struct services *services);
enum error api_account_create_hash(struct exchange *exchange, struct services *services);
enum error api_account_create_write(struct exchange *exchange, struct services *services);
enum error api_account_find(struct exchange *exchange, struct services *services);
enum error api_account_rename(struct exchange *exchange, struct services *services);
enum error api_account_password_read(struct exchange *exchange, struct services *services);
enum error api_account_password_hash(struct exchange *exchange, struct services *services);
enum error api_account_password_write(struct exchange *exchange, struct services *services);
enum error api_account_delete_read(struct exchange *exchange, struct services *services);
enum error api_account_delete_hash(struct exchange *exchange, struct services *services);
enum error api_account_delete_write(struct exchange *exchange, struct services *services);

/* login.c */
enum error api_login_read(struct exchange *exchange, struct services *services);
enum error api_login_hash(struct exchange *exchange, struct services *services);
enum error api_login_write(struct exchange *exchange, struct services *services);

/* sessions.c */
enum error api_logout(struct exchange *exchange, struct services *services);
enum error api_session_list(struct exchange *exchange, struct services *services);
enum error api_session_delete(struct exchange *exchange, struct services *services);

/* blocks.c */
enum error api_block_add(struct exchange *exchange, struct services *services);
enum error api_block_remove(struct exchange *exchange, struct services *services);
enum error api_block_list(struct exchange *exchange, struct services *services);

/* messages.c */
enum error api_message_send(struct exchange *exchange, struct services *services);
enum error api_message_mark_read(struct exchange *exchange, struct services *services);

/* message_list.c */
enum error api_message_list(struct exchange *exchange, struct services *services);
enum error api_message_list_filtered(struct exchange *exchange, struct services *services);

/* conversations.c */
enum error api_conversation_list(struct exchange *exchange, struct services *services);

/* event_list.c */
enum error api_event_list(struct exchange *exchange, struct services *services);

/* event_stream.c */
enum error api_event_stream(struct exchange *exchange, struct services *services);

/* event_reads.c: in no table; what the streams of net read with */
enum error api_event_reads(struct exchange *exchange, struct services *services);

/* websocket.c */
enum error api_websocket_open(struct exchange *exchange, struct services *services);
enum error api_websocket_command(struct exchange *exchange, struct services *services);

/* keys.c */
enum error api_key_upload(struct exchange *exchange, struct services *services);
enum error api_key_find(struct exchange *exchange, struct services *services);
enum error api_key_claim(struct exchange *exchange, struct services *services);
enum error api_key_count(struct exchange *exchange, struct services *services);

/* docs.c */
enum error api_openapi(struct exchange *exchange, struct services *services);
enum error api_docs(struct exchange *exchange, struct services *services);

#endif
