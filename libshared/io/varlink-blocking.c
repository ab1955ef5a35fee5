/* The blocking Varlink call, for programs without a loop: the same stream, and poll() in between. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/buffer.h"
#include "base/fd.h"
#include "io/varlink-address.h"
#include "io/varlink-client.h"
#include "io/varlink-message.h"
#include "io/varlink-stream.h"

#define RETRY_USEC_MIN (10 * USEC_PER_MSEC)
#define RETRY_USEC_MAX (200 * USEC_PER_MSEC)
#define WAIT_USEC_MAX USEC_PER_HOUR  /* one poll(); milliseconds must fit an int */

typedef struct BlockingCall {
        VarlinkStream *stream;
        usec_t timeout, deadline;
        VarlinkProgress on_reply;
        void *userdata;
} BlockingCall;

static void call_renew_deadline(BlockingCall *call) {
        if (__builtin_add_overflow(time_now_monotonic(), call->timeout, &call->deadline))
                call->deadline = USEC_INFINITY;
}

/* Waits for events (or, with fd -1, just waits) up to `longest` and the deadline. */
static int call_wait(const BlockingCall *call, int fd, short events, usec_t longest) {
        struct pollfd pollfd = { .fd = fd, .events = events };
        usec_t now = time_now_monotonic();

        if (now >= call->deadline)
                return -ETIMEDOUT;
        longest = MIN(longest, call->deadline - now);
        if (poll(&pollfd, fd >= 0, (int) ((longest + USEC_PER_MSEC - 1) / USEC_PER_MSEC)) < 0 && errno != EINTR)
                return -errno;
        return 0;
}

static int call_connect(BlockingCall *call, const char *path) {
        usec_t delay = RETRY_USEC_MIN;
        int fd, r;

        fd = varlink_socket_new();
        if (fd < 0)
                return fd;
        r = varlink_stream_new(&call->stream, fd);
        if (r < 0)
                return r;

        while ((r = varlink_socket_connect(fd, path)) > 0) {
                r = call_wait(call, -1, 0, delay);
                if (r < 0)
                        return r;
                delay = MIN(delay * 2, RETRY_USEC_MAX);
        }
        return r;
}

static int call_send(BlockingCall *call, const char *method, const JsonValue *parameters) {
        _cleanup_(buffer_done) Buffer request = {};
        VarlinkFds none = {};
        int r;

        r = varlink_request_format(&request, method, parameters, call->on_reply);
        if (r < 0)
                return r;
        r = varlink_stream_send(call->stream, request.data, request.size, &none);
        while (r >= 0 && varlink_stream_unsent(call->stream) > 0) {
                r = call_wait(call, varlink_stream_fd(call->stream), POLLOUT, WAIT_USEC_MAX);
                if (r >= 0)
                        r = varlink_stream_flush(call->stream);
        }
        return r == -EPIPE ? -ECONNRESET : r;
}

/* The next reply, whatever it is. */
static int call_receive(BlockingCall *call, VarlinkResponse *ret) {
        const char *text;
        VarlinkFds fds;
        size_t size;
        int r;

        while (!varlink_stream_next(call->stream, &text, &size, &fds)) {
                r = call_wait(call, varlink_stream_fd(call->stream), POLLIN, WAIT_USEC_MAX);
                if (r < 0)
                        return r;
                r = varlink_stream_read(call->stream);
                if (r < 0)
                        return r;
                if (r == VARLINK_STREAM_ENDED)
                        return -ECONNRESET;
        }

        varlink_fds_close(&fds);
        return varlink_response_parse(ret, text, size);
}

static int call_receive_last(BlockingCall *call, VarlinkResponse *ret) {
        for (;;) {
                _cleanup_(varlink_response_done) VarlinkResponse response = {};
                int r;

                r = call_receive(call, &response);
                if (r < 0)
                        return r;
                if (!response.continues) {
                        *ret = response;
                        response.root = NULL;
                        return 0;
                }
                if (!call->on_reply)
                        return -EBADMSG;

                call->on_reply(response.parameters, call->userdata);
                call_renew_deadline(call);
        }
}

static int call_run(BlockingCall *call, const char *path, const char *method, const JsonValue *parameters,
                    VarlinkResponse *ret) {
        int r;

        call_renew_deadline(call);
        r = call_connect(call, path);
        if (r < 0)
                return r;
        r = call_send(call, method, parameters);
        if (r < 0)
                return r;
        return call_receive_last(call, ret);
}

/* The parameters as a tree of their own: cut out of the message, or {} where it had none. */
static JsonValue *response_take_parameters(VarlinkResponse *response) {
        JsonValue *parameters = cJSON_DetachItemFromObjectCaseSensitive(response->root, "parameters");

        if (parameters && !cJSON_IsNull(parameters))
                return parameters;
        json_free(parameters);
        return json_new_object();
}

int varlink_call_blocking(const char *path, const char *method, JsonValue *parameters, usec_t timeout,
                          VarlinkProgress on_reply, void *userdata, JsonValue **ret, char **ret_error) {
        _cleanup_(json_freep) JsonValue *owned = parameters, *taken = NULL;
        _cleanup_(varlink_response_done) VarlinkResponse response = {};
        BlockingCall call = { .timeout = timeout, .on_reply = on_reply, .userdata = userdata };
        _cleanup_free_ char *error = NULL;
        int r;

        r = call_run(&call, path, method, owned, &response);
        varlink_stream_free(call.stream);
        if (r < 0)
                return r;

        taken = response_take_parameters(&response);
        if (!taken)
                return -ENOMEM;
        if (response.error) {
                error = strdup(response.error);
                if (!error)
                        return -ENOMEM;
        }

        *ret = TAKE_PTR(taken);
        *ret_error = TAKE_PTR(error);
        return 0;
}
