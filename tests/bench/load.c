/* The load generator of the benchmarks: many connections, one request on each at a time, as a rule every prompt new.
 *
 * The same program drives HTTP servers and beanstalkd, with the same bytes of work in both, so that what is
 * compared is the server. Every latency is kept and sorted at the end: no bucket hides the tail. A
 * connection that the server closes between two requests is opened again; one that it closes within a
 * request counts as an error.
 *
 *   load http --to ADDRESS --path PATH --model M --size WxH [--async] ...   POST a generation
 *   load put  --to ADDRESS ...                                              put it into beanstalkd
 *   load once --to ADDRESS --path PATH                                      one GET, connect to last byte
 *
 * ADDRESS is IPV4:PORT or the path of a Unix socket. Common options: --connections N, --requests N,
 * --seconds S (whichever is reached first), --tag TEXT (into every prompt), --header LINE (any number of
 * them), --same (one prompt in all requests). Prints one line of JSON.
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
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define REQUESTS_MAX 4000000
#define REQUEST_BYTES_MAX 1024
#define HEAD_BYTES_MAX ((size_t) 4 * 1024)     /* of a reply, so much is kept: its headers */
#define HEADERS_BYTES_MAX ((size_t) 256)
#define RECEIVE_BYTES_MAX ((size_t) 256 * 1024)
#define CHUNKED_END "0\r\n\r\n"
#define CHUNKED_END_BYTES (sizeof(CHUNKED_END) - 1)
#define EVENTS_MAX 256
#define STRAGGLERS_USEC (10 * USEC_PER_SEC)
#define USEC_PER_SEC 1000000ULL
#define STATUS_MAX 600

typedef uint64_t usec_t;

typedef enum Mode {
        MODE_HTTP,
        MODE_PUT,
        MODE_ONCE,
} Mode;

typedef struct Connection {
        int fd;
        bool busy; /* a request is on its way */
        usec_t started;
        size_t received, head_size;
        char request[REQUEST_BYTES_MAX];
        char head[HEAD_BYTES_MAX + 1], tail[CHUNKED_END_BYTES];
} Connection;

typedef struct Load {
        Mode mode;
        const char *to, *path, *model, *size, *tag;
        char headers[HEADERS_BYTES_MAX]; /* further ones, each with its line end */
        bool async, same;
        uint64_t connections_count, requests_max, seconds_max;

        struct sockaddr_storage address;
        socklen_t address_size;
        int epoll_fd;
        Connection *connections;
        char received[RECEIVE_BYTES_MAX];
        uint64_t begun, done, errors, busy_count;
        uint64_t statuses[STATUS_MAX];
        uint32_t *latencies_usec;
        usec_t start, deadline;
} Load;

static usec_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (usec_t) ts.tv_sec * USEC_PER_SEC + (usec_t) ts.tv_nsec / 1000;
}

static int address_parse(Load *load) {
        struct sockaddr_in *in = (struct sockaddr_in *) &load->address;
        struct sockaddr_un *un = (struct sockaddr_un *) &load->address;
        char host[64];
        unsigned port;

        if (load->to[0] == '/' && strlen(load->to) < sizeof(un->sun_path)) {
                un->sun_family = AF_UNIX;
                strcpy(un->sun_path, load->to);
                load->address_size = sizeof(*un);
                return 0;
        }
        if (sscanf(load->to, "%63[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX ||
            inet_pton(AF_INET, host, &in->sin_addr) != 1)
                return -EINVAL;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t) port);
        load->address_size = sizeof(*in);
        return 0;
}

static size_t body_format(const Load *load, char *out, size_t size) {
        return (size_t) snprintf(out, size,
                                 "{\"model\":\"%s\",\"prompt\":\"a lighthouse, %s, number %llu\",\"size\":\"%s\"}",
                                 load->model, load->tag, load->same ? 0ULL : (unsigned long long) load->begun, load->size);
}

