/* Retries through the whole worker: when a job goes back into the queue, when it comes to its turn again, and what the
 * others do meanwhile. The provider is a server on loopback. */
#include "worker-fixture.h"

#include "base/base64.h"
#include "loopback-server.h"
#include "sample-images.h"

#define ERROR(type, code) \
        "{\"error\":{\"message\":\"no\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"}}"

/* What the server answers to the requests in their order; the last answer goes on. */
typedef struct Answer {
        int status;              /* 0: what makes an image */
        const char *headers, *body;
} Answer;

typedef struct RetryFixture {
        WorkerFixture *worker;
        LoopbackServer *server;
} RetryFixture;

static const Answer *answers;
static size_t n_answers;
static char image_answer[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 64];

static bool answer_in_order(_unused_ LoopbackServer *server, int fd, _unused_ const char *request, unsigned number) {
        const Answer *answer = &answers[MIN((size_t) number, n_answers - 1)];

        if (answer->status == 0)
                loopback_answer(fd, 200, "Content-Type: application/json\r\n", image_answer);
        else
                loopback_answer(fd, answer->status, answer->headers ?: "", answer->body ?: "{}");
        return true;
}

#define ANSWERS(...) ((const Answer[]) { __VA_ARGS__ }), ELEMENTS(((const Answer[]) { __VA_ARGS__ }))
#define IMAGE { 0, NULL, NULL }
#define RATE_LIMIT { 429, "", ERROR("requests", "rate_limit_exceeded") }

static char rate_headers[512];

/* A worker with a paid provider `box` that answers so, and a sandbox beside it. */
static void start(RetryFixture *fixture, const Answer *list, size_t count, const char *worker, const char *provider) {
        char text[2048], url[64];

        answers = list;
        n_answers = count;
        if (!fixture->server)
                fixture->server = loopback_server_new(answer_in_order);
        (void) snprintf(url, sizeof(url), "base_url = \"http://127.0.0.1:%u/v1\";", fixture->server->port);
        (void) snprintf(text, sizeof(text),
                        "worker = { retry_min = \"20ms\"; retry_max = \"40ms\"; %s };\n"
                        "providers = ( { name = \"box\"; kind = \"openai\"; %s %s },"
                        "  { name = \"sandbox\"; kind = \"sandbox\"; } );\n"
                        "models = ( { name = \"m\"; provider = \"box\"; sizes = [ \"auto\", \"64x64\" ]; },"
                        "  { name = \"free\"; provider = \"sandbox\"; sizes = [ \"64x64\" ]; } );\n"
                        "prices = ( { name = \"m\"; provider = \"box\"; model = \"m\"; per_image = [ \"* * $0.0001\" ]; } );",
                        worker, strstr(provider, "base_url") ? "" : url, provider);
        worker_configure(fixture->worker, text);
        worker_start(fixture->worker);
}

static int set_up(void **state) {
        RetryFixture *fixture = calloc(1, sizeof(*fixture));
        static char png[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 1];
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        /* The worker's socket will have that number: the server must not. */
        if (fd != SD_LISTEN_FDS_START)
                (void) close(fd);
        (void) base64_encode(sample_png, sizeof(sample_png), png);
        (void) snprintf(image_answer, sizeof(image_answer), "{\"data\":[{\"b64_json\":\"%s\"}]}", png);
        assert_int_equal(worker_set_up((void **) &fixture->worker), 0);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        RetryFixture *fixture = *state;

        assert_int_equal(worker_tear_down((void **) &fixture->worker), 0);
        if (fixture->server)
                loopback_server_free(fixture->server);
        free(fixture);
        return 0;
}

