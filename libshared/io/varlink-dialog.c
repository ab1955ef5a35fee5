/* A Varlink client without a loop: the stream that all others use, and poll() in between.
 *
 * One call at a time: `calling` from the send until the last reply. What goes wrong on the connection stays: `failed`
 * is returned by every later use, since nobody knows what a half-sent call or a reply that was no reply has left in
 * the stream. A timeout of receive() alone is no such end; the reply may still be waited for.
 *
 * An eventfd is polled beside the socket. varlink_dialog_interrupt() writes to it and nobody reads it, so that it
 * wakes who waits now and whoever comes later, with no lock between the threads. */
#include "io/varlink-dialog.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "io/varlink-address.h"
#include "io/varlink-message.h"
#include "io/varlink-stream.h"

#define RETRY_USEC_MIN (10 * USEC_PER_MSEC)
#define RETRY_USEC_MAX (200 * USEC_PER_MSEC)
#define WAIT_USEC_MAX USEC_PER_HOUR  /* one poll(); milliseconds must fit an int */

struct VarlinkDialog {
        VarlinkStream *stream;
        VarlinkFds fds;      /* for the next call */
        int interrupt_fd;
        bool calling, more;
        int failed;          /* 0, or a negative errno */
};

void varlink_answer_done(VarlinkAnswer *answer) {
        for (size_t i = 0; i < answer->n_fds; i++)
                fd_close(answer->fds[i]);
        free(answer->error);
        (void) json_free(answer->parameters);
        *answer = (VarlinkAnswer) {};
}

static usec_t deadline_of(usec_t timeout) {
        usec_t deadline;

        return __builtin_add_overflow(time_now_monotonic(), timeout, &deadline) ? USEC_INFINITY : deadline;
}

