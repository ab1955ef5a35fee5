/* A fake OpenAI fast enough to measure what stands before it.
 *
 * One thread, one epoll, HTTP/1.1 with keep-alive on the loopback. It checks next to nothing: the other
 * fake (openai.mjs) does. Every picture is another one: a serial number stands in a tEXt chunk right after
 * the header, and only those bytes, their checksum and the few base64 digits that cover them are made anew
 * for a reply; all else of the reply is made once. The first line printed is the port, the last, at
 * SIGTERM, how many pictures were sent.
 *
 *   openai-fast [--port N] [--size WIDTHxHEIGHT] [--model NAME]
 */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define REQUEST_BYTES_MAX ((size_t) 128 * 1024)
#define HEADER_BYTES_MAX ((size_t) 512)
#define EVENTS_MAX 256
#define EDGE_PIXELS_MAX 4096
#define LISTEN_BACKLOG 1024
#define SERIAL_DIGITS 16

/* Where the tEXt chunk's parts lie: after signature (8) and IHDR (25), its length (4), type (4), keyword. */
#define TEXT_TYPE_AT 37
#define TEXT_KEYWORD "serial"
#define SERIAL_AT (TEXT_TYPE_AT + 4 + sizeof(TEXT_KEYWORD))
#define TEXT_CRC_AT (SERIAL_AT + SERIAL_DIGITS)

typedef struct Connection {
        int fd;
        size_t received; /* bytes of the request in `request` */
        uint8_t *unsent; /* the rest of a reply the socket did not take, or NULL */
        size_t unsent_at, unsent_size;
        char request[REQUEST_BYTES_MAX + 1];
} Connection;

typedef struct Fake {
        int listen_fd, signal_fd, epoll_fd;
        uint8_t *png;
        size_t png_size;
        char *reply; /* headers and body of a good answer */
        size_t reply_size, base64_at;
        char models[512];
        uint64_t serial;
} Fake;

static void put_be32(uint8_t *at, uint32_t value) {
        value = htonl(value);
        memcpy(at, &value, sizeof(value));
}

static uint8_t *chunk_put(uint8_t *at, const char *type, const uint8_t *data, size_t size) {
        put_be32(at, (uint32_t) size);
        memcpy(at + 4, type, 4);
        memcpy(at + 8, data, size);
        put_be32(at + 8 + size, (uint32_t) crc32(0, at + 4, (uInt) size + 4));
        return at + size + 12;
}

/* A black and white picture in stripes, one bit a pixel: a reply costs little to send and to decode. */
static int png_new(uint8_t **ret, size_t *ret_size, unsigned width, unsigned height) {
        size_t row = 1 + (width + 7) / 8, packed = compressBound(row * height);
        uint8_t *pixels = calloc(height, row), *data = malloc(packed), *png = malloc(packed + 256);
        uint8_t *at = png;
        uint8_t header[13] = { [8] = 1 }, text[sizeof(TEXT_KEYWORD) + SERIAL_DIGITS] = TEXT_KEYWORD;
        int r = -ENOMEM;

        if (!pixels || !data || !png)
                goto finish;
        for (unsigned y = 0; y < height; y++)
                memset(pixels + y * row + 1, (y / 8) % 2 ? 0xf0 : 0x0f, row - 1);
        if (compress2(data, &packed, pixels, row * height, Z_BEST_COMPRESSION) != Z_OK)
                goto finish;

        put_be32(header, width);
        put_be32(header + 4, height);
        memcpy(at, "\x89PNG\r\n\x1a\n", 8);
        at = chunk_put(at + 8, "IHDR", header, sizeof(header));
        at = chunk_put(at, "tEXt", text, sizeof(text));
        at = chunk_put(at, "IDAT", data, packed);
        at = chunk_put(at, "IEND", data, 0);
        *ret_size = (size_t) (at - png);
        *ret = png;
        png = NULL;
        r = 0;
finish:
        free(pixels);
        free(data);
        free(png);
        return r;
}

static void base64_put(char *out, const uint8_t *in, size_t size) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (; size > 0; in += 3, size -= size < 3 ? size : 3) {
                uint32_t second = size > 1 ? in[1] : 0, third = size > 2 ? in[2] : 0;
                uint32_t three = (uint32_t) in[0] << 16 | second << 8 | third;

                *out++ = digits[three >> 18];
                *out++ = digits[three >> 12 & 63];
                *out++ = size > 1 ? digits[three >> 6 & 63] : '=';
                *out++ = size > 2 ? digits[three & 63] : '=';
        }
}

