/* The Varlink server: listening sockets, limits, who may call what.
 *
 * Listeners and connections share one PollSet. A connection past a limit is accepted and closed at once, so that its
 * client learns of it; when descriptors run out nothing can be accepted, and the listeners rest for a moment, since
 * the waiting connection would wake the loop at every turn. The connections themselves are in varlink-connection.c,
 * the interfaces in varlink-registry.c. */
#include "io/varlink-server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "io/varlink-call.h"
#include "io/varlink-connection.h"
#include "io/varlink-registry.h"
#include "io/varlink-service.h"

#define LISTENERS_MAX 16
#define ACCEPTS_PER_TURN_MAX 32
#define ACCEPT_PAUSE_USEC (100 * USEC_PER_MSEC)
#define REFUSALS_LOG_USEC (10 * USEC_PER_SEC)

typedef struct UserCount {
        uid_t uid;
        unsigned connections;
} UserCount;

struct VarlinkServer {
        void *userdata;
        VarlinkAuthorizer authorizer;
        VarlinkObserver observer;
        void *observer_userdata;
        VarlinkBusyHandler busy_handler;

        VarlinkRegistry *registry;
        VarlinkService service;

        PollSet *set;
        VarlinkPool *pool;
        PollSource *listeners[LISTENERS_MAX];
        size_t n_listeners;
        sd_event_source *pause_source;  /* brings resting listeners back */

        UserCount *users;  /* those that have connections */
        size_t n_users;

        unsigned refusals;         /* since the last record of them */
        usec_t refusals_logged_at; /* monotonic, 0 = never */
};

/* ---------------------------------------------------------------- calls */

static int refuse_unknown(VarlinkCall *call, int outcome, const char *method) {
        static const char *const errors[] = {
                [VARLINK_NO_INTERFACE] = VARLINK_ERROR_INTERFACE_NOT_FOUND,
                [VARLINK_NO_METHOD] = VARLINK_ERROR_METHOD_NOT_FOUND,
                [VARLINK_NOT_IMPLEMENTED] = VARLINK_ERROR_METHOD_NOT_IMPLEMENTED,
        };
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        const char *dot = strrchr(method, '.');
        int r;

        if (outcome == VARLINK_NO_INTERFACE) {
                _cleanup_free_ char *interface = strndup(method, dot ? (size_t) (dot - method) : strlen(method));

                r = interface ? json_add_string(parameters, "interface", interface) : -ENOMEM;
        } else
                r = json_add_string(parameters, "method", method);
        if (r < 0)
                return r;

        return varlink_call_error(call, errors[outcome], TAKE_PTR(parameters));
}

static bool server_authorizes(VarlinkServer *server, VarlinkCall *call, const VarlinkTarget *target) {
        if (!server->authorizer || target->userdata == &server->service)
                return true;
        return server->authorizer(varlink_call_peer(call), varlink_call_method(call), server->userdata);
}

static int on_called(VarlinkCall *call, void *userdata) {
        VarlinkServer *server = userdata;
        const JsonValue *parameters = varlink_call_parameters(call);
        const char *field = NULL;
        VarlinkTarget target;
        int r;

        varlink_call_set_observer(call, server->observer, server->observer_userdata);
        r = varlink_registry_find(server->registry, varlink_call_method(call), &target);
        if (r > 0)
                return refuse_unknown(call, r, varlink_call_method(call));
        if (!server_authorizes(server, call, &target))
                return varlink_call_error(call, VARLINK_ERROR_PERMISSION_DENIED, NULL);
        if (target.method->needs_more && !varlink_call_wants_more(call))
                return varlink_call_error(call, VARLINK_ERROR_EXPECTED_MORE, NULL);
        if (varlink_interface_check_input(target.interface, target.method->name, parameters, &field) != 0)
                return varlink_call_invalid_parameter(call, field);

        varlink_call_set_interface(call, target.interface, target.method->name);
        return target.method->handler(call, parameters, target.userdata);
}

