/* json.c - check first, then let cJSON build its tree, then copy out what was asked for.
 *
 * 1. cJSON sees only what json_check let pass: it would take invalid UTF-8, raw control bytes and
 *    numbers that are none, and would cut a string at \u0000.
 * 2. The lock is held for parsing only: cJSON writes where parsing failed into a global.
 * 3. The tree is deleted here in every case; texts were copied into the arena. Any may be a
 *    password: those of the tree are wiped, and the arena is, when the request is over.
 */
#include "api/json.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/json_check.h"

#define VERSION_MAX_BYTES 32u

static pthread_mutex_t parse_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t version_once = PTHREAD_ONCE_INIT;
static char version[VERSION_MAX_BYTES];

static enum error members_fill(const cJSON *object, struct json_member *members, size_t count,
                               struct arena *arena);
static enum error member_fill(const cJSON *item, struct json_member *member, struct arena *arena);
static enum error texts_fill(const cJSON *array, struct json_member *member, struct arena *arena);
static void texts_wipe(cJSON *item);
static bool is_whole(double number);
static int64_t integer_from(double number);
static void version_copy(void);

enum error json_read(struct str body, struct json_member *members, size_t count,
                     struct arena *arena)
{
    enum error error = json_check(body);

    if (error != OK) {
        return error;
    }
    pthread_mutex_lock(&parse_lock);
    cJSON *tree = cJSON_ParseWithLength(body.ptr, body.len);
    pthread_mutex_unlock(&parse_lock);
    if (tree == NULL) {
        /* It is well-formed, and no deeper than cJSON takes: there was no memory for its tree. */
        return ERROR_OVERLOADED;
    }
    arena->is_secret = true;
    error = cJSON_IsObject(tree) ? members_fill(tree, members, count, arena) : ERROR_BODY_SHAPE;
    texts_wipe(tree);
    cJSON_Delete(tree);
    return error;
}

const char *json_library_version(void)
{
    pthread_once(&version_once, version_copy);
    return version;
}

/* cJSON prints its version into a global each time it is asked. */
static void version_copy(void)
{
    snprintf(version, sizeof version, "%s", cJSON_Version());
}

static enum error members_fill(const cJSON *object, struct json_member *members, size_t count,
                               struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        struct json_member *member = &members[i];
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, member->name);

        member->is_present = item != NULL && !(member->is_optional && cJSON_IsNull(item));
        if (!member->is_present) {
            if (!member->is_optional) {
                return ERROR_BODY_SHAPE;
            }
            continue;
        }
        enum error error = member_fill(item, member, arena);
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

static enum error member_fill(const cJSON *item, struct json_member *member, struct arena *arena)
{
    switch (member->form) {
    case JSON_TEXT:
        if (!cJSON_IsString(item)) {
            return ERROR_BODY_SHAPE;
        }
        member->text = arena_copy(arena, str_from(item->valuestring));
        return OK;
    case JSON_INTEGER:
        if (!cJSON_IsNumber(item) || !is_whole(item->valuedouble)) {
            return ERROR_BODY_SHAPE;
        }
        member->integer = integer_from(item->valuedouble);
        return OK;
    case JSON_TEXT_LIST:
        return texts_fill(item, member, arena);
    case JSON_OBJECT:
        if (!cJSON_IsObject(item)) {
            return ERROR_BODY_SHAPE;
        }
        return members_fill(item, member->members, member->member_count, arena);
    }
    return ERROR_INTERNAL;
}

static enum error texts_fill(const cJSON *array, struct json_member *member, struct arena *arena)
{
    if (!cJSON_IsArray(array)) {
        return ERROR_BODY_SHAPE;
    }
    size_t count = (size_t)cJSON_GetArraySize(array);
    struct str *texts = arena_alloc(arena, count * sizeof *texts);
    size_t filled = 0;
    const cJSON *item = NULL;

    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item)) {
            return ERROR_BODY_SHAPE;
        }
        texts[filled] = arena_copy(arena, str_from(item->valuestring));
        filled++;
    }
    member->texts = texts;
    member->text_count = filled;
    return OK;
}

/* As deep as json_check lets a body be. */
static void texts_wipe(cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if (item->valuestring != NULL) {
            explicit_bzero(item->valuestring, strlen(item->valuestring));
        }
        texts_wipe(item->child);
    }
}

/* A double from 2^53 on has no fraction, an infinite one (1e999) neither. */
static bool is_whole(double number)
{
    const double exact_max = (double)JSON_INTEGER_MAX;

    if (number < -exact_max || number > exact_max) {
        return true;
    }
    double cut = (double)(int64_t)number;
    return cut <= number && cut >= number;
}

/* 2^53 and 2^53 + 1 are the same double, so everything from there on is out. */
static int64_t integer_from(double number)
{
    return number >= 1 && number <= (double)JSON_INTEGER_MAX ? (int64_t)number : 0;
}