static size_t request_format(const Load *load, char *out) {
        char body[REQUEST_BYTES_MAX / 2];
        size_t size = body_format(load, body, sizeof(body));
        int n;

        if (load->mode == MODE_PUT)
                n = snprintf(out, REQUEST_BYTES_MAX, "put 0 0 60 %zu\r\n%s\r\n", size, body);
        else if (load->mode == MODE_ONCE)
                n = snprintf(out, REQUEST_BYTES_MAX, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", load->path);
        else
                n = snprintf(out, REQUEST_BYTES_MAX,
                             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                             "Authorization: Bearer sk-bench\r\n%s%sContent-Length: %zu\r\n\r\n%s",
                             load->path, load->async ? "Prefer: respond-async\r\n" : "", load->headers, size, body);
        return (size_t) n;
}

/* The status of a whole reply, 0 while it is not whole, -EBADMSG when it is none. */
static int http_status(const Connection *connection) {
        const char *reply = connection->head, *end = strstr(reply, "\r\n\r\n"), *length;
        size_t whole = 0;
        int status;

        if (!end)
                return connection->head_size == HEAD_BYTES_MAX ? -EBADMSG : 0;
        if (sscanf(reply, "HTTP/1.%*c %d", &status) != 1 || status < 100 || status >= STATUS_MAX)
                return -EBADMSG;
        length = strcasestr(reply, "\r\ncontent-length:");
        if (length && length < end)
                whole = (size_t) (end + 4 - reply) + strtoul(length + 17, NULL, 10);
        if (whole > 0)
                return connection->received >= whole ? status : 0;
        /* Chunked: one reply at a time is on the wire, so its end is the end of what came. */
        return memcmp(connection->tail, CHUNKED_END, CHUNKED_END_BYTES) == 0 ? status : 0;
}

static int put_status(const Connection *connection) {
        if (connection->tail[CHUNKED_END_BYTES - 1] != '\n')
                return 0;
        return strncmp(connection->head, "INSERTED ", 9) == 0 ? 200 : 500;
}

static void connection_disconnect(Connection *connection) {
        if (connection->fd >= 0)
                close(connection->fd);
        connection->fd = -1;
}

static int connection_connect(Load *load, Connection *connection) {
        struct epoll_event event = { EPOLLIN, { connection } };
        int one = 1;

        connection->fd = socket(load->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *) &load->address, load->address_size) < 0)
                return -errno;
        if (load->address.ss_family == AF_INET)
                (void) setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0 ? -errno : 0;
}

static bool load_is_spent(const Load *load) {
        return load->begun >= load->requests_max || now_usec() >= load->deadline;
}

static void request_fail(Load *load, Connection *connection) {
        load->errors++;
        load->busy_count--;
        connection->busy = false;
        connection_disconnect(connection);
}

/* Requests are far smaller than a socket's buffer: a blocking send takes them whole. */
static int request_begin(Load *load, Connection *connection) {
        size_t size = request_format(load, connection->request);
        int r;

        connection->started = now_usec();
        if (connection->fd < 0) {
                r = connection_connect(load, connection);
                if (r < 0)
                        return r;
        }
        load->begun++;
        load->busy_count++;
        connection->busy = true;
        connection->received = connection->head_size = 0;
        memset(connection->tail, 0, CHUNKED_END_BYTES);
        if (send(connection->fd, connection->request, size, MSG_NOSIGNAL) != (ssize_t) size)
                request_fail(load, connection);
        return 0;
}

static void request_end(Load *load, Connection *connection, int status) {
        load->latencies_usec[load->done++] = (uint32_t) (now_usec() - connection->started);
        load->statuses[status]++;
        load->busy_count--;
        connection->busy = false;
        if (load->mode != MODE_PUT && strcasestr(connection->head, "\r\nconnection: close"))
                connection_disconnect(connection);
}

/* Of a reply the beginning and the last bytes are looked at, the rest is counted: it may be megabytes. */
static void connection_take(Connection *connection, const char *data, size_t size) {
        size_t room = HEAD_BYTES_MAX - connection->head_size, head = size < room ? size : room;
        size_t old = size < CHUNKED_END_BYTES ? CHUNKED_END_BYTES - size : 0;

        memcpy(connection->head + connection->head_size, data, head);
        connection->head_size += head;
        connection->head[connection->head_size] = '\0';
        memmove(connection->tail, connection->tail + CHUNKED_END_BYTES - old, old);
        memcpy(connection->tail + old, data + size - (CHUNKED_END_BYTES - old), CHUNKED_END_BYTES - old);
        connection->received += size;
}

static void connection_dispatch(Load *load, Connection *connection) {
        ssize_t n = recv(connection->fd, load->received, RECEIVE_BYTES_MAX, MSG_DONTWAIT);
        int status;

        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0) {
                if (connection->busy)
                        request_fail(load, connection);
                else
                        connection_disconnect(connection);
                return;
        }
        connection_take(connection, load->received, (size_t) n);
        status = load->mode == MODE_PUT ? put_status(connection) : http_status(connection);
        if (status < 0)
                request_fail(load, connection);
        else if (status > 0)
                request_end(load, connection, status);
}

static int load_run(Load *load) {
        struct epoll_event events[EVENTS_MAX];

        load->start = now_usec();
        load->deadline = load->start + load->seconds_max * USEC_PER_SEC;
        for (uint64_t i = 0; i < load->connections_count && !load_is_spent(load); i++) {
                int r = request_begin(load, &load->connections[i]);
                if (r < 0)
                        return r;
        }
        while (load->busy_count > 0 && now_usec() < load->deadline + STRAGGLERS_USEC) {
                int count = epoll_wait(load->epoll_fd, events, EVENTS_MAX, 100);
                for (int i = 0; i < count; i++) {
                        Connection *connection = events[i].data.ptr;
                        connection_dispatch(load, connection);
                        if (!connection->busy && !load_is_spent(load)) {
                                int r = request_begin(load, connection);
                                if (r < 0)
                                        return r;
                        }
                }
        }
        load->errors += load->busy_count;
        return 0;
}

