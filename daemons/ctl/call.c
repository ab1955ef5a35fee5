/* All connections of atelierctl are made here, and what goes wrong with one is said here.
 *
 * While a call lasts SIGINT and SIGTERM are blocked and looked for between the replies: the loop below wakes a few
 * times a second anyway, for the progress line, so that neither a handler nor a flag that it could set is needed.
 * */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "error-text.h"
#include "follow.h"

#define RUNTIME_DIRECTORY "/run/atelier"
#define CALL_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define CONNECT_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define TICK_USEC (100 * USEC_PER_MSEC)
#define RETRY_USEC (300 * USEC_PER_MSEC)  /* after the first loss of a connection; longer after each */
#define TRIES_UNBEGUN 3u

const char *const ctl_daemons[] = { "api", "worker", "scheduler", "alerter", NULL };

bool ctl_is_daemon(const char *name) {
        for (const char *const *daemon = ctl_daemons; *daemon; daemon++)
                if (text_equal(*daemon, name))
                        return true;
        return false;
}

/* "worker" lives at /run/atelier/io.atelier.Worker. */
static char *socket_path(const char *daemon) {
        const char *folder = getenv("ATELIER_RUNTIME_DIRECTORY");

        return text_format("%s/io.atelier.%c%s", text_empty(folder) ? RUNTIME_DIRECTORY : folder,
                           toupper((unsigned char) daemon[0]), daemon + 1);
}

static int explain_connection(const char *daemon, const char *path, int error) {
        if (error == -ENOENT || error == -ECONNREFUSED)
                return ctl_fail("nothing listens on %s; start it with: systemctl start atelier-%s.socket", path,
                                daemon);
        if (error == -EACCES || error == -EPERM)
                return ctl_fail("%s: permission denied; be root or a member of group atelier: "
                                "usermod -aG atelier,atelier-admin USER", path);
        if (error == -ETIMEDOUT)
                return ctl_fail("atelier-%s does not answer; see: journalctl -u atelier-%s", daemon, daemon);
        if (error == -ECONNRESET)
                return ctl_fail("atelier-%s went away before it had answered; see: journalctl -u atelier-%s", daemon,
                                daemon);
        return ctl_fail("atelier-%s: %s; see: journalctl -u atelier-%s", daemon, strerror(-error), daemon);
}

/* ------------------------------------------------------------------ signals */

typedef struct Signals {
        sigset_t watched, before;
} Signals;

/* What is ignored (nohup, a job in the background) stays so. */
static void signals_block(Signals *signals, bool wanted) {
        static const int numbers[] = { SIGINT, SIGTERM };

        (void) sigemptyset(&signals->watched);
        for (size_t i = 0; wanted && i < ELEMENTS(numbers); i++) {
                struct sigaction action;

                if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL)
                        (void) sigaddset(&signals->watched, numbers[i]);
        }
        (void) sigprocmask(SIG_BLOCK, &signals->watched, &signals->before);
}

static void signals_restore(Signals *signals) {
        (void) sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

/* Whoever started us shall see that it was the signal. */
static void signals_look(Signals *signals, const Follow *follow) {
        int number = sigtimedwait(&signals->watched, NULL, &(struct timespec) {});

        if (number < 0)
                return;
        follow->on_interrupt(follow->userdata);
        (void) fflush(NULL);
        (void) raise(number);
        signals_restore(signals);
}

/* ------------------------------------------------------------------ calls */

static int next_reply(const Follow *follow, VarlinkDialog *dialog, Signals *signals, usec_t deadline,
                      VarlinkAnswer *ret) {
        int r;

        for (;;) {
                usec_t now = time_now_monotonic();

                if (now >= deadline)
                        return -ETIMEDOUT;
                r = varlink_dialog_receive(dialog, MIN(TICK_USEC, deadline - now), ret);
                if (follow->on_interrupt)
                        signals_look(signals, follow);
                if (r != -ETIMEDOUT)
                        return r;
                if (follow->on_tick)
                        follow->on_tick(follow->userdata);
        }
}

static int dialog_send(const Follow *follow, VarlinkDialog *dialog) {
        JsonValue *parameters = cJSON_Duplicate(follow->parameters, true);

        if (follow->parameters && !parameters)
                return -ENOMEM;
        return varlink_dialog_send(dialog, follow->method, parameters, follow->on_reply, CONNECT_TIMEOUT_USEC);
}

/* One connection: from connect() to the last reply. */
static int follow_once(const Follow *follow, const char *path, Signals *signals, usec_t deadline, VarlinkAnswer *ret,
                       bool *heard) {
        _cleanup_(varlink_dialog_freep) VarlinkDialog *dialog = NULL;
        int r;

        r = varlink_dialog_open(&dialog, path, CONNECT_TIMEOUT_USEC);
        if (r >= 0)
                r = dialog_send(follow, dialog);
        while (r >= 0) {
                _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};

                r = next_reply(follow, dialog, signals, deadline, &answer);
                if (r < 0)
                        break;
                if (!answer.continues) {
                        *ret = answer;
                        answer = (VarlinkAnswer) {};
                        return 0;
                }
                *heard = true;
                follow->on_reply(answer.parameters, follow->userdata);
        }
        return r;
}

/* A daemon that is on its way out when the call arrives closes the connection: its successor serves the next. A call that
 * tells of itself at once, and has not, was not begun. */
static unsigned tries_of(const Follow *follow, bool heard) {
        return follow->on_reply && !heard ? MAX(follow->tries, TRIES_UNBEGUN) : MAX(follow->tries, 1u);
}

static int follow_stubbornly(const Follow *follow, const char *path, VarlinkAnswer *ret) {
        usec_t deadline = follow->timeout > 0 ? time_now_monotonic() + follow->timeout : USEC_INFINITY;
        Signals signals;
        bool heard = false;
        int r = -ECONNRESET;

        signals_block(&signals, follow->on_interrupt);
        for (unsigned try = 0; try < tries_of(follow, heard); try++) {
                if (try > 0)
                        (void) usleep((useconds_t) (RETRY_USEC * try));
                r = follow_once(follow, path, &signals, deadline, ret, &heard);
                if (r != -ECONNRESET)
                        break;
        }
        signals_restore(&signals);
        return r;
}

int follow_call(const Follow *follow, VarlinkAnswer *ret) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        _cleanup_free_ char *path = socket_path(follow->daemon);
        int r;

        if (!path)
                return ctl_fail_errno(-ENOMEM, "memory is short");
        r = follow_stubbornly(follow, path, &answer);
        if (r == -ETIMEDOUT && follow->timeout > 0)
                return FOLLOW_TIMED_OUT;
        if (r < 0)
                return explain_connection(follow->daemon, path, r);
        if (answer.error) {
                error_text_print(follow->daemon, follow->method, answer.error, answer.parameters);
                return EXIT_FAILURE;
        }

        *ret = answer;
        answer = (VarlinkAnswer) {};
        return EXIT_SUCCESS;
}

int ctl_call(const char *daemon, const char *method, JsonValue *parameters, JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *owned = parameters;
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        Follow follow = {
                .daemon = daemon,
                .method = method,
                .parameters = owned,
                .timeout = CALL_TIMEOUT_USEC,
        };
        int r;

        r = follow_call(&follow, &answer);
        if (r == FOLLOW_TIMED_OUT)
                return explain_connection(daemon, "", -ETIMEDOUT);
        if (r == EXIT_SUCCESS && ret)
                *ret = TAKE_PTR(answer.parameters);
        return r;
}