static TestCall *submit_to(RetryFixture *fixture, unsigned number, const char *model) {
        JsonValue *parameters = json_new_object(), *request = json_new_object();

        assert_int_equal(json_add_string(request, "prompt", "a"), 0);
        assert_int_equal(json_add_string(request, "model", model), 0);
        assert_int_equal(json_add_string(request, "size", text_equal(model, "free") ? "64x64" : "auto"), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        return worker_call(fixture->worker, "io.atelier.Queue.Submit", parameters, true);
}

static TestCall *submit(RetryFixture *fixture, unsigned number) {
        return submit_to(fixture, number, "m");
}

static Job *ended_job(RetryFixture *fixture, unsigned number) {
        WAIT_UNTIL(fixture->worker, job_status_ended((JobStatus) stored_status(fixture->worker, number)));
        return stored_job(fixture->worker, number);
}

/* Has so many attempts, and waits for its next. */
static bool waits_after(RetryFixture *fixture, unsigned number, size_t attempts) {
        _cleanup_(job_freep) Job *job = stored_job(fixture->worker, number);

        return job && job->status == JOB_QUEUED && job->n_attempts == attempts;
}

static unsigned requests(const RetryFixture *fixture) {
        return atomic_load(&fixture->server->requests);
}

/* ------------------------------------------------------------------ what is tried again */

static void test_rate_limit_is_waited_out(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(RATE_LIMIT, { 500, "", ERROR("server_error", "") }, IMAGE), "", "");
        assert_string_equal(told_status(wait_for(submit(fixture, 1))), "completed");
        job = stored_job(fixture->worker, 1);
        assert_int_equal(job->n_attempts, 3);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_REFUSED);
        assert_non_null(strstr(job->attempts[0].cause, "rate_limit_exceeded"));
        assert_in_range(job->attempts[0].retry_delay, 15 * USEC_PER_MSEC, 20 * USEC_PER_MSEC);
        assert_in_range(job->attempts[1].retry_delay, 30 * USEC_PER_MSEC, 40 * USEC_PER_MSEC);
        assert_int_equal(job->attempts[2].retry_delay, 0);
        for (size_t i = 1; i < 3; i++)
                assert_true(job->attempts[i].started_at >=
                            job->attempts[i - 1].ended_at + job->attempts[i - 1].retry_delay);
        assert_int_equal(job->not_before, 0);
        assert_int_equal(job->failure.status, 0);
        assert_int_equal(requests(fixture), 3);
}

static void test_attempts_end_with_the_last_answer(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(RATE_LIMIT), "attempts_max = 2;", "");
        (void) submit(fixture, 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->failure.status, 429);
        assert_string_equal(job->failure.code, "rate_limit_exceeded");
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(requests(fixture), 2);
}

static void check_final(RetryFixture *fixture, const Answer *answer, const char *code) {
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, answer, 1, "", "");
        (void) submit(fixture, 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->status, JOB_FAILED);
        assert_string_equal(job->failure.code, code);
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(requests(fixture), 1);
}

static void test_exhausted_quota_is_final(void **state) {
        check_final(*state, &(Answer) { 429, "Retry-After: 1\r\nX-Should-Retry: true\r\n",
                                        ERROR("insufficient_quota", "credit_balance_exhausted") },
                    "provider_quota_exhausted");
}

static void test_moderation_is_final(void **state) {
        check_final(*state, &(Answer) { 400, "", ERROR("image_generation_user_error", "moderation_blocked") },
                    "moderation_blocked");
}

static void test_what_may_have_been_charged_is_final(void **state) {
        check_final(*state, &(Answer) { 502, "", "<html>" }, "provider_unavailable");
}

static void test_too_long_a_wait_is_final(void **state) {
        check_final(*state, &(Answer) { 429, "Retry-After: 121\r\n", ERROR("requests", "rate_limit_exceeded") },
                    "rate_limit_exceeded");
}

static void test_what_may_have_been_charged_is_repeated_where_it_may(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS({ 502, "", "<html>" }, IMAGE), "", "retry_unknown = true;");
        (void) submit(fixture, 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_UNKNOWN);
}

/* Nobody listens there: nothing was sent, so nothing was charged. */
static void test_refused_connection_is_tried_again(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(IMAGE), "", "base_url = \"http://127.0.0.1:1/v1\";");
        (void) submit(fixture, 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->n_attempts, 3);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(job->attempts[i].outcome, ATTEMPT_UNSENT);
        assert_int_equal(job->failure.status, 502);
        assert_string_equal(job->failure.code, "provider_unavailable");
}

/* ------------------------------------------------------------------ while it waits */

#define WAIT_LONG { 429, "Retry-After: 100\r\n", ERROR("requests", "rate_limit_exceeded") }

