#include "exchange.h"

#include <errno.h>

#include "base/log.h"
#include "base/time.h"
#include "bearer-token.h"
#include "rate-headers.h"
#include "worker-error.h"

typedef struct Exchange {
        ApiManager *manager;
        HttpRequest *request;
        const ExchangeKind *kind;
        JsonValue *prepared;
        WorkerCall *call;
} Exchange;

static Exchange *exchange_free(Exchange *exchange) {
        if (!exchange)
                return NULL;

        (void) worker_call_free(exchange->call);
        (void) json_free(exchange->prepared);
        free(exchange);
        return NULL;
}
DEFINE_CLEANUP(Exchange *, exchange_free);

static void cancel(void *work) {
        (void) exchange_free(work);
}

static const char *const origin_names[] = {
        [CLIENT_REMOTE] = "remote",
        [CLIENT_LOOPBACK] = "loopback",
        [CLIENT_MEMBER] = "member",
};

static int add_caller(JsonValue *parameters, const HttpRequest *request) {
        const char *token = bearer_token(http_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION));
        _cleanup_(json_freep) JsonValue *caller = json_new_object();
        const HttpClient *client = http_request_client(request);
        int r;

        r = json_add_string(caller, "origin", origin_names[client->origin]);
        if (r >= 0)
                r = json_add_string(caller, "address", client->address);
        if (r >= 0)
                r = json_add_string(caller, "token", token);
        return r < 0 ? r : json_add(parameters, "caller", TAKE_PTR(caller));
}

static JsonValue *build(void *userdata) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();
        Exchange *exchange = userdata;
        int r = 0;

        if (!exchange->kind->anonymous)
                r = add_caller(parameters, exchange->request);
        if (r >= 0 && exchange->kind->build)
                r = exchange->kind->build(exchange->request, parameters, TAKE_PTR(exchange->prepared));
        return r < 0 ? NULL : TAKE_PTR(parameters);
}

void exchange_read_error(HttpRequest *request, const VarlinkReply *reply, ApiError *error) {
        if (worker_error(reply, error) == WORKER_ERROR_UNEXPECTED)
                (void) log_record(LOG_WARNING, 0, LOG_FIELDS({ "ATELIER_REQUEST", http_request_id(request) }),
                                  "the worker refused a call of ours: %s", reply->error);
}

static int answer_error(HttpRequest *request, const VarlinkReply *reply, HttpReply **ret) {
        ApiError error;

        exchange_read_error(request, reply, &error);
        return http_reply_new_error(ret, &error);
}

static void tell_progress(Exchange *exchange, const VarlinkReply *reply) {
        HttpRequest *request = exchange->request;
        EventStream *events;
        int r = 0;

        if (exchange->kind->progress)
                r = exchange->kind->progress(exchange->manager, request, reply);
        if (r >= 0)
                return;
        events = http_reply_events(http_request_reply(request));
        if (events)
                event_stream_abort(events);
        else
                http_request_answer(request, r, NULL);
}

/* The first reply has them, the answer may be made of a later one. */
static void keep_rates(Exchange *exchange, const VarlinkReply *reply) {
        JsonValue *facts = reply->status >= 0 ? rate_facts(reply->parameters) : NULL;

        if (facts)
                http_request_set_rates(exchange->request, facts);
}

/* Members are known by their sockets and may show what they like. */
static void judge_guess(const Exchange *exchange, const VarlinkReply *reply) {
        const char *token = bearer_token(http_request_header(exchange->request, MHD_HTTP_HEADER_AUTHORIZATION));
        const HttpClient *client = http_request_client(exchange->request);
        GuessLimit *guesses = api_manager_guesses(exchange->manager);
        usec_t now = time_now_monotonic();

        if (exchange->kind->anonymous || client->origin == CLIENT_MEMBER || reply->status < 0)
                return;
        if (reply->error && json_get_integer(reply->parameters, "status", 0) == 401)
                guess_limit_refused(guesses, client->address,
                                    (unsigned) api_manager_settings(exchange->manager)->refused_keys_per_minute, now);
        else if (!reply->error && token)
                guess_limit_good(guesses, token, now);
}

static void on_reply(const VarlinkReply *reply, void *userdata) {
        _cleanup_(exchange_freep) Exchange *exchange = NULL;
        HttpRequest *request;
        HttpReply *answer = NULL;
        int r;

        keep_rates(userdata, reply);
        if (reply->status >= 0 && reply->continues) {
                tell_progress(userdata, reply);
                return;
        }

        exchange = userdata;
        exchange->call = NULL; /* it is over */
        request = exchange->request;
        http_request_set_work(request, NULL, NULL);
        judge_guess(exchange, reply);

        if (reply->status >= 0 && !exchange->kind->method.once)
                api_manager_worker_worked(exchange->manager);
        if (reply->status >= 0 && !reply->error)
                r = exchange->kind->answer(exchange->manager, request, reply, &answer);
        else if (exchange->kind->fail)
                r = exchange->kind->fail(exchange->manager, request, reply, &answer);
        else
                r = answer_error(request, reply, &answer);
        if (r < 0 && http_reply_events(http_request_reply(request)))
                event_stream_abort(http_reply_events(http_request_reply(request)));
        else if (r <= 0)
                http_request_answer(request, r, answer);
}

static void answer_busy(HttpRequest *request) {
        ApiError error;

        api_error_set(&error, 503, ERROR_TYPE_UNAVAILABLE, "too_many_requests", NULL,
                      "Too many requests are under way. Please try again.");
        http_request_answer_error(request, &error);
}

void exchange_start(ApiManager *manager, HttpRequest *request, const ExchangeKind *kind, JsonValue *prepared) {
        _cleanup_(exchange_freep) Exchange *exchange = NULL;
        _cleanup_(json_freep) JsonValue *owned = prepared;
        int r;

        exchange = malloc(sizeof(*exchange));
        if (!exchange) {
                http_request_answer(request, -ENOMEM, NULL);
                return;
        }
        *exchange = (Exchange){ manager, request, kind, TAKE_PTR(owned), NULL };

        r = worker_client_call_with_fd(api_manager_worker(manager), &exchange->call, &kind->method, build, on_reply,
                                       exchange, kind->fd ? kind->fd(request) : -1);
        if (r == -EBUSY)
                answer_busy(request);
        else if (r < 0)
                http_request_answer(request, r, NULL);
        else
                http_request_set_work(request, TAKE_PTR(exchange), cancel);
}
