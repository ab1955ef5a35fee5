/* A fake OpenAI fast enough to measure what stands before it.
 *
 * One thread, one epoll, HTTP/1.1 with keep-alive on the loopback. It checks next to nothing: the other
 * fake (openai.mjs) does. Every picture is another one: a serial number stands in a tEXt chunk right after
 * the header, and only those bytes, their checksum and the few base64 digits that cover them are made anew
 * for a reply; all else of the reply is made once and sent from there. The first line printed is the port,
 * the last, at SIGTERM, how many pictures were sent.
 *
 *   openai-fast [--port N] [--size WIDTHxHEIGHT] [--model NAME] [--noise] [--gather N]
 *
 * Pictures are in stripes and small, with --noise 24 bits a pixel that do not compress. With --gather it
 * answers nobody before N requests wait, and then all of them at once.
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
#include <sys/uio.h>
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

/* What of the picture is made anew, in whole groups of base64: three bytes are four digits. */
#define RENEWED_FROM (SERIAL_AT / 3 * 3)
#define RENEWED_TO ((TEXT_CRC_AT + 4 + 2) / 3 * 3)
#define RENEWED_DIGITS ((RENEWED_TO - RENEWED_FROM) / 3 * 4)

typedef enum State {
        STATE_READING,
        STATE_GATHERED,  /* waits until enough others do */
        STATE_ANSWERING,
} State;