static int reply_new(Fake *fake) {
        static const char tail[] =
                "\"}],\"background\":\"opaque\",\"output_format\":\"png\",\"usage\":{\"total_tokens\":20,"
                "\"input_tokens\":10,\"output_tokens\":10,\"input_tokens_details\":{\"text_tokens\":10,"
                "\"image_tokens\":0}}}";
        size_t base64_size = (fake->png_size + 2) / 3 * 4;
        char head[64];
        int head_size =
                snprintf(head, sizeof(head), "{\"created\":%lld,\"data\":[{\"b64_json\":\"", (long long) time(NULL));

        fake->reply = malloc(HEADER_BYTES_MAX + base64_size + sizeof(head) + sizeof(tail));
        if (!fake->reply)
                return -ENOMEM;
        fake->base64_at =
                (size_t) sprintf(fake->reply,
                                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_fast\r\n"
                                 "Content-Length: %zu\r\n\r\n%s",
                                 (size_t) head_size + base64_size + sizeof(tail) - 1, head);
        base64_put(fake->reply + fake->base64_at, fake->png, fake->png_size);
        memcpy(fake->reply + fake->base64_at + base64_size, tail, sizeof(tail));
        fake->reply_size = fake->base64_at + base64_size + sizeof(tail) - 1;
        return 0;
}

/* Writes the next serial into picture and reply: only the bytes from the digits to the checksum change. */
static void reply_renew(Fake *fake) {
        size_t from = SERIAL_AT / 3 * 3, to = (TEXT_CRC_AT + 4 + 2) / 3 * 3;
        uint64_t serial = ++fake->serial;

        for (size_t i = SERIAL_DIGITS; i-- > 0; serial /= 10)
                fake->png[SERIAL_AT + i] = (uint8_t) ('0' + serial % 10);
        put_be32(fake->png + TEXT_CRC_AT, (uint32_t) crc32(0, fake->png + TEXT_TYPE_AT, TEXT_CRC_AT - TEXT_TYPE_AT));
        base64_put(fake->reply + fake->base64_at + from / 3 * 4, fake->png + from, to - from);
}

static Connection *connection_free(Connection *connection) {
        close(connection->fd);
        free(connection->unsent);
        free(connection);
        return NULL;
}

/* Returns 0, or -EPIPE when the connection is of no more use. What the socket does not take is kept. */
static int connection_send(Connection *connection, const char *data, size_t size) {
        ssize_t n = send(connection->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN)
                return -EPIPE;
        if (n == (ssize_t) size)
                return 0;
        n = n < 0 ? 0 : n;
        connection->unsent_at = 0;
        connection->unsent_size = size - (size_t) n;
        connection->unsent = malloc(connection->unsent_size);
        if (!connection->unsent)
                return -EPIPE;
        memcpy(connection->unsent, data + n, connection->unsent_size);
        return 0;
}