static void test_client_is_told_that_it_waits(void **state) {
        RetryFixture *fixture = *state;
        const JsonValue *job;
        TestCall *call;

        start(fixture, ANSWERS(WAIT_LONG), "", "");
        call = submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1) && text_equal(told_status(call), "queued"));
        job = json_get_object(call->reply, "job");
        assert_false(call->over);
        assert_true(json_get_integer(job, "retry_at", 0) > (int64_t) (time_now_realtime() + 90 * USEC_PER_SEC));
        assert_int_equal(json_get_integer(json_get_array(job, "attempts")->child, "retry_delay_usec", 0),
                         100 * USEC_PER_SEC);
        assert_int_equal(dispatcher_waiting(fixture->worker->manager->dispatcher), 1);
        assert_false(dispatcher_stalled(fixture->worker->manager->dispatcher));
}

#define OVERLOADED { 503, "Retry-After: 100\r\n", ERROR("service_unavailable_error", "server_is_overloaded") }

/* A place that a job only waits for is taken by the next one. */
static void test_others_go_on_meanwhile(void **state) {
        RetryFixture *fixture = *state;

        start(fixture, ANSWERS(OVERLOADED, IMAGE), "concurrency = 1;", "concurrency = 1;");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        assert_string_equal(told_status(wait_for(submit(fixture, 2))), "completed");
        assert_string_equal(told_status(wait_for(submit_to(fixture, 3, "free"))), "completed");
        assert_true(waits_after(fixture, 1, 1));
}

static void test_it_can_be_cancelled(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(WAIT_LONG), "", "");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        assert_string_equal(told_status(wait_for(worker_cancel(fixture->worker, 1, false))), "cancelled");
        job = stored_job(fixture->worker, 1);
        assert_int_equal(job->not_before, 0);
        assert_int_equal(dispatcher_waiting(fixture->worker->manager->dispatcher), 0);
}

/* Its time stands on the disk. */
static void test_restart_keeps_the_time(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *before = NULL, *job = NULL;

        start(fixture, ANSWERS({ 429, "Retry-After: 1\r\n", ERROR("requests", "rate_limit_exceeded") }, IMAGE), "", "");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        before = stored_job(fixture->worker, 1);
        worker_stop(fixture->worker);

        worker_start(fixture->worker);
        assert_true(waits_after(fixture, 1, 1));
        assert_int_equal(dispatcher_waiting(fixture->worker->manager->dispatcher), 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_true(job->attempts[1].started_at >= before->not_before);
}

/* No pause is that long: the clock was set back, and the job would wait until it has come that far again. */
static void test_clock_that_was_set_back_holds_up_nothing(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL, *ended = NULL;
        Store *store;

        start(fixture, ANSWERS(IMAGE), "", "");
        dispatcher_set_paused(fixture->worker->manager->dispatcher, true);
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 0) &&
                                    !store_group_open(commit_group_store(fixture->worker->manager->group)));
        store = commit_group_store(fixture->worker->manager->group);
        assert_int_equal(store_group_begin(store), 0);
        assert_int_equal(store_start_attempt(store, job_id(1), "box", "the former", time_now_realtime(), &job), 0);
        job->attempts[0].outcome = ATTEMPT_UNSENT;
        job->status = JOB_QUEUED;
        job->not_before = time_now_realtime() + USEC_PER_HOUR;
        assert_int_equal(store_end_attempt(store, job, NULL, NULL), 0);
        assert_int_equal(store_group_commit(store), 0);
        dispatcher_set_paused(fixture->worker->manager->dispatcher, false);
        ended = ended_job(fixture, 1);
        assert_int_equal(ended->status, JOB_COMPLETED);
}

/* A turn of the loop without an event, as many of them as it takes: none of them is spent on what is not due. */
static void test_nothing_is_looked_for_while_it_waits(void **state) {
        RetryFixture *fixture = *state;
        unsigned turns = 0;
        usec_t end;

        start(fixture, ANSWERS(WAIT_LONG), "", "");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        end = time_now_monotonic() + USEC_PER_SEC;
        while (time_now_monotonic() < end) {
                assert_true(sd_event_run(service_event(fixture->worker->service), end - time_now_monotonic()) >= 0);
                turns++;
        }
        assert_in_range(turns, 1, 30);
}