static void on_busy(bool busy, void *userdata) {
        VarlinkServer *server = userdata;

        if (server->busy_handler)
                server->busy_handler(busy, server->userdata);
}

/* ---------------------------------------------------------------- connections and their limits */

static UserCount *server_find_user(VarlinkServer *server, uid_t uid) {
        for (size_t i = 0; i < server->n_users; i++)
                if (server->users[i].uid == uid)
                        return &server->users[i];
        return NULL;
}

static int server_count_user(VarlinkServer *server, uid_t uid) {
        UserCount *user = server_find_user(server, uid), *users;

        if (!user) {
                users = reallocarray(server->users, server->n_users + 1, sizeof(UserCount));
                if (!users)
                        return -ENOMEM;
                server->users = users;
                user = &users[server->n_users++];
                *user = (UserCount) { .uid = uid };
        }
        if (user->connections >= VARLINK_CONNECTIONS_PER_UID_MAX)
                return -EUSERS;

        user->connections++;
        return 0;
}

static void server_uncount_user(VarlinkServer *server, uid_t uid) {
        UserCount *user = server_find_user(server, uid);

        assert(user && user->connections > 0);
        if (--user->connections == 0)
                *user = server->users[--server->n_users];
}

static void server_resume(VarlinkServer *server) {
        for (size_t i = 0; i < server->n_listeners; i++)
                (void) poll_source_set_events(server->listeners[i], EPOLLIN);
}

static int on_pause_over(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        server_resume(userdata);
        return 0;
}

static void server_pause(VarlinkServer *server) {
        for (size_t i = 0; i < server->n_listeners; i++)
                (void) poll_source_set_events(server->listeners[i], 0);
        (void) sd_event_source_set_time_relative(server->pause_source, ACCEPT_PAUSE_USEC);
        (void) sd_event_source_set_enabled(server->pause_source, SD_EVENT_ONESHOT);
}

static void on_closed(uid_t uid, void *userdata) {
        server_uncount_user(userdata, uid);
}

int varlink_server_adopt(VarlinkServer *server, int fd) {
        _cleanup_(varlink_peer_done) VarlinkPeer peer = {};
        _cleanup_close_ int owned = fd;
        uid_t uid;
        int r;

        if (varlink_pool_count(server->pool) >= VARLINK_CONNECTIONS_MAX)
                return -EUSERS;
        r = varlink_peer_read(&peer, fd);
        if (r < 0)
                return r;
        uid = peer.uid;
        r = server_count_user(server, uid);
        if (r < 0)
                return r;

        r = varlink_pool_add(server->pool, TAKE_FD(owned), &peer);
        if (r < 0)
                server_uncount_user(server, uid);
        return r;
}

/* A client can cause these at will: one record tells of many. */
static void server_log_refusal(VarlinkServer *server, int error) {
        usec_t now = time_now_monotonic();

        server->refusals++;
        if (server->refusals_logged_at > 0 && now - server->refusals_logged_at < REFUSALS_LOG_USEC)
                return;
        (void) log_debug_errno(error, "%u Varlink connections not accepted since the last such record, the newest",
                               server->refusals);
        server->refusals = 0;
        server->refusals_logged_at = now;
}

static int server_accept(VarlinkServer *server, int listener) {
        int fd, r;

        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
                if (errno == EINTR || errno == ECONNABORTED)
                        return 0;
                return -errno;
        }

        r = varlink_server_adopt(server, fd);
        if (r < 0)
                server_log_refusal(server, r);
        return 0;
}

static int on_listener(_unused_ PollSource *source, int fd, _unused_ uint32_t revents, void *userdata) {
        VarlinkServer *server = userdata;
        int r = 0;

        for (unsigned n = 0; n < ACCEPTS_PER_TURN_MAX && r >= 0; n++)
                r = server_accept(server, fd);
        if (r < 0 && r != -EAGAIN) {
                server_log_refusal(server, r);
                server_pause(server);
        }
        varlink_pool_event_handled(server->pool);
        return 0;
}

