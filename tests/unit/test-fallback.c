/* Keys that are refused and models that make another's jobs, through the whole worker. The providers are one server on
 * loopback; it tells them by their keys, and models by their names. */
#include "worker-fixture.h"

#include "base/base64.h"
#include "loopback-server.h"
#include "sample-images.h"

#define ERROR(type, code) \
        "{\"error\":{\"message\":\"no\",\"type\":\"" type "\",\"param\":null,\"code\":\"" code "\"}}"

/* What the server answers to a request in which the words stand; the first that fits. Whatever fits none makes an
 * image. */
typedef struct Rule {
        const char *words, *more_words;
        int status;
        const char *body;
} Rule;

typedef struct FallbackFixture {
        WorkerFixture *worker;
        LoopbackServer *server;
} FallbackFixture;

static const Rule *rules;
static size_t n_rules;
static char image_answer[BASE64_ENCODED_SIZE(sizeof(sample_png)) + 64];

static bool answer_by_rules(_unused_ LoopbackServer *server, int fd, const char *request, _unused_ unsigned number) {
        for (size_t i = 0; i < n_rules; i++)
                if (strstr(request, rules[i].words) && (!rules[i].more_words || strstr(request, rules[i].more_words))) {
                        loopback_answer(fd, rules[i].status, "", rules[i].body);
                        return true;
                }
        loopback_answer(fd, 200, "Content-Type: application/json\r\n", image_answer);
        return true;
}

#define RULES(...) ((const Rule[]) { __VA_ARGS__ }), ELEMENTS(((const Rule[]) { __VA_ARGS__ }))
#define REFUSED 401, ERROR("invalid_request_error", "invalid_api_key")
#define SPENT 429, ERROR("insufficient_quota", "insufficient_quota")
#define FAILING 500, ERROR("server_error", "")
#define MODEL(name) "\"model\":\"" name "\""

/* Models a, b and c of the providers one, two and two. `a` has what is given: fallbacks, say. */
static void start(FallbackFixture *fixture, const Rule *list, size_t count, const char *worker, const char *a) {
        char text[4096];

        rules = list;
        n_rules = count;
        if (!fixture->server)
                fixture->server = loopback_server_new(answer_by_rules);
        (void) setenv("KEY_1", "key-one", 1);
        (void) setenv("KEY_2", "key-two", 1);
        (void) setenv("KEY_3", "key-three", 1);
        (void) snprintf(text, sizeof(text),
                        "worker = { retry_min = \"5ms\"; retry_max = \"10ms\"; attempts_max = 2; %s };\n"
                        "providers = ( { name = \"one\"; base_url = \"http://127.0.0.1:%u/v1\"; "
                        "    keys = [ \"env:KEY_1\", \"env:KEY_2\" ]; },"
                        "  { name = \"two\"; base_url = \"http://127.0.0.1:%u/v1\"; key = \"env:KEY_3\"; } );\n"
                        "models = ( { name = \"a\"; provider = \"one\"; sizes = [ \"auto\", \"24x16\" ]; %s },"
                        "  { name = \"b\"; provider = \"two\"; sizes = [ \"24x16\" ]; default_size = \"24x16\"; },"
                        "  { name = \"c\"; provider = \"two\"; sizes = [ \"auto\", \"24x16\" ]; } );\n"
                        "prices = ( { name = \"a\"; provider = \"one\"; model = \"a\"; per_image = [ \"* * $0.01\" ]; },"
                        "  { name = \"b\"; provider = \"two\"; model = \"b\"; per_image = [ \"* * $0.02\" ]; },"
                        "  { name = \"c\"; provider = \"two\"; model = \"c\"; per_image = [ \"* * $0.04\" ]; } );",
                        worker, fixture->server->port, fixture->server->port, a);
        worker_configure(fixture->worker, text);
        worker_start(fixture->worker);
}

static int set_up(void **state) {
        FallbackFixture *fixture = calloc(1, sizeof(*fixture));
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
        FallbackFixture *fixture = *state;

        assert_int_equal(worker_tear_down((void **) &fixture->worker), 0);
        if (fixture->server)
                loopback_server_free(fixture->server);
        free(fixture);
        return 0;
}