/* ------------------------------------------------------------------ the deadline */

static void test_no_retry_begins_after_the_deadline(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(WAIT_LONG), "job_timeout = \"99s\";", "");
        (void) submit(fixture, 1);
        job = ended_job(fixture, 1);
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->failure.status, 504);
        assert_string_equal(job->failure.code, "job_deadline_exceeded");
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(job->attempts[0].retry_delay, 0);
}

/* It was due in time, and could not begin: another job had the only place. */
static void test_deadline_ends_what_could_not_begin_in_time(void **state) {
        RetryFixture *fixture = *state;
        TestCall *call;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS({ 429, "Retry-After: 1\r\n", ERROR("requests", "rate_limit_exceeded") }),
              "job_timeout = \"1500ms\";", "");
        call = submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        dispatcher_set_paused(fixture->worker->manager->dispatcher, true);
        usec_t end = time_now_monotonic() + 1600 * USEC_PER_MSEC;
        WAIT_UNTIL(fixture->worker, time_now_monotonic() > end);
        assert_true(waits_after(fixture, 1, 1));
        dispatcher_set_paused(fixture->worker->manager->dispatcher, false);
        assert_string_equal(told_status(wait_for(call)), "failed");
        job = stored_job(fixture->worker, 1);
        assert_string_equal(job->failure.code, "job_deadline_exceeded");
        assert_int_equal(job->n_attempts, 1);
        assert_int_equal(requests(fixture), 1);
        WAIT_UNTIL(fixture->worker, dispatcher_waiting(fixture->worker->manager->dispatcher) == 0);
}

/* ------------------------------------------------------------------ the line */

#define MANY 1100  /* more than one turn starts or ends */

static void insert_jobs(RetryFixture *fixture, unsigned count) {
        Store *store = commit_group_store(fixture->worker->manager->group);

        assert_int_equal(store_group_begin(store), 0);
        for (unsigned number = 1; number <= count; number++) {
                Job job = {
                        .model = (char *) "m",
                        .response_format = (char *) "b64_json",
                        .request = (char *) "{\"prompt\": \"a\", \"size\": \"auto\"}",
                        .created_at = 1,
                };

                (void) strcpy(job.id, job_id(0x10000 + number));
                assert_int_equal(store_submit(store, &job, NULL, NULL), 0);
        }
        assert_int_equal(store_group_commit(store), 0);
        dispatcher_add_waiting(fixture->worker->manager->dispatcher, count);
}

static bool hold_connection(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                            _unused_ unsigned number) {
        loopback_await_close(fd);
        return false;
}

static void test_saturated_provider_holds_back_nobody_else(void **state) {
        RetryFixture *fixture = *state;

        fixture->server = loopback_server_new(hold_connection);
        start(fixture, ANSWERS(IMAGE), "", "concurrency = 1;");
        insert_jobs(fixture, MANY);
        WAIT_UNTIL(fixture->worker, dispatcher_running(fixture->worker->manager->dispatcher) == 1);
        assert_string_equal(told_status(wait_for(submit_to(fixture, 1, "free"))), "completed");
        assert_int_equal(stored_waiting(fixture->worker), MANY - 1);
}

static void test_many_jobs_of_a_model_that_is_gone_all_end(void **state) {
        RetryFixture *fixture = *state;

        start(fixture, ANSWERS(IMAGE), "", "");
        dispatcher_set_paused(fixture->worker->manager->dispatcher, true);
        insert_jobs(fixture, MANY);
        worker_stop(fixture->worker);
        worker_configure(fixture->worker, "providers = ( { name = \"box\"; kind = \"sandbox\"; } );");
        worker_start(fixture->worker);
        WAIT_UNTIL(fixture->worker, dispatcher_waiting(fixture->worker->manager->dispatcher) == 0);
        assert_int_equal(stored_status(fixture->worker, 0x10000 + MANY), JOB_FAILED);
}

/* ------------------------------------------------------------------ the circuit */

#define FAILURE { 500, "", ERROR("server_error", "") }

static const CircuitBreaker *circuit(RetryFixture *fixture, const char *model) {
        return gate_circuit(gates_find(fixture->worker->manager->gates, model));
}

