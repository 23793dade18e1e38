/* startup.c - opening the database, then what each lane's threads own: the writer's store first,
 * the readers' after it, the password scratches last. Closing goes the other way.
 */
#include "startup.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "api/backups.h"
#include "api/kept_answers.h"
#include "base/changes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/require.h"
#include "http/limits.h"
#include "http/parser.h"
#include "store/copies.h"

/* Page caches: with two readers 24 MiB together, a tenth of the smallest machine served. Readers
 * with 8 MiB each were not faster (what lists read is read once), and 200 pollers stood at 30 MB
 * above idle instead of 20. */
#define WRITER_CACHE_KIB (16u * 1024u)
#define READER_CACHE_KIB (4u * 1024u)

/* What one transaction, one snapshot or one turn of hashing takes at most. A commit costs one
 * fsync whatever its size; a hash takes a third of a second and more, so nothing waits behind it.
 */
#define WRITE_BATCH_MAX 256u
#define READ_BATCH_MAX 64u
#define HASH_BATCH_MAX 1u
/* Who logs in waits no longer than this for others' hashes, whatever one costs: clients give up
 * soon after, and a hash for them would be for nobody. */
#define HASH_WAIT_MAX_MS 3000u
/* Of bcrypt at cost 0, about, until there was a hash. */
#define HASH_COST_0_NS UINT64_C(64000)
/* Hashing must not take the processor from the loop, the writer and the readers. */
#define HASH_NICE 10

#define DATABASE_FOLDER_MODE 0700
/* Descriptors that are not connections: database files, libuv's own, standard streams. */
#define DESCRIPTORS_KEPT 64u
#define CONNECTIONS_MAX 1000000u

static int64_t monotonic_ns(void);
static const char *version_of(const char *library);
static enum error folder_make(struct str database_path);
static enum error lane_open(struct crew *crew, enum lane lane, unsigned thread_count);
static enum error services_open(struct crew *crew, struct services *services);
static void lane_close(struct crew *crew, enum lane lane);
static uint64_t connections_within(uint64_t descriptors);

void crew_prepare(const struct config *config, struct readiness *readiness, struct crew *out_crew)
{
    struct crew *crew = out_crew;

    *crew = (struct crew){
        .settings =
            {
                .message_max_bytes = (size_t)config_number(config, OPTION_MAX_MESSAGE_BYTES),
                .password_cost = (unsigned)config_number(config, OPTION_PASSWORD_COST),
                .password_min_bytes = (unsigned)config_number(config, OPTION_MIN_PASSWORD_BYTES),
            },
        .plans =
            {
                [LANE_READ] = {.queue_max = (unsigned)config_number(config, OPTION_READ_QUEUE),
                               .batch_max = READ_BATCH_MAX},
                [LANE_WRITE] = {.queue_max = (unsigned)config_number(config, OPTION_WRITE_QUEUE),
                                .batch_max = WRITE_BATCH_MAX},
                [LANE_HASH] = {.queue_max = (unsigned)config_number(config, OPTION_HASH_QUEUE),
                               .batch_max = HASH_BATCH_MAX,
                               .wait_max_ms = HASH_WAIT_MAX_MS,
                               .first_run_ns = HASH_COST_0_NS
                                               << config_number(config, OPTION_PASSWORD_COST),
                               .nice = HASH_NICE},
            },
    };
    crew->changes = calloc(1, sizeof *crew->changes);
    REQUIRE(crew->changes != NULL);
    crew->kept =
        kept_answers_new((size_t)config_number(config, OPTION_KEPT_ANSWERS_BYTES), crew->changes);
    crew->limits = limits_new(monotonic_ns);
    crew->backups = backups_new(&crew->home);
    crew->metrics =
        (struct metrics_sources){.build = {.version = MIGCHAT_VERSION,
                                           .commit = MIGCHAT_COMMIT,
                                           .sqlite = version_of(store_library_version()),
                                           .libuv = uv_version_string(),
                                           .llhttp = version_of(parser_library_version())},
                                 .started_at_ms = clock_wall_ms(),
                                 .traffic = &crew->traffic,
                                 .limits = crew->limits,
                                 .store = &crew->measures};
    crew->loop = (struct services){.lane = LANE_LOOP,
                                   .settings = &crew->settings,
                                   .readiness = readiness,
                                   .limits = crew->limits,
                                   .changes = crew->changes,
                                   .kept = crew->kept,
                                   .backups = crew->backups,
                                   .metrics = &crew->metrics};
}