static void submit(FallbackFixture *fixture, unsigned number, const char *size) {
        JsonValue *parameters = json_new_object(), *request = json_new_object();

        assert_int_equal(json_add_string(request, "prompt", "p"), 0);
        assert_int_equal(json_add_string(request, "model", "a"), 0);
        assert_int_equal(json_add_string(request, "size", size), 0);
        assert_int_equal(json_add_string(parameters, "request_id", job_id(number) + strlen(JOB_ID_PREFIX)), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        (void) worker_call(fixture->worker, "io.atelier.Queue.Submit", parameters, true);
}

static Job *ended_job(FallbackFixture *fixture, unsigned number) {
        WAIT_UNTIL(fixture->worker, job_status_ended((JobStatus) stored_status(fixture->worker, number)));
        return stored_job(fixture->worker, number);
}

static Job *made(FallbackFixture *fixture, unsigned number, const char *size) {
        submit(fixture, number, size);
        return ended_job(fixture, number);
}

static unsigned requests(const FallbackFixture *fixture) {
        return atomic_load(&fixture->server->requests);
}

static const Provider *provider_one(FallbackFixture *fixture) {
        return provider_table_find(fixture->worker->manager->providers, "one")->provider;
}

/* ------------------------------------------------------------------ keys */

static void test_next_key_is_used_at_once(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL, *second = NULL;
        _cleanup_(buffer_done) Buffer text = {};

        start(fixture, RULES({ "key-one", NULL, REFUSED }), "", "");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(job->attempts[0].outcome, ATTEMPT_REFUSED);
        assert_int_equal(job->attempts[0].retry_delay, 0);
        assert_non_null(strstr(job->attempts[0].cause, "key 1 of 2: HTTP 401"));
        assert_int_equal(job->cost.charged, 10000);

        /* The first one is not tried again. */
        second = made(fixture, 2, "24x16");
        assert_int_equal(second->n_attempts, 1);
        assert_int_equal(requests(fixture), 3);
        assert_int_equal(provider_describe_keys(provider_one(fixture), &text), 0);
        assert_memory_equal(text.data, "key 1 of 2 refused", text.size);
}

static void test_refused_keys_are_not_the_clients_fault(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL, *second = NULL;

        start(fixture, RULES({ "key-", NULL, REFUSED }), "", "");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->n_attempts, 2);
        assert_int_equal(job->failure.status, 503);
        assert_string_equal(job->failure.code, "provider_key_refused");
        assert_int_equal(job->cost.reserved + job->cost.charged + job->cost.unknown, 0);

        /* The provider is not asked again. */
        second = made(fixture, 2, "24x16");
        assert_int_equal(second->n_attempts, 0);
        assert_string_equal(second->failure.code, "provider_key_refused");
        assert_int_equal(requests(fixture), 2);
}

static void test_exhausted_quota_leads_to_the_next_key(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ "key-one", NULL, SPENT }), "", "");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->status, JOB_COMPLETED);
        assert_int_equal(provider_key_fault(provider_one(fixture), 1), KEY_FAULT_SPENT);
        assert_int_equal(provider_key_fault(provider_one(fixture), 2), KEY_FAULT_NONE);
}

static void test_quota_of_all_keys_is_told_as_the_gateways(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ "key-", NULL, SPENT }), "", "");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->failure.status, 503);
        assert_string_equal(job->failure.code, "provider_quota_exhausted");
}

/* ------------------------------------------------------------------ fallbacks */

static void assert_made_by(const Job *job, const char *model, const char *provider, micros_t charged) {
        const Attempt *last = &job->attempts[job->n_attempts - 1];

        assert_int_equal(job->status, JOB_COMPLETED);
        assert_string_equal(job->model, "a");
        assert_string_equal(last->model, model);
        assert_string_equal(last->provider, provider);
        assert_int_equal(job->cost.charged, charged);
        assert_int_equal(job->cost.reserved + job->cost.unknown, 0);
}

static void test_used_up_attempts_lead_on(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ MODEL("a"), NULL, FAILING }), "", "fallback = [ \"b\", \"c\" ];");
        job = made(fixture, 1, "24x16");
        assert_made_by(job, "b", "two", 20000);
        assert_int_equal(job->n_attempts, 3);
        assert_null(job->attempts[1].model);
        assert_string_equal(job->attempts[1].next_model, "b");
}

