#include "io/varlink-call.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"

struct VarlinkCall {
        VarlinkConnection *connection;  /* NULL once the peer has gone */
        const VarlinkPeer *peer;
        VarlinkRequest request;
        VarlinkFds received, pushed;
        VarlinkCallClosed closed;
        void *closed_userdata;
        VarlinkCallDrained drained;
        void *drained_userdata;
        const VarlinkInterface *interface;
        const char *name;
        VarlinkObserver observer;
        void *observer_userdata;
        bool *ended;
};

int varlink_call_new(VarlinkCall **ret, VarlinkConnection *connection, VarlinkRequest *request, VarlinkFds *fds) {
        VarlinkCall *call = malloc(sizeof(*call));

        if (!call) {
                varlink_request_done(request);
                varlink_fds_close(fds);
                return -ENOMEM;
        }

        call->connection = connection;
        call->peer = varlink_connection_peer(connection);
        call->request = *request;
        request->root = NULL;
        varlink_fds_move(&call->received, fds);
        call->pushed.n = 0;
        call->closed = NULL;
        call->closed_userdata = NULL;
        call->drained = NULL;
        call->drained_userdata = NULL;
        call->interface = NULL;
        call->name = NULL;
        call->observer = NULL;
        call->observer_userdata = NULL;
        call->ended = NULL;
        *ret = call;
        return 0;
}

VarlinkCall *varlink_call_free(VarlinkCall *call) {
        if (!call)
                return NULL;

        if (call->ended)
                *call->ended = true;
        varlink_request_done(&call->request);
        varlink_fds_close(&call->received);
        varlink_fds_close(&call->pushed);
        free(call);
        return NULL;
}

void varlink_call_closed(VarlinkCall *call) {
        call->connection = NULL;
        if (call->closed)
                call->closed(call, call->closed_userdata);
}

void varlink_call_drained(VarlinkCall *call) {
        if (call->drained)
                call->drained(call, call->drained_userdata);
}

const char *varlink_call_method(const VarlinkCall *call) {
        return call->request.method;
}

const JsonValue *varlink_call_parameters(const VarlinkCall *call) {
        return call->request.parameters;
}

void varlink_call_set_interface(VarlinkCall *call, const VarlinkInterface *interface, const char *name) {
        call->interface = interface;
        call->name = name;
}

void varlink_call_set_observer(VarlinkCall *call, VarlinkObserver observer, void *userdata) {
        call->observer = observer;
        call->observer_userdata = userdata;
}

/* ---------------------------------------------------------------- answering */

/* A reply that the interface does not describe is a bug of ours; it is shown to those who look for bugs. */
static void call_check_reply(const VarlinkCall *call, const char *error, const JsonValue *parameters) {
        const char *field = NULL, *interface;
        int r = 0;

        if (!call->interface || log_get_level() < LOG_DEBUG)
                return;

        interface = varlink_interface_name(call->interface);
        if (!error)
                r = varlink_interface_check_output(call->interface, call->name, parameters, &field);
        else if (strncmp(error, interface, strlen(interface)) == 0 && error[strlen(interface)] == '.') {
                error += strlen(interface) + 1;
                if (!varlink_interface_has_error(call->interface, error)) {
                        log_debug("%s.%s: error %s is not in the interface", interface, call->name, error);
                        return;
                }
                r = varlink_interface_check_error(call->interface, error, parameters, &field);
        }
        if (r != 0)
                log_debug("%s.%s: field %s of the reply does not fit the interface", interface, call->name, field);
}

static int call_send(VarlinkCall *call, const char *error, const JsonValue *parameters, bool continues) {
        static const JsonValue nothing = { .type = cJSON_Object };

        call_check_reply(call, error, parameters ?: &nothing);
        return varlink_connection_send(call->connection, error, parameters, continues, &call->pushed);
}

/* Sends the error that stands for a reply which could not be made. Without even that the connection ends, so that
 * nobody waits for ever. */
static int call_send_errno(VarlinkCall *call, int error) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        int r;

        varlink_fds_close(&call->pushed);
        r = json_add_integer(parameters, "errno", -error);
        if (r >= 0)
                r = varlink_connection_send(call->connection, VARLINK_ERROR_SYSTEM, parameters, false, &call->pushed);
        if (r < 0 && r != -ECONNRESET) {
                varlink_connection_abort(call->connection);
                r = -ECONNRESET;
        }
        return r;
}

static int call_finish(VarlinkCall *call, const char *error, JsonValue *parameters) {
        _cleanup_(json_freep) JsonValue *owned = parameters;
        VarlinkConnection *connection = call->connection;
        int r = 0;

        if (!connection)
                return -ECONNRESET;

        if (call->observer)
                call->observer(call, error, owned, call->observer_userdata);
        if (!call->request.oneway) {
                r = call_send(call, error, owned, false);
                if (r < 0 && r != -ECONNRESET) {
                        int q = call_send_errno(call, r);
                        if (q < 0)
                                return q;
                }
                if (r == -ECONNRESET)
                        return r;
        }

        varlink_connection_end_call(connection);
        return r;
}

int varlink_call_reply(VarlinkCall *call, JsonValue *parameters) {
        return call_finish(call, NULL, parameters);
}

int varlink_call_error(VarlinkCall *call, const char *error, JsonValue *parameters) {
        return call_finish(call, error, parameters);
}

int varlink_call_invalid_parameter(VarlinkCall *call, const char *field) {
        JsonValue *parameters = json_new_object();

        /* Without memory the error goes without its parameter. */
        (void) json_add_string(parameters, "parameter", field);
        return call_finish(call, VARLINK_ERROR_INVALID_PARAMETER, parameters);
}

int varlink_call_error_errno(VarlinkCall *call, int error) {
        JsonValue *parameters = json_new_object();

        (void) json_add_integer(parameters, "errno", -error);
        return call_finish(call, VARLINK_ERROR_SYSTEM, parameters);
}

void varlink_call_abandon(VarlinkCall *call) {
        call->closed = NULL;
        if (call->connection)
                varlink_connection_abort(call->connection);
}

int varlink_call_notify(VarlinkCall *call, JsonValue *parameters) {
        _cleanup_(json_freep) JsonValue *owned = parameters;

        if (!call->connection)
                return -ECONNRESET;
        if (!call->request.more)
                return -EPERM;
        return call_send(call, NULL, owned, true);
}

int varlink_call_push_fd(VarlinkCall *call, int fd) {
        return varlink_fds_push(&call->pushed, fd);
}

int varlink_call_take_fd(VarlinkCall *call, size_t index) {
        if (index >= call->received.n || call->received.fds[index] < 0)
                return -ENXIO;
        return TAKE_FD(call->received.fds[index]);
}

bool varlink_call_wants_more(const VarlinkCall *call) {
        return call->request.more;
}

const VarlinkPeer *varlink_call_peer(const VarlinkCall *call) {
        return call->peer;
}

void varlink_call_set_closed_handler(VarlinkCall *call, VarlinkCallClosed handler, void *userdata) {
        call->closed = handler;
        call->closed_userdata = userdata;
}

void varlink_call_note_end(VarlinkCall *call, bool *ended) {
        call->ended = ended;
}

bool varlink_call_is_drained(const VarlinkCall *call) {
        return !call->connection || varlink_connection_unsent(call->connection) == 0;
}

void varlink_call_set_drained_handler(VarlinkCall *call, VarlinkCallDrained handler, void *userdata) {
        call->drained = handler;
        call->drained_userdata = userdata;
        if (call->connection && handler)
                varlink_connection_stream_out(call->connection);
}