static int latency_compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

static uint32_t load_percentile(const Load *load, unsigned percent) {
        return load->done > 0 ? load->latencies_usec[(load->done - 1) * percent / 100] : 0;
}

static void load_print(Load *load) {
        double seconds = (double) (now_usec() - load->start) / (double) USEC_PER_SEC;
        const char *comma = "";

        qsort(load->latencies_usec, load->done, sizeof(uint32_t), latency_compare);
        printf("{\"requests\":%llu,\"errors\":%llu,\"seconds\":%.6f,\"rate\":%.1f,", (unsigned long long) load->done,
               (unsigned long long) load->errors, seconds, (double) load->done / seconds);
        printf("\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,\"statuses\":{", load_percentile(load, 50),
               load_percentile(load, 99), load_percentile(load, 100));
        for (unsigned status = 0; status < STATUS_MAX; status++)
                if (load->statuses[status] > 0) {
                        printf("%s\"%u\":%llu", comma, status, (unsigned long long) load->statuses[status]);
                        comma = ",";
                }
        printf("}}\n");
}

static int load_prepare(Load *load) {
        int r = address_parse(load);

        if (r < 0)
                return r;
        load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        load->connections = calloc(load->connections_count, sizeof(Connection));
        load->latencies_usec = calloc(load->requests_max, sizeof(uint32_t));
        if (load->epoll_fd < 0 || !load->connections || !load->latencies_usec)
                return -ENOMEM;
        for (uint64_t i = 0; i < load->connections_count; i++)
                load->connections[i].fd = -1;
        return 0;
}

static bool number_parse(const char *text, uint64_t max, uint64_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0' && end != text && *ret >= 1 && *ret <= max;
}

static bool header_add(Load *load, const char *line) {
        size_t used = strlen(load->headers);
        int n = snprintf(load->headers + used, HEADERS_BYTES_MAX - used, "%s\r\n", line);

        return n > 0 && (size_t) n < HEADERS_BYTES_MAX - used;
}

static bool option_take(Load *load, int c) {
        switch (c) {
        case 'a':
                load->async = true;
                return true;
        case 'S':
                load->same = true;
                return true;
        case 'c':
                return number_parse(optarg, CONNECTIONS_MAX, &load->connections_count);
        case 'n':
                return number_parse(optarg, REQUESTS_MAX, &load->requests_max);
        case 's':
                return number_parse(optarg, 3600, &load->seconds_max);
        case 'z':
                load->size = optarg;
                return true;
        case 't':
                load->to = optarg;
                return true;
        case 'p':
                load->path = optarg;
                return true;
        case 'm':
                load->model = optarg;
                return true;
        case 'g':
                load->tag = optarg;
                return true;
        case 'h':
                return header_add(load, optarg);
        default:
                return false;
        }
}

static bool arguments_parse(Load *load, int argc, char **argv) {
        static const struct option options[] = {
                { "async", no_argument, NULL, 'a' },          { "connections", required_argument, NULL, 'c' },
                { "requests", required_argument, NULL, 'n' }, { "seconds", required_argument, NULL, 's' },
                { "size", required_argument, NULL, 'z' },     { "to", required_argument, NULL, 't' },
                { "path", required_argument, NULL, 'p' },     { "model", required_argument, NULL, 'm' },
                { "tag", required_argument, NULL, 'g' },      { "header", required_argument, NULL, 'h' },
                { "same", no_argument, NULL, 'S' },           {}
        };
        static const char *const modes[] = {
                [MODE_HTTP] = "http",
                [MODE_PUT] = "put",
                [MODE_ONCE] = "once",
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (!option_take(load, c))
                        return false;
        for (unsigned i = 0; optind == argc - 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
                if (strcmp(argv[optind], modes[i]) == 0) {
                        load->mode = (Mode) i;
                        return load->to;
                }
        return false;
}

int main(int argc, char **argv) {
        Load load = {
                .path = "/v1/images/generations",
                .model = "gpt-image-2",
                .size = "1024x1024",
                .tag = "bench",
                .connections_count = 64,
                .requests_max = REQUESTS_MAX,
                .seconds_max = 10,
                .epoll_fd = -1,
        };
        int r;

        if (!arguments_parse(&load, argc, argv)) {
                fprintf(stderr,
                        "usage: %s http|put|once --to ADDRESS [--path P] [--connections N]\n"
                        "       [--requests N] [--seconds S] [--model M] [--size WxH] [--tag TEXT] [--async]\n"
                        "       [--header LINE]... [--same]\n",
                        argv[0]);
                return 2;
        }
        if (load.mode == MODE_ONCE)
                load.connections_count = load.requests_max = 1;
        r = load_prepare(&load);
        if (r == 0)
                r = load_run(&load);
        if (r < 0) {
                fprintf(stderr, "load: %s: %s\n", load.to, strerror(-r));
                return 1;
        }
        load_print(&load);
        free(load.connections);
        free(load.latencies_usec);
        close(load.epoll_fd);
        return 0;
}
