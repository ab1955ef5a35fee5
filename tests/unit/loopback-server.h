/* An HTTP/1.1 server on 127.0.0.1 for tests: a thread for each connection, a function that answers each request. What
 * it does on the wire is up to that function, which writes to the socket itself. */
#pragma once

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"

#define LOOPBACK_CONNECTIONS_MAX 256
#define LOOPBACK_REQUEST_BYTES_MAX (4 * 1024 * 1024)

typedef struct LoopbackServer LoopbackServer;

/* `number` counts requests from 0. Returns whether the connection goes on. */
typedef bool (*LoopbackHandler)(LoopbackServer *server, int fd, const char *request, unsigned number);

typedef struct LoopbackConnection {
        LoopbackServer *server;
        pthread_t thread;
        int fd;
} LoopbackConnection;

struct LoopbackServer {
        LoopbackHandler handler;
        char *answer; /* for handlers; freed with the server */
        int fd;
        unsigned port;
        pthread_t thread;
        pthread_mutex_t lock;
        atomic_bool stopping;
        atomic_uint requests, n_connections;
        LoopbackConnection connections[LOOPBACK_CONNECTIONS_MAX];
        char last_request[LOOPBACK_REQUEST_BYTES_MAX]; /* under `lock`; a body may have NULs */
        size_t last_size;
};

static _unused_ void loopback_send(int fd, const void *data, size_t size) {
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                data = (const char *) data + n;
                size -= (size_t) n;
        }
}

static _unused_ void loopback_send_text(int fd, const char *text) {
        loopback_send(fd, text, strlen(text));
}

static _unused_ void loopback_answer(int fd, int status, const char *headers, const char *body) {
        char head[1024];

        (void) snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body),
                        headers);
        loopback_send_text(fd, head);
        loopback_send_text(fd, body);
}

/* Waits until the client has closed, or the server stops. */
static _unused_ void loopback_await_close(int fd) {
        char byte;

        while (recv(fd, &byte, 1, 0) > 0)
                ;
}

/* Reads one whole request with its body. Returns its size, 0 at the end. */
static size_t loopback_read_request(int fd, char *request) {
        size_t size = 0, wanted = 0;

        while (size + 1 < LOOPBACK_REQUEST_BYTES_MAX) {
                ssize_t n = recv(fd, request + size, wanted ? wanted - size : 1, 0);
                const char *length;

                if (n <= 0)
                        return 0;
                size += (size_t) n;
                request[size] = 0;
                if (!wanted && size >= 4 && memcmp(request + size - 4, "\r\n\r\n", 4) == 0) {
                        length = strcasestr(request, "\r\nContent-Length:");
                        wanted = size + (length ? strtoul(length + 17, NULL, 10) : 0);
                }
                if (wanted && size >= wanted)
                        return size;
        }
        return 0;
}

static void *loopback_serve(void *userdata) {
        LoopbackConnection *connection = userdata;
        LoopbackServer *server = connection->server;
        char *request = malloc(LOOPBACK_REQUEST_BYTES_MAX);
        bool go_on = true;
        size_t size;

        while (go_on && request && (size = loopback_read_request(connection->fd, request)) > 0) {
                unsigned number = atomic_fetch_add(&server->requests, 1);

                (void) pthread_mutex_lock(&server->lock);
                memcpy(server->last_request, request, size + 1);
                server->last_size = size;
                (void) pthread_mutex_unlock(&server->lock);
                go_on = server->handler(server, connection->fd, request, number);
        }
        (void) shutdown(connection->fd, SHUT_RDWR);
        free(request);
        return NULL;
}

static void *loopback_accept(void *userdata) {
        LoopbackServer *server = userdata;

        for (;;) {
                unsigned i = atomic_load(&server->n_connections);
                int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);

                if (fd < 0 || atomic_load(&server->stopping) || i == LOOPBACK_CONNECTIONS_MAX) {
                        if (fd >= 0)
                                (void) close(fd);
                        return NULL;
                }
                server->connections[i] = (LoopbackConnection){ .server = server, .fd = fd };
                if (pthread_create(&server->connections[i].thread, NULL, loopback_serve, &server->connections[i]) != 0)
                        abort();
                atomic_store(&server->n_connections, i + 1);
        }
}

static _unused_ LoopbackServer *loopback_server_new(LoopbackHandler handler) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t length = sizeof(address);
        LoopbackServer *server = calloc(1, sizeof(*server));

        if (!server)
                abort();
        server->handler = handler;
        (void) pthread_mutex_init(&server->lock, NULL);
        server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server->fd < 0 || bind(server->fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(server->fd, 512) < 0 || getsockname(server->fd, (struct sockaddr *) &address, &length) < 0 ||
            pthread_create(&server->thread, NULL, loopback_accept, server) != 0)
                abort();
        server->port = ntohs(address.sin_port);
        return server;
}

static _unused_ void loopback_server_free(LoopbackServer *server) {
        atomic_store(&server->stopping, true);
        (void) shutdown(server->fd, SHUT_RDWR);
        (void) pthread_join(server->thread, NULL);
        for (unsigned i = 0; i < atomic_load(&server->n_connections); i++) {
                (void) shutdown(server->connections[i].fd, SHUT_RDWR);
                (void) pthread_join(server->connections[i].thread, NULL);
                (void) close(server->connections[i].fd);
        }
        (void) close(server->fd);
        (void) pthread_mutex_destroy(&server->lock);
        free(server->answer);
        free(server);
}

static _unused_ const char *loopback_url(const LoopbackServer *server, const char *path) {
        static char url[256];

        (void) snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", server->port, path);
        return url;
}