static int64_t monotonic_ns(void)
{
    return (int64_t)clock_monotonic_ns();
}

/* "3.40.1" of "SQLite 3.40.1". */
static const char *version_of(const char *library)
{
    const char *blank = strchr(library, ' ');

    return blank != NULL ? blank + 1 : library;
}

enum error crew_open(const struct config *config, atomic_bool *stops, struct crew *crew)
{
    struct str path = config_text(config, OPTION_DB);
    enum error error;

    const struct store_settings store_settings = {
        .path = path.ptr,
        .syncs_every_commit = config_number(config, OPTION_SYNC) == SYNC_FULL,
        .leaves_checkpoints = config_number(config, OPTION_CHECKPOINT) == CHECKPOINT_EXTERNAL,
        .writer_cache_kib = WRITER_CACHE_KIB,
        .reader_cache_kib = READER_CACHE_KIB,
        .disk_floor_bytes = config_number(config, OPTION_DISK_FLOOR_BYTES),
        .stops = stops,
        .changes = crew->changes,
        .measures = &crew->measures,
    };
    if ((error = folder_make(path)) != OK ||
        (error = store_home_open(&store_settings, &crew->home, &crew->is_in_memory)) != OK ||
        (error = lane_open(crew, LANE_WRITE, 1)) != OK) {
        return error;
    }
    if (crew->is_in_memory) {
        log_event(LOG_WARN, "database_in_memory", LOG_TEXT("means", "nothing is kept"), LOG_END);
    } else if ((error = lane_open(crew, LANE_READ,
                                  (unsigned)config_number(config, OPTION_READ_THREADS))) != OK) {
        return error;
    }
    return lane_open(crew, LANE_HASH, (unsigned)config_number(config, OPTION_HASH_THREADS));
}

/* The database's own folder, not those above it: a mistyped path should not make a tree. */
static enum error folder_make(struct str database_path)
{
    struct str name = path_folder(database_path);
    char *path = strndup(name.ptr, name.len);
    struct stat folder;

    REQUIRE(path != NULL);
    /* Asked first: on a read-only file system mkdir fails also where the folder exists. */
    bool exists = stat(path, &folder) == 0;
    enum error error = OK;
    if (!exists && mkdir(path, DATABASE_FOLDER_MODE) != 0 && errno != EEXIST) {
        log_event(LOG_ERROR, "database_folder_failed", LOG_TEXT("folder", path),
                  LOG_TEXT("reason", strerror(errno)), LOG_END);
        error = ERROR_STORE_FAILED;
    }
    free(path);
    return error;
}

static enum error lane_open(struct crew *crew, enum lane lane, unsigned thread_count)
{
    struct lane_plan *plan = &crew->plans[lane];
    struct services *members = calloc(thread_count, sizeof *members);
    struct services **list = calloc(thread_count, sizeof(struct services *));