static int connection_answer(Fake *fake, Connection *connection) {
        static const char unknown[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        const char *request = connection->request;

        if (strncmp(request, "POST /v1/images/generations ", 28) == 0) {
                reply_renew(fake);
                return connection_send(connection, fake->reply, fake->reply_size);
        }
        if (strncmp(request, "GET /v1/models ", 15) == 0)
                return connection_send(connection, fake->models, strlen(fake->models));
        return connection_send(connection, unknown, sizeof(unknown) - 1);
}

/* The size of the first request in the buffer, or 0 while it is not whole. */
static size_t request_size(const Connection *connection) {
        const char *end = strstr(connection->request, "\r\n\r\n"), *length;
        size_t size;

        if (!end)
                return 0;
        length = strcasestr(connection->request, "\r\ncontent-length:");
        size = (size_t) (end + 4 - connection->request);
        size += length && length < end ? strtoul(length + 17, NULL, 10) : 0;
        return size <= connection->received ? size : 0;
}

static int connection_read(Fake *fake, Connection *connection) {
        size_t space = REQUEST_BYTES_MAX - connection->received, size;
        ssize_t n = recv(connection->fd, connection->request + connection->received, space, MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n <= 0)
                return -EPIPE;
        connection->received += (size_t) n;
        connection->request[connection->received] = '\0';
        while (!connection->unsent && (size = request_size(connection)) > 0) {
                int r = connection_answer(fake, connection);
                if (r < 0)
                        return r;
                connection->received -= size;
                memmove(connection->request, connection->request + size, connection->received + 1);
        }
        return 0;
}

static int connection_flush(Connection *connection) {
        ssize_t n = send(connection->fd, connection->unsent + connection->unsent_at,
                         connection->unsent_size - connection->unsent_at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN ? 0 : -EPIPE;
        connection->unsent_at += (size_t) n;
        if (connection->unsent_at == connection->unsent_size) {
                free(connection->unsent);
                connection->unsent = NULL;
        }
        return 0;
}

static void connection_dispatch(Fake *fake, Connection *connection) {
        bool blocked = connection->unsent;
        int r = blocked ? connection_flush(connection) : connection_read(fake, connection);

        if (r >= 0 && blocked != !!connection->unsent) {
                struct epoll_event event = { connection->unsent ? EPOLLOUT : EPOLLIN, { connection } };
                r = epoll_ctl(fake->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
        }
        if (r < 0)
                connection_free(connection);
}

static void fake_accept(Fake *fake) {
        struct epoll_event event = { EPOLLIN, { NULL } };
        Connection *connection;
        int fd = accept4(fake->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;

        if (fd < 0)
                return;
        connection = malloc(sizeof(*connection));
        if (!connection) {
                close(fd);
                return;
        }
        connection->fd = fd;
        connection->received = 0;
        connection->unsent = NULL;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        event.data.ptr = connection;
        if (epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                connection_free(connection);
}

static int fake_run(Fake *fake) {
        struct epoll_event events[EVENTS_MAX];

        for (;;) {
                int count = epoll_wait(fake->epoll_fd, events, EVENTS_MAX, -1);
                if (count < 0 && errno != EINTR)
                        return -errno;
                for (int i = 0; i < count; i++) {
                        if (events[i].data.ptr == &fake->signal_fd)
                                return 0;
                        if (events[i].data.ptr == &fake->listen_fd)
                                fake_accept(fake);
                        else
                                connection_dispatch(fake, events[i].data.ptr);
                }
        }
}

static int fake_watch(Fake *fake, int *fd) {
        struct epoll_event event = { EPOLLIN, { fd } };

        return *fd < 0 || epoll_ctl(fake->epoll_fd, EPOLL_CTL_ADD, *fd, &event) < 0 ? -errno : 0;
}

static int fake_listen(Fake *fake, uint16_t port) {
        struct sockaddr_in address = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) }, { 0 } };
        socklen_t size = sizeof(address);
        sigset_t signals;
        int one = 1;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        fake->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
        fake->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        fake->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void) setsockopt(fake->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fake->listen_fd, (struct sockaddr *) &address, size) < 0 ||
            listen(fake->listen_fd, LISTEN_BACKLOG) < 0 ||
            getsockname(fake->listen_fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        printf("%u\n", ntohs(address.sin_port));
        fflush(stdout);
        return fake_watch(fake, &fake->signal_fd) ?: fake_watch(fake, &fake->listen_fd);
}

static void models_write(Fake *fake, const char *model) {
        char body[256];
        int size = snprintf(body, sizeof(body),
                            "{\"object\":\"list\",\"data\":[{\"id\":\"%.64s\","
                            "\"object\":\"model\",\"created\":1776729600,\"owned_by\":\"system\"}]}",
                            model);

        snprintf(fake->models, sizeof(fake->models),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, body);
}

int main(int argc, char **argv) {
        static const struct option options[] = { { "port", required_argument, NULL, 'p' },
                                                 { "size", required_argument, NULL, 's' },
                                                 { "model", required_argument, NULL, 'm' },
                                                 {} };
        const char *model = "gpt-image-2";
        unsigned port = 0, width = 64, height = 64;
        bool good = true;
        Fake fake = {};
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (c == 'p')
                        good = good && sscanf(optarg, "%u", &port) == 1 && port <= UINT16_MAX;
                else if (c == 's')
                        good = good && sscanf(optarg, "%ux%u", &width, &height) == 2 && width - 1 < EDGE_PIXELS_MAX &&
                               height - 1 < EDGE_PIXELS_MAX;
                else if (c == 'm')
                        model = optarg;
                else
                        good = false;
        if (!good || optind != argc) {
                fprintf(stderr, "usage: %s [--port N] [--size WIDTHxHEIGHT] [--model NAME]\n", argv[0]);
                return 2;
        }

        models_write(&fake, model);
        r = png_new(&fake.png, &fake.png_size, width, height) ?: reply_new(&fake);
        if (r == 0)
                r = fake_listen(&fake, (uint16_t) port);
        if (r == 0)
                r = fake_run(&fake);
        if (r < 0)
                fprintf(stderr, "openai-fast: %s\n", strerror(-r));
        printf("%llu\n", (unsigned long long) fake.serial);
        free(fake.png);
        free(fake.reply);
        return r < 0;
}
