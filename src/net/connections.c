/* connections.c - the pools and the date.
 *
 * A pool is a bounded list of things that were used before: under load everything comes from
 * there, and after it only POOL_MAX of each stay, without their large buffers.
 */
#include "net/connections.h"

#include <stdlib.h>

#include "base/require.h"

/* As many requests as are in flight at once under heavy load. */
#define POOL_MAX 128u
/* The largest buffer that stays with something in a pool. */
#define POOLED_BUF_MAX_BYTES (16u * 1024u)
/* Answers gathered before a flush (OUTPUT_GATHER_MAX_BYTES) and the last of them. */
#define GATHERED_MAX_BYTES (128u * 1024u)

static bool pool_give(struct pool *pool, struct list *node);
static struct list *pool_take(struct pool *pool);
static void buf_slim(struct buf *buf);
static void output_free(struct output *output);
static void input_free(struct input *input);

void connections_init(struct connections *connections, uv_loop_t *loop,
                      const struct server_settings *settings)
{
    connections->loop = loop;
    connections->resting = NULL;
    connections->settings = settings;
    connections->traffic = settings->traffic;
    connections->lanes = NULL;
    connections->count = 0;
    connections->held_bytes = 0;
    connections->waiting_bytes = 0;
    connections->is_draining = false;
    connections->date_read_at_ms = INT64_MIN;
    connections->date_second = INT64_MIN;
    list_init(&connections->open);
    list_init(&connections->waiting);
    list_init(&connections->exchanges.free);
    list_init(&connections->outputs.free);
    list_init(&connections->inputs.free);
}

void connections_release(struct connections *connections)
{
    struct list *node;

    while ((node = pool_take(&connections->exchanges)) != NULL) {
        exchange_free(container_of(node, struct exchange, node));
    }
    while ((node = pool_take(&connections->outputs)) != NULL) {
        output_free(container_of(node, struct output, node));
    }
    while ((node = pool_take(&connections->inputs)) != NULL) {
        input_free(container_of(node, struct input, node));
    }
}

static bool pool_give(struct pool *pool, struct list *node)
{
    if (pool->count >= POOL_MAX) {
        return false;
    }
    /* To the front: what was used last is in the cache. */
    list_append(pool->free.next, node);
    pool->count++;
    return true;
}

static struct list *pool_take(struct pool *pool)
{
    struct list *node = list_take_first(&pool->free);

    if (node != NULL) {
        pool->count--;
    }
    return node;
}

struct exchange *connections_take_exchange(struct connections *connections)
{
    struct list *node = pool_take(&connections->exchanges);

    return node != NULL ? container_of(node, struct exchange, node) : exchange_new();
}

void connections_give_exchange(struct connections *connections, struct exchange **place)
{
    struct exchange *exchange = *place;

    *place = NULL;
    if (exchange == NULL) {
        return;
    }
    exchange_clear(exchange);
    if (!pool_give(&connections->exchanges, &exchange->node)) {
        exchange_free(exchange);
    }
}

struct output *connections_take_output(struct connections *connections)
{
    struct list *node = pool_take(&connections->outputs);
    struct output *output;

    if (node != NULL) {
        return container_of(node, struct output, node);
    }
    output = calloc(1, sizeof(*output));
    REQUIRE(output != NULL);
    buf_init(&output->gathered, GATHERED_MAX_BYTES);
    buf_init(&output->body, RESPONSE_PAGE_BYTES);
    return output;
}

void connections_give_output(struct connections *connections, struct output **place)
{
    struct output *output = *place;

    *place = NULL;
    if (output == NULL) {
        return;
    }
    REQUIRE(!output->is_writing);
    /* All ways of an output end here. A body of its own is longer than any with a secret. */
    if (output->gathered.is_secret) {
        buf_wipe(&output->gathered);
    }
    buf_slim(&output->gathered);
    buf_slim(&output->body);
    output->tail = (struct str){0};
    output->refusal_bytes = 0;
    if (!pool_give(&connections->outputs, &output->node)) {
        output_free(output);
    }
}

struct input *connections_take_input(struct connections *connections)
{
    struct list *node = pool_take(&connections->inputs);
    struct input *input;

    if (node != NULL) {
        input = container_of(node, struct input, node);
    } else {
        input = calloc(1, sizeof(*input));
        REQUIRE(input != NULL);
        buf_init(&input->bytes, SLAB_BYTES);
    }
    input->bytes.is_secret = true;
    return input;
}

void connections_give_input(struct connections *connections, struct input **place)
{
    struct input *input = *place;

    *place = NULL;
    if (input == NULL) {
        return;
    }
    buf_wipe(&input->bytes);
    buf_slim(&input->bytes);
    input->at = 0;
    if (!pool_give(&connections->inputs, &input->node)) {
        input_free(input);
    }
}

static void buf_slim(struct buf *buf)
{
    if (buf->capacity > POOLED_BUF_MAX_BYTES) {
        buf_release(buf);
    }
    buf_clear(buf);
}

static void output_free(struct output *output)
{
    buf_release(&output->gathered);
    buf_release(&output->body);
    free(output);
}

static void input_free(struct input *input)
{
    buf_release(&input->bytes);
    free(input);
}

const char *connections_date(struct connections *connections)
{
    int64_t now_ms = (int64_t)uv_now(connections->loop);

    if (now_ms != connections->date_read_at_ms) {
        int64_t wall_ms = clock_wall_ms();

        connections->date_read_at_ms = now_ms;
        if (wall_ms / 1000 != connections->date_second) {
            connections->date_second = wall_ms / 1000;
            time_to_imf_fixdate(wall_ms, connections->date);
        }
    }
    return connections->date;
}
