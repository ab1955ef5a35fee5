#include "io/service.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "interfaces/interfaces.h"
#include "io/service-varlink.h"

#define RUNTIME_DIRECTORY "/run/atelier"
#define SOCKET_NAME_VARLINK "varlink"
#define STATUS_INTERVAL_USEC USEC_PER_SEC
#define IDLE_ACCURACY_USEC USEC_PER_MSEC  /* idle timeouts of a few ms are kept, too */
#define SOCKETS_MAX 32
#define STOP_GRACE_USEC (15 * USEC_PER_SEC)  /* from the end of the drain to the exit */

typedef enum ServiceState {
        SERVICE_STARTING,
        SERVICE_RUNNING,
        SERVICE_DRAINING,  /* quiesced; waits for the last hold to be released */
} ServiceState;

typedef struct ServiceSocket {
        char *name;
        int fd;
} ServiceSocket;

struct Service {
        const ServiceKind *kind;
        void *userdata;
        const char *folder;              /* of the configuration; NULL: the usual one */
        Settings *settings;
        AccessTable *access;
        sd_event *event;
        VarlinkServer *varlink;
        sd_event_source *idle_timer, *status_timer, *watchdog_timer, *drain_timer, *drain_turn;
        ServiceSocket sockets[SOCKETS_MAX];
        size_t n_sockets;
        int socket_fds[SOCKETS_MAX];     /* service_sockets() answers from here */
        ServiceState state;
        unsigned holds;
        usec_t started_at, watchdog_usec;
        bool status_pending;
        char *status;                    /* as last sent */
};

static int print_help(const ServiceKind *kind) {
        printf("atelier-%s: %s\n\n"
               "Started by systemd through its sockets; see systemctl status atelier-%s.\n\n"
               "  --config=FOLDER  read the configuration there instead of /etc/atelier\n"
               "  --help           show this\n"
               "  --version        show the version\n",
               kind->name, kind->summary, kind->name);
        return SERVICE_DONE;
}

