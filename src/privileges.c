/* privileges.c - whom to become; then the database's folder, the groups, the ids, and the proof.
 *
 * A container starts as root, because the volumes it is given are root's; a unit starts as its own
 * user and comes here to do nothing. Everything that needs root is done before the drop, listening
 * and opening the database after it: a port below 1024 is for a proxy or for a socket unit.
 */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/require.h"
#include "takeover.h"

#define ENTRY_MAX_BYTES ((size_t)64 * 1024)
#define USER_ADD_ADVICE                                                                            \
    "add it (useradd --system --user-group --no-create-home NAME), or keep root with --user root"

/* A row of the machine's list of users. */
struct user {
    const char *name;
    uid_t uid;
    gid_t gid;
};

static enum error user_find(const char *name, struct user *out_user, bool *out_exists);
static void warn_if_not_changed(const char *name);
static enum error drop(const struct user *user);
static enum error capabilities_clear(void);
static enum error prove_dropped(const struct user *user);
static enum error folder_check(const char *database, const char *user);
static enum error failed(const char *what, const char *reason);

enum error privileges_settle(const struct config *config)
{
    struct user user = {.name = config_text(config, OPTION_USER).ptr};
    const char *database = config_text(config, OPTION_DB).ptr;
    bool is_asked_for = config->values[OPTION_USER].source != SOURCE_DEFAULT;
    bool exists = false;
    enum error error;

    if (geteuid() != 0) {
        if (is_asked_for) {
            warn_if_not_changed(user.name);
        }
        return OK;
    }
    if ((error = user_find(user.name, &user, &exists)) != OK) {
        return error;
    }
    if (!exists && is_asked_for) {
        log_event(LOG_ERROR, "user_unknown", LOG_TEXT("user", user.name),
                  LOG_TEXT("advice", USER_ADD_ADVICE), LOG_END);
        return ERROR_INTERNAL;
    }
    if (!exists) {
        log_event(LOG_WARN, "running_as_root",
                  LOG_TEXT("reason", "there is no user of the default name"),
                  LOG_TEXT("user", user.name), LOG_TEXT("advice", USER_ADD_ADVICE), LOG_END);
        return OK;
    }
    if (user.uid == 0) {
        log_event(LOG_INFO, "running_as_root", LOG_TEXT("reason", "it was asked for"), LOG_END);
        return OK;
    }
    const struct takeover takeover = {
        .database = database, .from = 0, .uid = user.uid, .gid = user.gid};
    bool is_in_memory = config_is_in_memory(config);
    if ((!is_in_memory && (error = takeover_run(&takeover)) != OK) || (error = drop(&user)) != OK ||
        (!is_in_memory && (error = folder_check(database, user.name)) != OK)) {
        return error;
    }
    log_event(LOG_INFO, "privileges_dropped", LOG_TEXT("user", user.name), LOG_INT("uid", user.uid),
              LOG_INT("gid", user.gid), LOG_END);
    return OK;
}

/* ---- whom to become --------------------------------------------------------------------------*/

static enum error user_find(const char *name, struct user *out_user, bool *out_exists)
{
    char *room = malloc(ENTRY_MAX_BYTES);
    struct passwd entry;
    struct passwd *found = NULL;

    REQUIRE(room != NULL);
    int code = getpwnam_r(name, &entry, room, ENTRY_MAX_BYTES, &found);
    if (found != NULL) {
        *out_user = (struct user){.name = name, .uid = entry.pw_uid, .gid = entry.pw_gid};
    }
    *out_exists = found != NULL;
    free(room);
    /* Some of these are how "no such user" is said where there is no list of users at all. */
    if (found == NULL && code != 0 && code != ENOENT && code != ESRCH && code != EBADF &&
        code != EPERM) {
        return failed("getpwnam_r", strerror(code));
    }
    return OK;
}

/* Who names a user means it; silence would be a wrong answer. */
static void warn_if_not_changed(const char *name)
{
    struct user user = {.name = name};
    bool exists = false;

    if (user_find(name, &user, &exists) == OK && !(exists && user.uid == geteuid())) {
        log_event(LOG_WARN, "user_not_changed", LOG_TEXT("user", name),
                  LOG_TEXT("reason", "only a start as root can become another user"), LOG_END);
    }
}

/* ---- becoming it -----------------------------------------------------------------------------*/

static enum error drop(const struct user *user)
{
    enum error error;

    /* Groups first: without root they cannot be changed any more. */
    if (initgroups(user->name, user->gid) != 0) {
        return failed("initgroups", strerror(errno));
    }
    if (setresgid(user->gid, user->gid, user->gid) != 0) {
        return failed("setresgid", strerror(errno));
    }
    if (setresuid(user->uid, user->uid, user->uid) != 0) {
        return failed("setresuid", strerror(errno));
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return failed("no_new_privs", strerror(errno));
    }
    if ((error = capabilities_clear()) != OK) {
        return error;
    }
    return prove_dropped(user);
}

/* The kernel clears what counts when the ids change, unless somebody told it not to. */
static enum error capabilities_clear(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (syscall(SYS_capset, &header, none) != 0) {
        return failed("capset", strerror(errno));
    }
    return OK;
}

static enum error prove_dropped(const struct user *user)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {{0}};
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) != 0 || syscall(SYS_capget, &header, held) != 0) {
        return failed("proof", strerror(errno));
    }
    for (size_t i = 0; i < 3; i++) {
        if (uids[i] != user->uid || gids[i] != user->gid) {
            return failed("proof", "an id is still another one");
        }
    }
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        if ((held[i].effective | held[i].permitted | held[i].inheritable) != 0) {
            return failed("proof", "a capability is left");
        }
    }
    if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0) {
        return failed("proof", "root can be regained");
    }
    return OK;
}

/* Told here with advice, since the store only sees that it is closed. */
static enum error folder_check(const char *database, const char *user)
{
    struct str name = path_folder(str_from(database));
    char *folder = strndup(name.ptr, name.len);
    enum error error = OK;

    REQUIRE(folder != NULL);
    if (access(folder, R_OK | W_OK | X_OK) != 0) {
        log_event(LOG_ERROR, "folder_closed", LOG_TEXT("folder", folder), LOG_TEXT("user", user),
                  LOG_TEXT("reason", strerror(errno)),
                  LOG_TEXT("advice", "chown it to this user, or keep root with --user root"),
                  LOG_END);
        error = ERROR_INTERNAL;
    }
    free(folder);
    return error;
}

static enum error failed(const char *what, const char *reason)
{
    log_event(LOG_ERROR, "privileges_not_dropped", LOG_TEXT("at", what), LOG_TEXT("reason", reason),
              LOG_TEXT("advice", "a container needs the capabilities CHOWN, DAC_OVERRIDE, SETGID "
                                 "and SETUID for it; or start it as the user it is to be"),
              LOG_END);
    return ERROR_INTERNAL;
}
