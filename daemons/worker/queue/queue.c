#include "queue/queue-private.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/text.h"

/* ------------------------------------------------------------------ requests */

static void on_client_gone(_unused_ VarlinkCall *call, void *userdata) {
        QueueRequest *request = userdata;

        request->call = NULL;
}

void queue_request_init(QueueRequest *request, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                        int (*apply)(Write *, Store *), void (*done)(Write *, int)) {
        request->write = (Write) { .apply = apply, .done = done };
        request->queue = queue;
        request->call = call;
        request->caller = caller ? *caller : (Caller) {};
        (void) snprintf(request->id, sizeof(request->id), "%s", id ?: "");
        varlink_call_set_closed_handler(call, on_client_gone, request);
}

int queue_request_new(QueueRequest **ret, Queue *queue, VarlinkCall *call, const Caller *caller, const char *id,
                      int (*apply)(Write *, Store *), void (*done)(Write *, int)) {
        QueueRequest *request = calloc(1, sizeof(*request));

        if (!request)
                return -ENOMEM;
        queue_request_init(request, queue, call, caller, id, apply, done);
        *ret = request;
        return 0;
}

int queue_request_get_job(QueueRequest *request, Store *store) {
        int r;

        request->job = job_free(request->job);
        r = store_get(store, request->id, &request->job);
        if (r != 0 || caller_may_see(&request->caller, request->job))
                return r;
        request->job = job_free(request->job);
        return STORE_NOT_FOUND;
}

VarlinkCall *queue_request_take_call(QueueRequest *request) {
        VarlinkCall *call = TAKE_PTR(request->call);

        if (call)
                varlink_call_set_closed_handler(call, NULL, NULL);
        return call;
}

void queue_request_free(QueueRequest *request) {
        (void) queue_request_take_call(request);
        (void) job_free(request->job);
        succession_done(&request->succession);
        free(request);
}

/* ------------------------------------------------------------------ answers */

/* Ends the call in every case: with the reply, or with the error that kept it from being made. */
static int finish_call(VarlinkCall *call, int error, JsonValue *reply, const char *name) {
        if (error < 0) {
                (void) json_free(reply);
                return varlink_call_error_errno(call, error);
        }
        return name ? varlink_call_error(call, name, reply) : varlink_call_reply(call, reply);
}

int queue_refuse(VarlinkCall *call, const Failure *failure) {
        JsonValue *parameters = failure_to_json(failure);

        return finish_call(call, parameters ? 0 : -ENOMEM, parameters, "io.atelier.Queue.Refused");
}

int queue_refuse_text(VarlinkCall *call, int status, const char *type, const char *code, const char *message) {
        Failure failure = {
                .status = status,
                .type = (char *) type,
                .code = (char *) code,
                .message = (char *) message,
        };

        return queue_refuse(call, &failure);
}

static int error_with_id(VarlinkCall *call, const char *error, const char *id) {
        JsonValue *parameters = json_new_object();

        return finish_call(call, json_add_string(parameters, "id", id), parameters, error);
}

static int refuse_store(VarlinkCall *call, int error) {
        if (error == -ENOSPC)
                return queue_refuse_text(call, 503, "server_error", "storage_full",
                                         "The disk of this server is full; nothing was accepted. Try again later.");
        return queue_refuse_text(call, 503, "server_error", "storage_unavailable",
                                 "The job store is not available; nothing was accepted. Try again later.");
}

int queue_reply_result(VarlinkCall *call, const char *id, int result) {
        assert(result != 0);

        if (result == -ECANCELED) {
                varlink_call_abandon(call);
                return 0;
        }
        if (result == STORE_NOT_FOUND)
                return error_with_id(call, "io.atelier.Queue.JobNotFound", id);
        if (result == STORE_WRONG_STATE)
                return error_with_id(call, "io.atelier.Queue.JobInProgress", id);
        return refuse_store(call, result);
}

void queue_log_unanswered(int error, const char *id) {
        if (error < 0 && error != -ECONNRESET)
                (void) log_error_errno(error, "the answer about job %s can't be given", id);
}

int queue_reply_job(VarlinkCall *call, const Job *job) {
        JsonValue *reply = json_new_object();

        return finish_call(call, json_add(reply, "job", job_to_json(job)), reply, NULL);
}

int queue_new(Queue **ret, Manager *manager) {
        Queue *queue = calloc(1, sizeof(*queue));

        if (!queue)
                return -ENOMEM;
        queue->manager = manager;
        *ret = queue;
        return 0;
}

Queue *queue_free(Queue *queue) {
        free(queue);
        return NULL;
}