static int parse_arguments(Service *service, int argc, char *argv[]) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'V' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 'c':
                        service->folder = optarg;
                        break;
                case 'h':
                        return print_help(service->kind);
                case 'V':
                        puts("atelier " ATELIER_VERSION);
                        return SERVICE_DONE;
                default:
                        return -EINVAL;
                }

        if (optind < argc) {
                log_error("unexpected argument '%s'; see --help", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

/* One record a line, so that each names its file and line. */
static void log_lines(Buffer *lines) {
        _cleanup_free_ char *text = buffer_take_text(lines);

        for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
                if (*line)
                        log_error("%s", line);
}

static int load_settings(Service *service) {
        ConfSources sources = { .folder = service->folder };
        _cleanup_(buffer_done) Buffer errors = {};
        int r;

        r = settings_load(&service->settings, &sources, &errors);
        if (r < 0) {
                log_lines(&errors);
                return log_error_errno(r, "the configuration can't be used");
        }

        log_set_level(service->settings->common.log_level);
        return 0;
}

static bool socket_name_known(const Service *service, const char *name) {
        if (text_equal(name, SOCKET_NAME_VARLINK))
                return true;
        for (const char *const *known = service->kind->sockets; known && *known; known++)
                if (text_equal(*known, name))
                        return true;
        return false;
}

/* Sockets come from systemd by name; one that nobody asked for is a mistake in a unit, and said so. */
static int take_sockets(Service *service) {
        char **names = NULL;
        int n, r = 0;

        n = sd_listen_fds_with_names(1, &names);
        if (n < 0)
                return log_error_errno(n, "the sockets that systemd passed can't be taken");

        for (int i = 0; i < n; i++) {
                if (r >= 0 && (i >= SOCKETS_MAX || !socket_name_known(service, names[i]))) {
                        log_error("systemd passed a socket named '%s' that atelier-%s does not serve; "
                                  "look at FileDescriptorName= of its socket units", names[i], service->kind->name);
                        r = -EINVAL;
                }
                if (r < 0) {
                        free(names[i]);
                        continue;
                }
                service->sockets[service->n_sockets++] =
                        (ServiceSocket) { .name = names[i], .fd = SD_LISTEN_FDS_START + i };
        }
        free(names);
        if (r < 0)
                return r;

        if (service->n_sockets == 0) {
                log_error("no sockets: start it with 'systemctl start atelier-%s.socket'", service->kind->name);
                return -ENOTSOCK;
        }
        return 0;
}

size_t service_sockets(Service *service, const char *name, const int **ret) {
        size_t count = 0;

        for (size_t i = 0; i < service->n_sockets; i++)
                if (text_equal(service->sockets[i].name, name))
                        service->socket_fds[count++] = service->sockets[i].fd;
        *ret = service->socket_fds;
        return count;
}

char *service_peer_path(_unused_ Service *service, const char *daemon) {
        const char *folder = getenv("ATELIER_RUNTIME_DIRECTORY");

        return text_format("%s/io.atelier.%s", text_empty(folder) ? RUNTIME_DIRECTORY : folder, daemon);
}

static void finish(Service *service) {
        (void) sd_notify(0, "STOPPING=1");
        (void) sd_event_exit(service->event, 0);
}

static void arm_idle(Service *service) {
        usec_t timeout = service->kind->idle_timeout(service->settings);

        if (timeout == USEC_INFINITY)
                return;
        (void) sd_event_source_set_time_relative(service->idle_timer, timeout);
        (void) sd_event_source_set_enabled(service->idle_timer, SD_EVENT_ONESHOT);
}

static int on_drain_timeout(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Service *service = userdata;

        log_warning("gave up on %u pieces of work at the end of the drain timeout", service->holds);
        finish(service);
        return 0;
}

/* In the turn after quiescing, sources that had work ready have taken their holds; what is left decides. A call that
 * has arrived and was not seen yet is found by asking the server, and holds the service from then on. */
static int on_drain_turn(_unused_ sd_event_source *source, void *userdata) {
        Service *service = userdata;

        if (!varlink_server_busy(service->varlink) && service->holds == 0)
                finish(service);
        return 0;
}

static void schedule_drain_turn(Service *service) {
        (void) sd_event_source_set_enabled(service->drain_turn, SD_EVENT_ONESHOT);
}

static void drain(Service *service) {
        usec_t timeout = service->kind->drain_timeout(service->settings);

        if (service->state == SERVICE_DRAINING)
                return;
        service->state = SERVICE_DRAINING;

        varlink_server_quiesce(service->varlink);
        if (service->kind->quiesce)
                service->kind->quiesce(service->userdata);

        /* systemd waits as long as we do, whatever TimeoutStopSec= says. */
        (void) sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long) (timeout + STOP_GRACE_USEC));
        (void) sd_event_source_set_time_relative(service->drain_timer, timeout);
        (void) sd_event_source_set_enabled(service->drain_timer, SD_EVENT_ONESHOT);
        schedule_drain_turn(service);
}

static int on_idle(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Service *service = userdata;

        if (service->holds == 0) {
                log_debug("nothing to do; exiting until the next request");
                drain(service);
        }
        return 0;
}

static int on_stop_signal(_unused_ sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        log_debug("stopping on %s", strsignal((int) info->ssi_signo));
        drain(userdata);
        return 0;
}

void service_hold(Service *service) {
        if (service->holds++ == 0 && service->state == SERVICE_RUNNING)
                (void) sd_event_source_set_enabled(service->idle_timer, SD_EVENT_OFF);
}

void service_release(Service *service) {
        assert(service->holds > 0);

        if (--service->holds > 0)
                return;
        if (service->state == SERVICE_DRAINING)
                schedule_drain_turn(service);
        else if (service->state == SERVICE_RUNNING)
                arm_idle(service);
}