int varlink_server_listen(VarlinkServer *server, int fd) {
        int domain, type, listening, r;
        socklen_t size = sizeof(int);

        if (server->n_listeners >= LISTENERS_MAX)
                return -E2BIG;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
                return -errno;
        if (domain != AF_UNIX || type != SOCK_STREAM || !listening)
                return -EINVAL;

        r = fd_set_nonblocking(fd);
        if (r < 0)
                return r;
        r = poll_set_add(server->set, fd, EPOLLIN, on_listener, server, &server->listeners[server->n_listeners]);
        if (r < 0)
                return r;
        server->n_listeners++;
        return 0;
}

void varlink_server_quiesce(VarlinkServer *server) {
        while (server->n_listeners > 0)
                poll_source_free(server->listeners[--server->n_listeners]);
}

bool varlink_server_busy(VarlinkServer *server) {
        return varlink_pool_busy(server->pool);
}

/* ---------------------------------------------------------------- the server */

static const VarlinkPoolHooks pool_hooks = {
        .called = on_called,
        .closed = on_closed,
        .busy = on_busy,
};

static int server_add_pause_source(VarlinkServer *server, sd_event *event) {
        int r;

        r = sd_event_add_time_relative(event, &server->pause_source, CLOCK_MONOTONIC, 0, 0, on_pause_over, server);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(server->pause_source, "varlink-accept-pause");
        return sd_event_source_set_enabled(server->pause_source, SD_EVENT_OFF);
}

int varlink_server_new(VarlinkServer **ret, sd_event *event, const VarlinkProduct *product, void *userdata) {
        _cleanup_(varlink_server_freep) VarlinkServer *server = NULL;
        int r;

        server = malloc(sizeof(*server));
        if (!server)
                return -ENOMEM;
        *server = (VarlinkServer) { .userdata = userdata, .service.product = *product };

        r = poll_set_new(&server->set, event, "varlink-server", SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = varlink_pool_new(&server->pool, event, server->set, &pool_hooks, server);
        if (r < 0)
                return r;
        r = server_add_pause_source(server, event);
        if (r < 0)
                return r;
        r = varlink_registry_new(&server->registry);
        if (r < 0)
                return r;
        server->service.registry = server->registry;
        r = varlink_service_add(server->registry, &server->service);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(server);
        return 0;
}

VarlinkServer *varlink_server_free(VarlinkServer *server) {
        if (!server)
                return NULL;

        varlink_server_quiesce(server);
        varlink_pool_free(server->pool);
        sd_event_source_disable_unref(server->pause_source);
        poll_set_free(server->set);
        varlink_registry_free(server->registry);
        free(server->users);
        free(server);
        return NULL;
}

void varlink_server_set_authorizer(VarlinkServer *server, VarlinkAuthorizer authorizer) {
        server->authorizer = authorizer;
}

void varlink_server_set_observer(VarlinkServer *server, VarlinkObserver observer, void *userdata) {
        server->observer = observer;
        server->observer_userdata = userdata;
}

void varlink_server_set_busy_handler(VarlinkServer *server, VarlinkBusyHandler handler) {
        server->busy_handler = handler;
}

void varlink_server_accept_fds(VarlinkServer *server, VarlinkFdFilter from, void *userdata) {
        varlink_pool_accept_fds(server->pool, from, userdata);
}

void varlink_server_set_patience(VarlinkServer *server, usec_t patience) {
        varlink_pool_set_patience(server->pool, patience);
}

int varlink_server_add_interface(VarlinkServer *server, const char *text, const VarlinkMethod *methods,
                                 void *userdata) {
        return varlink_registry_add(server->registry, text, methods, userdata);
}