    REQUIRE(members != NULL && list != NULL);
    crew->members[lane] = members;
    plan->services = list;
    plan->thread_count = thread_count;
    for (unsigned i = 0; i < thread_count; i++) {
        members[i] = (struct services){.lane = lane,
                                       .settings = &crew->settings,
                                       .readiness = crew->loop.readiness,
                                       .limits = crew->limits,
                                       .changes = crew->changes,
                                       .metrics = &crew->metrics};
        list[i] = &members[i];
        enum error error = services_open(crew, &members[i]);
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

static enum error services_open(struct crew *crew, struct services *services)
{
    if (services->lane == LANE_HASH) {
        services->scratch = password_scratch_new();
        return OK;
    }
    bool is_writer = services->lane == LANE_WRITE;
    enum error error =
        store_open(crew->home, is_writer ? STORE_READ_WRITE : STORE_READ_ONLY, &services->store);

    if (error == OK && is_writer) {
        /* Later the writer looks when it rests; /readyz must know before the first request. */
        atomic_store(&services->readiness->disk_is_low, store_disk_is_low(services->store));
    }
    return error;
}

void crew_close(struct crew *crew)
{
    backups_stop(crew->backups);
    lane_close(crew, LANE_HASH);
    lane_close(crew, LANE_READ);
    lane_close(crew, LANE_WRITE);
    store_home_close(crew->home);
    crew->home = NULL;
    backups_free(crew->backups);
    crew->backups = NULL;
    kept_answers_free(crew->kept);
    crew->kept = NULL;
    limits_free(crew->limits);
    crew->limits = NULL;
    free(crew->changes);
    crew->changes = NULL;
}

static void lane_close(struct crew *crew, enum lane lane)
{
    struct lane_plan *plan = &crew->plans[lane];

    for (unsigned i = 0; i < plan->thread_count; i++) {
        struct services *services = plan->services[i];
        /* A member that was never opened is all NULL. */
        if (services != NULL) {
            store_close(services->store);
            if (services->scratch != NULL) {
                password_scratch_free(services->scratch);
            }
        }
    }
    free(plan->services);
    free(crew->members[lane]);
    plan->services = NULL;
    plan->thread_count = 0;
    crew->members[lane] = NULL;
}

unsigned descriptors_raise(uint64_t connections_wanted)
{
    struct rlimit limit;

    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    struct rlimit raised = {limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        limit = raised;
    }
    uint64_t allowed = connections_within(limit.rlim_cur);
    if (connections_wanted > allowed) {
        log_event(LOG_WARN, "descriptors_too_few",
                  LOG_INT("max_connections", (int64_t)connections_wanted),
                  LOG_INT("allowed", (int64_t)allowed), LOG_END);
    }
    return (unsigned)(connections_wanted == 0 || connections_wanted > allowed ? allowed
                                                                              : connections_wanted);
}

bool libraries_suffice(const struct config *config, struct buf *why)
{
    if (config_number(config, OPTION_CHECKPOINT) == CHECKPOINT_EXTERNAL &&
        store_library_has_wal_reset_bug()) {
        buf_append_format(
            why,
            "checkpoint=external is refused: with %s a second checkpointer can damage "
            "the database (https://sqlite.org/wal.html#walresetbug; fixed in 3.51.3, "
            "3.50.7 and 3.44.6); run \"migchat-server backup\" on a timer instead\n",
            store_library_version());
        return false;
    }
    return true;
}

void core_dumps_stop(void)
{
    struct rlimit limit;

    REQUIRE(getrlimit(RLIMIT_CORE, &limit) == 0);
    limit.rlim_cur = 0;
    REQUIRE(setrlimit(RLIMIT_CORE, &limit) == 0);
}

uint64_t descriptors_allow(void)
{
    struct rlimit limit;

    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return connections_within(limit.rlim_max);
}

static uint64_t connections_within(uint64_t descriptors)
{
    uint64_t allowed =
        descriptors > 2 * DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : descriptors / 2;

    return allowed > CONNECTIONS_MAX ? CONNECTIONS_MAX : allowed;
}

/* glibc gives each thread an arena of its own (up to eight times the processors) and raises its
 * thresholds with each large block freed: on a machine of 256 MB the heap then keeps what a burst
 * once took. Two arenas serve the loop and the lanes; pages of lists (64 KiB) stay in them, larger
 * bodies are mapped and go back to the system when freed. */
void malloc_tune(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
}

void welcome_print(const struct config *config, uint16_t port)
{
    struct str listen = config_text(config, OPTION_LISTEN);
    bool is_any = str_equal(listen, STR("0.0.0.0")) || str_equal(listen, STR("::"));
    bool is_ipv6 = memchr(listen.ptr, ':', listen.len) != NULL;
    const char *host = is_any ? "localhost" : listen.ptr;
    const char *opening = is_ipv6 && !is_any ? "[" : "";
    const char *closing = is_ipv6 && !is_any ? "]" : "";

    if (isatty(STDOUT_FILENO) == 0) {
        return;
    }
    printf("MigChat %s serves http://%s%s%s:%u with the database %s (Ctrl-C stops it)\n"
           "Create an account:\n"
           "  curl -H 'Content-Type: application/json' -d '{\"username\":\"alice\","
           "\"password\":\"...\"}' http://%s%s%s:%u/api/account/create\n",
           MIGCHAT_VERSION, opening, host, closing, (unsigned)port,
           config_text(config, OPTION_DB).ptr, opening, host, closing, (unsigned)port);
    fflush(stdout);
}