static double circuit_gauge(RetryFixture *fixture) {
        return metrics_get(fixture->worker->manager->metrics, METRIC_CIRCUIT_STATE, METRIC_VALUES("box", "m"));
}

/* Two jobs fail, and the circuit of their model with them. */
static void break_circuit(RetryFixture *fixture, const Answer *list, size_t count, const char *cooldown) {
        char worker[128];

        (void) snprintf(worker, sizeof(worker), "attempts_max = 1; breaker_failures = 2; breaker_cooldown = \"%s\";",
                        cooldown);
        start(fixture, list, count, worker, "");
        assert_string_equal(told_status(wait_for(submit(fixture, 1))), "failed");
        assert_int_equal(circuit(fixture, "m")->state, CIRCUIT_CLOSED);
        assert_true(circuit_gauge(fixture) == 0);
        assert_string_equal(told_status(wait_for(submit(fixture, 2))), "failed");
        assert_int_equal(circuit(fixture, "m")->state, CIRCUIT_OPEN);
        assert_true(circuit_gauge(fixture) == 2);
}

static void test_jobs_wait_before_an_open_circuit(void **state) {
        RetryFixture *fixture = *state;
        TestCall *call;

        break_circuit(fixture, ANSWERS(FAILURE), "10min");
        call = submit(fixture, 3);
        assert_string_equal(told_status(wait_for(submit_to(fixture, 4, "free"))), "completed");
        assert_false(call->over);
        assert_int_equal(stored_status(fixture->worker, 3), JOB_QUEUED);
        assert_int_equal(requests(fixture), 2);
        assert_false(dispatcher_stalled(fixture->worker->manager->dispatcher));
}

static void test_probe_that_does_well_lets_all_through(void **state) {
        RetryFixture *fixture = *state;
        TestCall *calls[3];

        break_circuit(fixture, ANSWERS(FAILURE, FAILURE, IMAGE), "300ms");
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                calls[i] = submit(fixture, 3 + i);
        assert_int_equal(requests(fixture), 2);
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                assert_string_equal(told_status(wait_for(calls[i])), "completed");
        assert_int_equal(circuit(fixture, "m")->state, CIRCUIT_CLOSED);
        assert_true(circuit_gauge(fixture) == 0);
}

static void reload(RetryFixture *fixture) {
        _cleanup_(buffer_done) Buffer errors = {};

        assert_int_equal(worker_service_kind.reload(service_settings(fixture->worker->service), &errors,
                                                    fixture->worker->manager), 0);
}

/* One job is spent on it, and not all that wait. */
static void test_probe_that_fails_opens_it_again(void **state) {
        RetryFixture *fixture = *state;
        TestCall *probe, *call;

        break_circuit(fixture, ANSWERS(FAILURE), "10min");
        probe = submit(fixture, 3);
        WAIT_UNTIL(fixture->worker, stored_waiting(fixture->worker) == 1);
        call = submit(fixture, 4);
        WAIT_UNTIL(fixture->worker, stored_waiting(fixture->worker) == 2);
        reload(fixture);
        assert_string_equal(told_status(wait_for(probe)), "failed");
        assert_int_equal(circuit(fixture, "m")->state, CIRCUIT_OPEN);
        assert_true(circuit_wait(circuit(fixture, "m"), time_now_monotonic()) > 0);
        assert_false(call->over);
        assert_int_equal(requests(fixture), 3);
        assert_true(circuit_gauge(fixture) == 2);
}

static void test_rate_limits_open_no_circuit(void **state) {
        RetryFixture *fixture = *state;

        start(fixture, ANSWERS(RATE_LIMIT), "attempts_max = 1; breaker_failures = 2;", "");
        for (unsigned number = 1; number <= 4; number++)
                assert_string_equal(told_status(wait_for(submit(fixture, number))), "failed");
        assert_int_equal(circuit(fixture, "m")->state, CIRCUIT_CLOSED);
        assert_int_equal(requests(fixture), 4);
}

/* A job that has met failures ends by its deadline; one that was never tried goes on waiting. */
static void test_deadline_counts_before_an_open_circuit(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, ANSWERS(FAILURE), "breaker_failures = 2; breaker_cooldown = \"10min\"; job_timeout = \"500ms\";",
              "");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, circuit(fixture, "m")->state == CIRCUIT_OPEN);
        (void) submit(fixture, 2);
        job = ended_job(fixture, 1);
        assert_string_equal(job->failure.code, "job_deadline_exceeded");
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(stored_status(fixture->worker, 2), JOB_QUEUED);
}

