/* uv_llhttp.c - the ceiling for what the server is built on: libuv and llhttp, and nothing else.
 *
 * usage: uv_llhttp PORT
 *
 * Every request is parsed by llhttp and answered with the same prepared bytes. Reads share one
 * buffer; the answers to all requests of one read leave in one uv_try_write.
 */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define READ_MAX_BYTES 65536
#define LISTEN_BACKLOG 4096
#define JOINED_MAX 256

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: 2\r\n\r\nOK";
#define ANSWER_LEN (sizeof ANSWER - 1)

struct connection {
    uv_tcp_t tcp;
    llhttp_t parser;
    unsigned answers_due;
};

/* The rest of an answer that the socket did not take at once. */
struct rest {
    uv_write_t write;
    char bytes[];
};

static char answers[JOINED_MAX * ANSWER_LEN];
static char read_bytes[READ_MAX_BYTES];
static llhttp_settings_t settings;

static void check(int code, const char *what);
static void on_connection(uv_stream_t *listener, int status);
static void on_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *out_buffer);
static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer);
static int on_message_complete(llhttp_t *parser);
static void answers_write(struct connection *connection);
static void on_written(uv_write_t *write, int status);
static void on_closed(uv_handle_t *handle);

int main(int argc, char **argv)
{
    static uv_tcp_t listener;
    struct sockaddr_in address;
    uv_loop_t *loop = uv_default_loop();

    if (argc != 2) {
        (void)fprintf(stderr, "usage: uv_llhttp PORT\n");
        return 2;
    }
    for (size_t i = 0; i < JOINED_MAX; i++) {
        memcpy(answers + i * ANSWER_LEN, ANSWER, ANSWER_LEN);
    }
    llhttp_settings_init(&settings);
    settings.on_message_complete = on_message_complete;
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_ip4_addr("127.0.0.1", (int)strtol(argv[1], NULL, 10), &address), "uv_ip4_addr");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&listener, LISTEN_BACKLOG, on_connection), "uv_listen");
    return uv_run(loop, UV_RUN_DEFAULT);
}

static void check(int code, const char *what)
{
    if (code != 0) {
        (void)fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
        exit(1);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct connection *connection = malloc(sizeof *connection);

    check(status, "connection");
    if (connection == NULL) {
        check(UV_ENOMEM, "connection");
        return;
    }
    check(uv_tcp_init(listener->loop, &connection->tcp), "uv_tcp_init");
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
        return;
    }
    (void)uv_tcp_nodelay(&connection->tcp, 1);
    llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
    connection->tcp.data = connection;
    connection->parser.data = connection;
    connection->answers_due = 0;
    check(uv_read_start((uv_stream_t *)&connection->tcp, on_buffer, on_read), "uv_read_start");
}

static void on_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *out_buffer)
{
    (void)handle;
    (void)wanted;
    *out_buffer = uv_buf_init(read_bytes, sizeof read_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;

    if (len < 0 ||
        (len > 0 && llhttp_execute(&connection->parser, buffer->base, (size_t)len) != HPE_OK)) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    answers_write(connection);
}

static int on_message_complete(llhttp_t *parser)
{
    struct connection *connection = parser->data;

    connection->answers_due++;
    return 0;
}

static void answers_write(struct connection *connection)
{
    while (connection->answers_due > 0) {
        unsigned joined =
            connection->answers_due < JOINED_MAX ? connection->answers_due : JOINED_MAX;
        size_t len = joined * ANSWER_LEN;
        uv_buf_t buffer = uv_buf_init(answers, (unsigned)len);
        int sent = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
        size_t taken = sent > 0 ? (size_t)sent : 0;

        connection->answers_due -= joined;
        if (taken < len) {
            struct rest *rest = malloc(sizeof *rest + len - taken);

            if (rest == NULL) {
                check(UV_ENOMEM, "write");
                return;
            }
            memcpy(rest->bytes, answers + taken, len - taken);
            buffer = uv_buf_init(rest->bytes, (unsigned)(len - taken));
            if (uv_write(&rest->write, (uv_stream_t *)&connection->tcp, &buffer, 1, on_written) !=
                0) {
                free(rest);
                return;
            }
        }
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}