/* Waits for events (or, with fd -1, just waits) up to `longest` and the deadline. */
static int dialog_wait(const VarlinkDialog *dialog, int fd, short events, usec_t longest, usec_t deadline) {
        struct pollfd fds[] = {
                { .fd = dialog->interrupt_fd, .events = POLLIN },
                { .fd = fd, .events = events },
        };
        usec_t now = time_now_monotonic();

        if (now >= deadline)
                return -ETIMEDOUT;
        longest = MIN(longest, deadline - now);
        if (poll(fds, ELEMENTS(fds), (int) ((longest + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) < 0)
                return errno == EINTR ? 0 : -errno;
        return fds[0].revents ? -ECANCELED : 0;
}

static bool dialog_interrupted(const VarlinkDialog *dialog) {
        struct pollfd pollfd = { .fd = dialog->interrupt_fd, .events = POLLIN };

        return poll(&pollfd, 1, 0) > 0;
}

/* What every use asks first. */
static int dialog_check(VarlinkDialog *dialog) {
        if (dialog_interrupted(dialog))
                dialog->failed = -ECANCELED;
        return dialog->failed;
}

static int dialog_fail(VarlinkDialog *dialog, int error) {
        dialog->failed = error == -EPIPE ? -ECONNRESET : error;
        return dialog->failed;
}

static int dialog_connect(VarlinkDialog *dialog, const char *path, usec_t deadline) {
        usec_t delay = RETRY_USEC_MIN;
        int fd, r;

        fd = varlink_socket_new();
        if (fd < 0)
                return fd;
        r = varlink_stream_new(&dialog->stream, fd);
        if (r < 0)
                return r;

        while ((r = varlink_socket_connect(fd, path)) > 0) {
                r = dialog_wait(dialog, -1, 0, delay, deadline);
                if (r < 0)
                        return r;
                delay = MIN(delay * 2, RETRY_USEC_MAX);
        }
        return r;
}

int varlink_dialog_open(VarlinkDialog **ret, const char *path, usec_t timeout) {
        _cleanup_(varlink_dialog_freep) VarlinkDialog *dialog = NULL;
        int r;

        dialog = malloc(sizeof(*dialog));
        if (!dialog)
                return -ENOMEM;
        *dialog = (VarlinkDialog) { .interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        if (dialog->interrupt_fd < 0)
                return -errno;

        r = dialog_connect(dialog, path, deadline_of(timeout));
        if (r < 0)
                return r;

        *ret = TAKE_PTR(dialog);
        return 0;
}

VarlinkDialog *varlink_dialog_free(VarlinkDialog *dialog) {
        if (!dialog)
                return NULL;

        dialog->stream = varlink_stream_free(dialog->stream);
        varlink_fds_close(&dialog->fds);
        fd_close(dialog->interrupt_fd);
        free(dialog);
        return NULL;
}

int varlink_dialog_push_fd(VarlinkDialog *dialog, int fd) {
        return varlink_fds_push(&dialog->fds, fd);
}

static int dialog_flush(VarlinkDialog *dialog, usec_t deadline) {
        while (varlink_stream_unsent(dialog->stream) > 0) {
                int r;

                r = dialog_wait(dialog, varlink_stream_fd(dialog->stream), POLLOUT, WAIT_USEC_MAX, deadline);
                if (r >= 0)
                        r = varlink_stream_flush(dialog->stream);
                if (r < 0)
                        return r;
        }
        return 0;
}

int varlink_dialog_send(VarlinkDialog *dialog, const char *method, JsonValue *parameters, bool more, usec_t timeout) {
        _cleanup_(json_freep) JsonValue *owned = parameters;
        _cleanup_(buffer_done) Buffer request = {};
        int r;

        r = dialog_check(dialog);
        if (r < 0)
                return r;
        if (dialog->calling)
                return -EBUSY;
        if (varlink_stream_unparsed(dialog->stream) > 0)
                return dialog_fail(dialog, -EBADMSG);

        r = varlink_request_format(&request, method, owned, more);
        if (r < 0)
                return r;
        r = varlink_stream_send(dialog->stream, request.data, request.size, &dialog->fds);
        if (r >= 0)
                r = dialog_flush(dialog, deadline_of(timeout));
        if (r < 0)
                return dialog_fail(dialog, r);

        dialog->calling = true;
        dialog->more = more;
        return 0;
}

/* Parameters as a tree of their own: cut out of the message, or {} where it had none. */
static JsonValue *response_take_parameters(VarlinkResponse *response) {
        JsonValue *parameters = cJSON_DetachItemFromObjectCaseSensitive(response->root, "parameters");

        if (parameters && !cJSON_IsNull(parameters))
                return parameters;
        (void) json_free(parameters);
        return json_new_object();
}

static int answer_parse(VarlinkAnswer *answer, const char *text, size_t size) {
        _cleanup_(varlink_response_done) VarlinkResponse response = {};
        int r;

        r = varlink_response_parse(&response, text, size);
        if (r < 0)
                return r;
        answer->continues = response.continues;
        if (response.error) {
                answer->error = strdup(response.error);
                if (!answer->error)
                        return -ENOMEM;
        }
        answer->parameters = response_take_parameters(&response);
        return answer->parameters ? 0 : -ENOMEM;
}

/* Waits until a whole message is there. -ETIMEDOUT leaves everything as it was. */
static int dialog_next(VarlinkDialog *dialog, usec_t deadline, const char **ret_text, size_t *ret_size,
                       VarlinkFds *ret_fds) {
        while (!varlink_stream_next(dialog->stream, ret_text, ret_size, ret_fds)) {
                int r;

                r = dialog_wait(dialog, varlink_stream_fd(dialog->stream), POLLIN, WAIT_USEC_MAX, deadline);
                if (r < 0)
                        return r;
                r = varlink_stream_read(dialog->stream);
                if (r < 0)
                        return r;
                if (r == VARLINK_STREAM_ENDED)
                        return -ECONNRESET;
        }
        return 0;
}

int varlink_dialog_receive(VarlinkDialog *dialog, usec_t timeout, VarlinkAnswer *ret) {
        _cleanup_(varlink_answer_done) VarlinkAnswer answer = {};
        VarlinkFds fds = {};
        const char *text;
        size_t size;
        int r;

        r = dialog_check(dialog);
        if (r < 0)
                return r;
        if (!dialog->calling)
                return -EBADMSG;

        r = dialog_next(dialog, deadline_of(timeout), &text, &size, &fds);
        if (r == -ETIMEDOUT)
                return r;
        if (r < 0)
                return dialog_fail(dialog, r);

        answer.n_fds = fds.n;
        memcpy(answer.fds, fds.fds, fds.n * sizeof(int));
        r = answer_parse(&answer, text, size);
        if (r >= 0 && answer.continues && !dialog->more)
                r = -EBADMSG;
        if (r < 0)
                return dialog_fail(dialog, r);

        dialog->calling = answer.continues;
        *ret = answer;
        answer = (VarlinkAnswer) {};
        return 0;
}

int varlink_dialog_call(VarlinkDialog *dialog, const char *method, JsonValue *parameters, usec_t timeout,
                        VarlinkAnswer *ret) {
        usec_t begin = time_now_monotonic(), spent;
        int r;

        r = varlink_dialog_send(dialog, method, parameters, false, timeout);
        if (r < 0)
                return r;
        spent = time_now_monotonic() - begin;
        return varlink_dialog_receive(dialog, timeout == USEC_INFINITY ? timeout : timeout - MIN(spent, timeout), ret);
}

void varlink_dialog_interrupt(VarlinkDialog *dialog) {
        (void) eventfd_write(dialog->interrupt_fd, 1);
}