/* The operator may have mended what was wrong. */
static void test_reload_has_it_tried_at_once(void **state) {
        RetryFixture *fixture = *state;
        TestCall *call;

        break_circuit(fixture, ANSWERS(FAILURE, FAILURE, IMAGE), "10min");
        call = submit(fixture, 3);
        assert_string_equal(told_status(wait_for(submit_to(fixture, 4, "free"))), "completed");
        reload(fixture);
        assert_string_equal(told_status(wait_for(call)), "completed");
}

static void test_status_tells_of_an_open_circuit(void **state) {
        RetryFixture *fixture = *state;
        _cleanup_(json_freep) JsonValue *facts = json_new_array();
        _cleanup_(buffer_done) Buffer status = {};
        const char *told = NULL;
        const JsonValue *fact;

        break_circuit(fixture, ANSWERS(FAILURE), "10min");
        assert_int_equal(worker_service_kind.facts(facts, fixture->worker->manager), 0);
        cJSON_ArrayForEach(fact, facts)
                if (text_equal(json_get_string(fact, "name"), "circuit.box.m"))
                        told = json_get_string(fact, "value");
        assert_non_null(told);
        assert_non_null(strstr(told, "open, one job is tried in "));
        worker_service_kind.status(&status, fixture->worker->manager);
        assert_int_equal(buffer_append(&status, "", 1), 0);
        assert_non_null(strstr((char *) status.data, "1 circuit"));
}

/* ------------------------------------------------------------------ the pace */

static void test_rate_limit_holds_back_all_jobs_of_the_model(void **state) {
        RetryFixture *fixture = *state;
        TestCall *call;

        start(fixture, ANSWERS(WAIT_LONG, IMAGE), "", "");
        (void) submit(fixture, 1);
        WAIT_UNTIL(fixture->worker, waits_after(fixture, 1, 1));
        call = submit(fixture, 2);
        assert_string_equal(told_status(wait_for(submit_to(fixture, 3, "free"))), "completed");
        assert_false(call->over);
        assert_int_equal(stored_status(fixture->worker, 2), JOB_QUEUED);
        assert_int_equal(requests(fixture), 1);
}

static bool answer_with_rate(_unused_ LoopbackServer *server, int fd, _unused_ const char *request,
                             _unused_ unsigned number) {
        loopback_answer(fd, 200, rate_headers, image_answer);
        return true;
}

static void answer_rate(RetryFixture *fixture, const char *limit, const char *remaining, const char *reset) {
        (void) snprintf(rate_headers, sizeof(rate_headers),
                        "x-ratelimit-limit-requests: %s\r\nx-ratelimit-remaining-requests: %s\r\n"
                        "x-ratelimit-reset-requests: %s\r\n", limit, remaining, reset);
        fixture->server = loopback_server_new(answer_with_rate);
}

static void test_used_up_rate_is_waited_out(void **state) {
        RetryFixture *fixture = *state;
        usec_t told_at;

        answer_rate(fixture, "60", "0", "24s");
        start(fixture, ANSWERS(IMAGE), "", "");
        assert_string_equal(told_status(wait_for(submit(fixture, 1))), "completed");
        told_at = gate_rate(gates_find(fixture->worker->manager->gates, "m"))->told_at;
        assert_string_equal(told_status(wait_for(submit(fixture, 2))), "completed");
        /* Sixty in 24 seconds are one in 400 ms. */
        assert_true(time_now_monotonic() >= told_at + 400 * USEC_PER_MSEC);
        assert_int_equal(requests(fixture), 2);
}