/* Each member has attempts of its own; the last failure is the client's. */
static void test_chain_comes_to_an_end(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ MODEL("c"), NULL, 429, ERROR("requests", "rate_limit_exceeded") }, { "POST", NULL, FAILING }),
              "breaker_failures = 100;", "fallback = [ \"b\", \"c\" ];");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->n_attempts, 6);
        assert_int_equal(job->failure.status, 429);
        assert_int_equal(job->cost.reserved + job->cost.charged + job->cost.unknown, 0);
}

static void test_member_that_does_not_fit_is_passed_over(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ MODEL("a"), NULL, FAILING }), "", "fallback = [ \"b\", \"c\" ];");
        job = made(fixture, 1, "auto");
        assert_made_by(job, "c", "two", 40000);
        assert_non_null(strstr(job->attempts[1].cause, "b is passed over: Invalid value: 'auto'"));
}

static void test_keys_that_are_all_refused_lead_on(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL, *second = NULL;

        start(fixture, RULES({ MODEL("a"), NULL, REFUSED }), "", "fallback = [ \"b\" ];");
        job = made(fixture, 1, "24x16");
        assert_made_by(job, "b", "two", 20000);
        assert_int_equal(job->n_attempts, 3);

        second = made(fixture, 2, "24x16");
        assert_made_by(second, "b", "two", 20000);
        assert_int_equal(second->n_attempts, 1);
        assert_string_equal(second->attempts[0].note, "a: no key is good");
}

static void test_open_circuit_leads_on(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL, *second = NULL;

        start(fixture, RULES({ MODEL("a"), NULL, FAILING }), "breaker_failures = 2; breaker_cooldown = \"1h\";",
              "fallback = [ \"b\" ];");
        job = made(fixture, 1, "24x16");
        assert_made_by(job, "b", "two", 20000);
        second = made(fixture, 2, "24x16");
        assert_made_by(second, "b", "two", 20000);
        assert_int_equal(second->n_attempts, 1);
        assert_string_equal(second->attempts[0].note, "a: the circuit is open");
}

static void check_final(FallbackFixture *fixture, const Rule *rule, const char *code) {
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, rule, 1, "", "fallback = [ \"b\" ];");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->status, JOB_FAILED);
        assert_int_equal(job->n_attempts, 1);
        assert_string_equal(job->failure.code, code);
        assert_int_equal(requests(fixture), 1);
}

static void test_moderation_leads_nowhere(void **state) {
        check_final(*state, &(Rule) { MODEL("a"), NULL, 400, ERROR("image_generation_user_error", "moderation_blocked") },
                    "moderation_blocked");
}

static void test_bad_request_leads_nowhere(void **state) {
        check_final(*state, &(Rule) { MODEL("a"), NULL, 400, ERROR("invalid_request_error", "invalid_value") },
                    "invalid_value");
}

static void test_what_may_have_been_charged_leads_nowhere(void **state) {
        check_final(*state, &(Rule) { MODEL("a"), NULL, 502, "<html>" }, "provider_unavailable");
}

/* The dearest of the chain is what must fit. */
static void test_dearest_of_the_chain_is_reserved(void **state) {
        FallbackFixture *fixture = *state;
        _cleanup_(job_freep) Job *job = NULL;

        start(fixture, RULES({ MODEL("nothing"), NULL, FAILING }), "total_budget = \"$0.04\";",
              "fallback = [ \"b\", \"c\" ];");
        job = made(fixture, 1, "24x16");
        assert_int_equal(job->cost.charged, 10000);
        submit(fixture, 2, "24x16");
        WAIT_UNTIL(fixture->worker, fixture->worker->calls[1].over);
        assert_string_equal(json_get_string(fixture->worker->calls[1].reply, "code"), "budget_exceeded");
        assert_int_equal(requests(fixture), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_next_key_is_used_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused_keys_are_not_the_clients_fault, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_exhausted_quota_leads_to_the_next_key, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_quota_of_all_keys_is_told_as_the_gateways, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_used_up_attempts_lead_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_chain_comes_to_an_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_member_that_does_not_fit_is_passed_over, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_keys_that_are_all_refused_lead_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_open_circuit_leads_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_moderation_leads_nowhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_request_leads_nowhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_may_have_been_charged_leads_nowhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_dearest_of_the_chain_is_reserved, set_up, tear_down),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