static void on_varlink_busy(bool busy, void *userdata) {
        Service *service = userdata;

        if (busy)
                service_hold(service);
        else
                service_release(service);
}

bool service_stopping(const Service *service) {
        return service->state == SERVICE_DRAINING;
}

static int send_status(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Service *service = userdata;
        _cleanup_free_ char *text = service_status_text(service);

        service->status_pending = false;
        if (text && !text_equal(text, service->status)) {
                (void) sd_notifyf(0, "STATUS=%s", text);
                free(service->status);
                service->status = TAKE_PTR(text);
        }
        return 0;
}

void service_status_changed(Service *service) {
        if (service->status_pending || service->state == SERVICE_STARTING)
                return;
        service->status_pending = true;
        (void) sd_event_source_set_time_relative(service->status_timer, STATUS_INTERVAL_USEC);
        (void) sd_event_source_set_enabled(service->status_timer, SD_EVENT_ONESHOT);
}

/* The caller frees it. NULL when the daemon has nothing to say. */
char *service_status_text(Service *service) {
        _cleanup_(buffer_done) Buffer text = {};

        if (service->kind->status)
                service->kind->status(&text, service->userdata);
        return text.size > 0 ? buffer_take_text(&text) : strdup("Idle");
}

static int on_watchdog(sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        Service *service = userdata;

        if (!service->kind->healthy || service->kind->healthy(service->userdata))
                (void) sd_notify(0, "WATCHDOG=1");
        else
                log_error("work is waiting and makes no progress; the watchdog is not fed any more");

        (void) sd_event_source_set_time_relative(source, service->watchdog_usec / 3);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int add_timer(Service *service, sd_event_source **ret, sd_event_time_handler_t handler, const char *name) {
        int r;

        r = sd_event_add_time_relative(service->event, ret, CLOCK_MONOTONIC, 0, 0, handler, service);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(*ret, name);
        return sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

static int add_sources(Service *service) {
        int r;

        r = sd_event_add_signal(service->event, NULL, SIGTERM, on_stop_signal, service);
        if (r >= 0)
                r = sd_event_add_signal(service->event, NULL, SIGINT, on_stop_signal, service);
        if (r >= 0)
                r = add_timer(service, &service->idle_timer, on_idle, "idle");
        if (r >= 0)
                r = add_timer(service, &service->status_timer, send_status, "status");
        if (r >= 0)
                r = add_timer(service, &service->drain_timer, on_drain_timeout, "drain");
        if (r >= 0)
                r = add_timer(service, &service->watchdog_timer, on_watchdog, "watchdog");
        if (r >= 0)
                r = sd_event_add_defer(service->event, &service->drain_turn, on_drain_turn, service);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(service->drain_turn, "drain turn");
        (void) sd_event_source_set_time_accuracy(service->idle_timer, IDLE_ACCURACY_USEC);
        (void) sd_event_source_set_priority(service->drain_turn, SD_EVENT_PRIORITY_IDLE);
        return sd_event_source_set_enabled(service->drain_turn, SD_EVENT_OFF);
}

static int add_varlink(Service *service) {
        static const VarlinkProduct product = {
                .vendor = "Atelier",
                .product = "Atelier",
                .version = ATELIER_VERSION,
                .url = "",
        };
        const int *fds;
        size_t n;
        int r;

        r = access_table_new(&service->access, service->kind->access);
        if (r < 0)
                return r;
        r = varlink_server_new(&service->varlink, service->event, &product, service);
        if (r < 0)
                return r;
        varlink_server_set_authorizer(service->varlink, service_authorize);
        varlink_server_set_busy_handler(service->varlink, on_varlink_busy);
        if (service->kind->fds_methods)
                varlink_server_accept_fds(service->varlink, service_accepts_fds, service);
        r = varlink_server_add_interface(service->varlink, interface_daemon, service_methods, service);
        if (r < 0)
                return r;

        n = service_sockets(service, SOCKET_NAME_VARLINK, &fds);
        for (size_t i = 0; i < n; i++) {
                r = varlink_server_listen(service->varlink, fds[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int block_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        (void) signal(SIGPIPE, SIG_IGN);
        return 0;
}

int service_new(Service **ret, const ServiceKind *kind, int argc, char *argv[]) {
        _cleanup_(service_freep) Service *service = NULL;
        int r;

        log_open(program_invocation_short_name);
        (void) umask(0077);
        (void) prctl(PR_SET_DUMPABLE, 0);  /* no core file and no ptrace: memory holds secrets */

        service = calloc(1, sizeof(*service));
        if (!service)
                return -ENOMEM;
        service->kind = kind;
        service->started_at = time_now_realtime();

        r = parse_arguments(service, argc, argv);
        if (r != 0)
                return r;
        r = block_signals();
        if (r < 0)
                return log_error_errno(r, "signals can't be blocked");
        r = load_settings(service);
        if (r < 0)
                return r;
        r = take_sockets(service);
        if (r < 0)
                return r;

        r = sd_event_new(&service->event);
        if (r >= 0)
                r = add_sources(service);
        if (r >= 0)
                r = add_varlink(service);
        if (r < 0)
                return log_error_errno(r, "the event loop can't be set up");

        *ret = TAKE_PTR(service);
        return 0;
}

Service *service_free(Service *service) {
        if (!service)
                return NULL;

        service->varlink = varlink_server_free(service->varlink);
        (void) sd_event_source_disable_unref(service->watchdog_timer);
        (void) sd_event_source_disable_unref(service->drain_turn);
        (void) sd_event_source_disable_unref(service->drain_timer);
        (void) sd_event_source_disable_unref(service->status_timer);
        (void) sd_event_source_disable_unref(service->idle_timer);
        (void) sd_event_unref(service->event);
        for (size_t i = 0; i < service->n_sockets; i++) {
                free(service->sockets[i].name);
                (void) fd_close(service->sockets[i].fd);
        }
        (void) access_table_free(service->access);
        (void) settings_free(service->settings);
        free(service->status);
        free(service);
        return NULL;
}

int service_run(Service *service, void *userdata) {
        uint64_t watchdog_usec = 0;

        service->userdata = userdata;
        service->state = SERVICE_RUNNING;

        if (sd_watchdog_enabled(0, &watchdog_usec) > 0) {
                service->watchdog_usec = watchdog_usec;
                (void) on_watchdog(service->watchdog_timer, 0, service);
        }
        if (service->holds == 0)
                arm_idle(service);

        (void) sd_notify(0, "READY=1");
        (void) send_status(NULL, 0, service);
        return sd_event_loop(service->event);
}

int service_reload(Service *service, Buffer *errors) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        ConfSources sources = { .folder = service->folder };
        int r;

        r = settings_load(&settings, &sources, errors);
        if (r < 0)
                return r;
        if (service->kind->reload) {
                r = service->kind->reload(settings, errors, service->userdata);
                if (r < 0)
                        return r;
        }

        (void) settings_free(service->settings);
        service->settings = TAKE_PTR(settings);
        log_set_level(service->settings->common.log_level);
        log_info("configuration read again");
        return 0;
}

sd_event *service_event(Service *service) {
        return service->event;
}

const char *service_configuration_folder(const Service *service) {
        return service->folder;
}

const Settings *service_settings(Service *service) {
        return service->settings;
}

VarlinkServer *service_varlink(Service *service) {
        return service->varlink;
}

void *service_userdata(Service *service) {
        return service->userdata;
}

const ServiceKind *service_kind(const Service *service) {
        return service->kind;
}

usec_t service_started_at(const Service *service) {
        return service->started_at;
}

const AccessTable *service_access(const Service *service) {
        return service->access;
}