typedef struct Connection {
        int fd;
        State state;
        size_t received; /* bytes of the request in `request` */
        size_t sent;     /* of the reply under way */
        struct Connection *gathered; /* the next one that waits for an answer */
        char renewed[RENEWED_DIGITS];
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
        Connection *gathered;
        unsigned gather, gathered_count;
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

/* Black and white, one bit a pixel: a reply costs little to send and to decode. */
static void stripes_put(uint8_t *row, size_t size, unsigned y) {
        memset(row, (y / 8) % 2 ? 0xf0 : 0x0f, size);
}

/* xorshift64: the same noise every time. */
static void noise_put(uint8_t *row, size_t size, uint64_t *state) {
        for (size_t i = 0; i < size; i++) {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                row[i] = (uint8_t) *state;
        }
}

static int png_new(uint8_t **ret, size_t *ret_size, unsigned width, unsigned height, bool noise) {
        size_t row = 1 + (noise ? (size_t) width * 3 : (width + 7) / 8), packed = compressBound(row * height);
        uint8_t *pixels = calloc(height, row), *data = malloc(packed), *png = malloc(packed + 256);
        uint8_t *at = png;
        uint8_t header[13] = { [8] = noise ? 8 : 1, [9] = noise ? 2 : 0 };
        uint8_t text[sizeof(TEXT_KEYWORD) + SERIAL_DIGITS] = TEXT_KEYWORD;
        uint64_t state = 1;
        int r = -ENOMEM;

        if (!pixels || !data || !png)
                goto finish;
        for (unsigned y = 0; y < height; y++)
                if (noise)
                        noise_put(pixels + y * row + 1, row - 1, &state);
                else
                        stripes_put(pixels + y * row + 1, row - 1, y);
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

/* Writes the next serial into the picture, and for the connection the digits that are then other ones. */
static void reply_renew(Fake *fake, Connection *connection) {
        uint64_t serial = ++fake->serial;

        for (size_t i = SERIAL_DIGITS; i-- > 0; serial /= 10)
                fake->png[SERIAL_AT + i] = (uint8_t) ('0' + serial % 10);
        put_be32(fake->png + TEXT_CRC_AT, (uint32_t) crc32(0, fake->png + TEXT_TYPE_AT, TEXT_CRC_AT - TEXT_TYPE_AT));
        base64_put(connection->renewed, fake->png + RENEWED_FROM, RENEWED_TO - RENEWED_FROM);
}

static Connection *connection_free(Connection *connection) {
        close(connection->fd);
        free(connection);
        return NULL;
}

/* Sends on: the reply that all share, but for the digits that are this connection's own. -EPIPE: it is of no more
 * use. */
static int connection_flush(const Fake *fake, Connection *connection) {
        size_t renewed_at = fake->base64_at + RENEWED_FROM / 3 * 4;
        const struct iovec parts[] = {
                { fake->reply, renewed_at },
                { connection->renewed, RENEWED_DIGITS },
                { fake->reply + renewed_at + RENEWED_DIGITS, fake->reply_size - renewed_at - RENEWED_DIGITS },
        };
        struct iovec rest[3];
        size_t skip = connection->sent;
        int count = 0;
        ssize_t n;

        for (unsigned i = 0; i < 3; i++) {
                size_t skipped = skip < parts[i].iov_len ? skip : parts[i].iov_len;

                skip -= skipped;
                if (skipped < parts[i].iov_len)
                        rest[count++] = (struct iovec) { (char *) parts[i].iov_base + skipped,
                                                         parts[i].iov_len - skipped };
        }
        n = writev(connection->fd, rest, count);
        if (n < 0)
                return errno == EAGAIN ? 0 : -EPIPE;
        connection->sent += (size_t) n;
        connection->state = connection->sent < fake->reply_size ? STATE_ANSWERING : STATE_READING;
        return 0;
}

static int connection_watch(Fake *fake, Connection *connection) {
        static const uint32_t events[] = {
                [STATE_READING] = EPOLLIN,
                [STATE_GATHERED] = 0,
                [STATE_ANSWERING] = EPOLLOUT,
        };
        struct epoll_event event = { events[connection->state], { connection } };

        return epoll_ctl(fake->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0 ? -errno : 0;
}

/* All that have been gathered are answered as their sockets take it. */
static void fake_release(Fake *fake) {
        fake->gathered_count = 0;
        for (Connection *connection = fake->gathered; connection; connection = connection->gathered) {
                connection->state = STATE_ANSWERING;
                (void) connection_watch(fake, connection);
        }
        fake->gathered = NULL;
}

static int connection_picture(Fake *fake, Connection *connection) {
        reply_renew(fake, connection);
        connection->sent = 0;
        if (fake->gather == 0)
                return connection_flush(fake, connection);

        connection->state = STATE_GATHERED;
        connection->gathered = fake->gathered;
        fake->gathered = connection;
        if (++fake->gathered_count == fake->gather)
                fake_release(fake);
        return 0;
}

/* Small: a socket whose last reply is through takes it whole. */
static int connection_send(Connection *connection, const char *data, size_t size) {
        return send(connection->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) size ? 0 : -EPIPE;
}

static int connection_answer(Fake *fake, Connection *connection) {
        static const char unknown[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        const char *request = connection->request;

        if (strncmp(request, "POST /v1/images/generations ", 28) == 0)
                return connection_picture(fake, connection);
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
        while (connection->state == STATE_READING && (size = request_size(connection)) > 0) {
                int r = connection_answer(fake, connection);
                if (r < 0)
                        return r;
                connection->received -= size;
                memmove(connection->request, connection->request + size, connection->received + 1);
        }
        return 0;
}

/* It went before it was answered. */
static void connection_abandon(Fake *fake, Connection *connection) {
        Connection **at = &fake->gathered;

        while (*at != connection)
                at = &(*at)->gathered;
        *at = connection->gathered;
        fake->gathered_count--;
        connection_free(connection);
}

static void connection_dispatch(Fake *fake, Connection *connection) {
        State before = connection->state;
        int r;

        if (before == STATE_GATHERED) {
                connection_abandon(fake, connection);
                return;
        }
        r = before == STATE_ANSWERING ? connection_flush(fake, connection) : connection_read(fake, connection);
        if (r >= 0 && before != connection->state)
                r = connection_watch(fake, connection);
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
        connection->state = STATE_READING;
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
                                                 { "gather", required_argument, NULL, 'g' },
                                                 { "noise", no_argument, NULL, 'n' },
                                                 {} };
        const char *model = "gpt-image-2";
        unsigned port = 0, width = 64, height = 64;
        bool good = true, noise = false;
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
                else if (c == 'g')
                        good = good && sscanf(optarg, "%u", &fake.gather) == 1;
                else if (c == 'n')
                        noise = true;
                else
                        good = false;
        if (!good || optind != argc) {
                fprintf(stderr, "usage: %s [--port N] [--size WIDTHxHEIGHT] [--model NAME] [--noise] [--gather N]\n",
                        argv[0]);
                return 2;
        }

        models_write(&fake, model);
        r = png_new(&fake.png, &fake.png_size, width, height, noise) ?: reply_new(&fake);
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