static void test_what_remains_of_a_rate_is_used(void **state) {
        RetryFixture *fixture = *state;
        TestCall *calls[3];

        answer_rate(fixture, "60", "2", "100s");
        start(fixture, ANSWERS(IMAGE), "", "");
        assert_string_equal(told_status(wait_for(submit(fixture, 1))), "completed");
        fixture->server->handler = hold_connection;
        for (unsigned i = 0; i < ELEMENTS(calls); i++)
                calls[i] = submit(fixture, 2 + i);
        assert_string_equal(told_status(wait_for(submit_to(fixture, 9, "free"))), "completed");
        WAIT_UNTIL(fixture->worker, stored_waiting(fixture->worker) == 1);
        assert_int_equal(stored_status(fixture->worker, 4), JOB_QUEUED);
        assert_false(calls[2]->over);
}

static TestCall *submit_images(RetryFixture *fixture, unsigned number, int64_t n) {
        JsonValue *parameters = json_new_object(), *request = json_new_object();

        assert_int_equal(json_add_string(request, "prompt", "a"), 0);
        assert_int_equal(json_add_string(request, "model", "free"), 0);
        assert_int_equal(json_add_string(request, "size", "64x64"), 0);
        assert_int_equal(json_add_integer(request, "n", n), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        return worker_call(fixture->worker, "io.atelier.Queue.Submit", parameters, true);
}

/* Images are counted, over all models, and whose turn it is is not passed over for one that would fit. */
static void test_images_per_minute(void **state) {
        RetryFixture *fixture = *state;
        TestCall *large, *small;

        worker_configure(fixture->worker,
                         "providers = ( { name = \"sandbox\"; kind = \"sandbox\"; images_per_minute = 5; } );\n"
                         "models = ( { name = \"free\"; provider = \"sandbox\"; sizes = [ \"64x64\" ]; },"
                         "  { name = \"m\"; provider = \"sandbox\"; sizes = [ \"auto\" ]; } );");
        worker_start(fixture->worker);
        assert_string_equal(told_status(wait_for(submit_images(fixture, 1, 3))), "completed");
        /* Who is told that a job is accepted knows that the dispatcher has looked at it: it comes before the commit. */
        large = submit_images(fixture, 2, 3);
        WAIT_UNTIL(fixture->worker, large->replies >= 1);
        assert_string_equal(told_status(wait_for(submit(fixture, 3))), "completed");  /* the other model's turn */
        small = submit(fixture, 4);
        WAIT_UNTIL(fixture->worker, small->replies >= 1);
        assert_int_equal(stored_waiting(fixture->worker), 2);
        assert_int_equal(dispatcher_running(fixture->worker->manager->dispatcher), 0);
        assert_string_equal(told_status(wait_for(worker_cancel(fixture->worker, 2, false))), "cancelled");
        assert_string_equal(told_status(wait_for(large)), "cancelled");
        assert_false(small->over);
        assert_string_equal(told_status(wait_for(small)), "completed");
        assert_false(dispatcher_stalled(fixture->worker->manager->dispatcher));
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(rate_limit_is_waited_out),
                TEST(attempts_end_with_the_last_answer),
                TEST(exhausted_quota_is_final),
                TEST(moderation_is_final),
                TEST(what_may_have_been_charged_is_final),
                TEST(too_long_a_wait_is_final),
                TEST(what_may_have_been_charged_is_repeated_where_it_may),
                TEST(refused_connection_is_tried_again),
                TEST(client_is_told_that_it_waits),
                TEST(others_go_on_meanwhile),
                TEST(it_can_be_cancelled),
                TEST(restart_keeps_the_time),
                TEST(clock_that_was_set_back_holds_up_nothing),
                TEST(nothing_is_looked_for_while_it_waits),
                TEST(no_retry_begins_after_the_deadline),
                TEST(deadline_ends_what_could_not_begin_in_time),
                TEST(saturated_provider_holds_back_nobody_else),
                TEST(many_jobs_of_a_model_that_is_gone_all_end),
                TEST(rate_limit_holds_back_all_jobs_of_the_model),
                TEST(used_up_rate_is_waited_out),
                TEST(what_remains_of_a_rate_is_used),
                TEST(images_per_minute),
                TEST(jobs_wait_before_an_open_circuit),
                TEST(probe_that_does_well_lets_all_through),
                TEST(probe_that_fails_opens_it_again),
                TEST(rate_limits_open_no_circuit),
                TEST(deadline_counts_before_an_open_circuit),
                TEST(reload_has_it_tried_at_once),
                TEST(status_tells_of_an_open_circuit),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
