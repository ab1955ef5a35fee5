/* Signed links on a whole worker: who gets one, what it opens, and what ends it. */
#include "state-fixture.h"

#include <fcntl.h>

#include "base/fd.h"
#include "keys/client-keys.h"
#include "keys/image-links.h"

#define CREATE "io.atelier.Links.Create"
#define REVOKE_ALL "io.atelier.Links.RevokeAll"
#define OPEN "io.atelier.Store.Open"
#define LINK_REFUSED "io.atelier.Links.Refused"
#define OPEN_REFUSED "io.atelier.Store.Refused"
#define IMAGE_NOT_FOUND "io.atelier.Store.ImageNotFound"
#define UNKNOWN_SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECRET_FILE "image-link-secret"

static int set_up(void **state) {
        assert_int_equal(worker_set_up(state), 0);
        worker_start(*state);
        return 0;
}

/* ------------------------------------------------------------------ calls */

static JsonValue *with_string(const char *name, const char *text) {
        JsonValue *parameters = json_new_object();

        assert_int_equal(json_add_string(parameters, name, text), 0);
        return parameters;
}

/* `origin` NULL: the method takes no caller. */
static TestCall *call_as(WorkerFixture *fixture, const char *origin, const char *token, const char *method,
                         JsonValue *parameters) {
        JsonValue *caller;

        if (origin) {
                caller = with_string("origin", origin);
                assert_int_equal(json_add_string(caller, "token", token), 0);
                assert_int_equal(json_add(parameters, "caller", caller), 0);
        }
        return wait_for(store_call(fixture, method, parameters, NULL, 0));
}

/* Answered as `response_format` says, NULL: as the model does. */
static TestCall *submit_for(WorkerFixture *fixture, const char *token, unsigned number, const char *response_format) {
        JsonValue *parameters = with_string("request_id", job_id(number) + strlen(JOB_ID_PREFIX));
        JsonValue *request = with_string("prompt", "a"), *caller = with_string("origin", token ? "loopback" : "member");
        TestCall *call = &fixture->calls[fixture->n_calls++];

        assert_int_equal(json_add_string(caller, "token", token), 0);
        assert_int_equal(json_add_string(request, "size", "64x64"), 0);
        assert_int_equal(json_add_integer(request, "n", 2), 0);
        assert_int_equal(json_add_string(request, "response_format", response_format), 0);
        assert_int_equal(json_add(parameters, "request", request), 0);
        assert_int_equal(json_add(parameters, "caller", caller), 0);
        call->fixture = fixture;
        assert_int_equal(varlink_client_connect(&call->client, service_event(fixture->service), fixture->poll,
                                                fixture->socket), 0);
        assert_int_equal(varlink_client_call(call->client, "io.atelier.Queue.Submit", parameters, true, USEC_INFINITY,
                                             on_test_reply, call), 0);
        return wait_for(call);
}

/* Has an image made, whose hash it returns. */
static const char *make_image(WorkerFixture *fixture, unsigned number) {
        TestCall *call = submit_for(fixture, NULL, number, "b64_json");
        const JsonValue *images = json_get_array(json_get_object(call->reply, "job"), "images");

        assert_string_equal(told_status(call), "completed");
        return json_get_string(images->child, "sha256");
}

static JsonValue *for_seconds(const char *sha256, int64_t seconds) {
        JsonValue *parameters = with_string("sha256", sha256);

        assert_int_equal(json_add_integer(parameters, "expires_in", seconds), 0);
        return parameters;
}

static const JsonValue *make_link(WorkerFixture *fixture, const char *sha256) {
        TestCall *call = call_as(fixture, "member", NULL, CREATE, with_string("sha256", sha256));

        assert_string_equal(call->error, "");
        return json_get_object(call->reply, "link");
}

/* What stands in a path behind `name`=; the next call overwrites it. */
static const char *query_value(const char *path, const char *name) {
        static char values[2][IMAGE_LINK_PATH_MAX];
        static unsigned next;
        char *value = values[next++ % ELEMENTS(values)];
        const char *start = strstr(path, name);

        assert_non_null(start);
        (void) snprintf(value, sizeof(values[0]), "%s", start + strlen(name) + 1);
        value[strcspn(value, "&")] = 0;
        return value;
}

/* As one who has nothing but that. */
static TestCall *open_by(WorkerFixture *fixture, const char *sha256, const char *expires, const char *signature) {
        JsonValue *parameters = with_string("sha256", sha256), *link = json_new_object();

        assert_int_equal(json_add_string(parameters, "format", "png"), 0);
        assert_int_equal(json_add_string(link, "expires", expires), 0);
        assert_int_equal(json_add_string(link, "signature", signature), 0);
        assert_int_equal(json_add(parameters, "link", link), 0);
        return call_as(fixture, "loopback", NULL, OPEN, parameters);
}

static TestCall *open_link(WorkerFixture *fixture, const char *sha256, const char *path) {
        return open_by(fixture, sha256, query_value(path, "expires"), query_value(path, "signature"));
}

static void check_opens(WorkerFixture *fixture, const char *sha256, const char *path) {
        TestCall *call = open_link(fixture, sha256, path);

        assert_string_equal(call->error, "");
        assert_int_equal(call->n_fds, 1);
}

static void check_refused(TestCall *call, const char *code) {
        assert_string_equal(call->error, OPEN_REFUSED);
        assert_int_equal(json_get_integer(call->reply, "status", 0), 403);
        assert_string_equal(json_get_string(call->reply, "code"), code);
        assert_int_equal(call->n_fds, 0);
}

static char *make_key(WorkerFixture *fixture) {
        TestCall *call = call_as(fixture, NULL, NULL, "io.atelier.Keys.Create", with_string("name", "a client"));
        char *token = strdup(json_get_string(call->reply, "token"));

        assert_non_null(token);
        return token;
}

static void restart(WorkerFixture *fixture) {
        worker_stop(fixture);
        worker_start(fixture);
}

/* ------------------------------------------------------------------ what a link opens */

static void test_link_opens_without_the_key_that_is_needed(void **state) {
        const char *sha256 = make_image(*state, 1);
        _cleanup_free_ char *token = make_key(*state);
        const JsonValue *link = make_link(*state, sha256);
        JsonValue *plain = with_string("sha256", sha256);

        assert_int_equal(json_add_string(plain, "format", "png"), 0);
        assert_string_equal(call_as(*state, "loopback", NULL, OPEN, plain)->error, OPEN_REFUSED);
        check_opens(*state, sha256, json_get_string(link, "path"));
}

static void test_link_is_no_link_to_another_image(void **state) {
        TestCall *call = submit_for(*state, NULL, 1, "b64_json");
        const JsonValue *images = json_get_array(json_get_object(call->reply, "job"), "images");
        const char *first = json_get_string(images->child, "sha256");
        const char *second = json_get_string(images->child->next, "sha256");

        assert_string_not_equal(first, second);
        check_refused(open_link(*state, second, json_get_string(make_link(*state, first), "path")), "link_invalid");
}

/* The answer to a wrong link is the same for an image that is there and one that is not. */
static void test_wrong_link_tells_nothing_of_the_image(void **state) {
        static const char wrong[] = UNKNOWN_SHA256;
        const char *sha256 = make_image(*state, 1);
        TestCall *there = open_by(*state, sha256, "4000000000", wrong);
        TestCall *missing = open_by(*state, UNKNOWN_SHA256, "4000000000", wrong);
        _cleanup_free_ char *told_there = json_format(there->reply), *told_missing = json_format(missing->reply);

        check_refused(there, "link_invalid");
        check_refused(missing, "link_invalid");
        assert_string_equal(told_there, told_missing);
        check_refused(open_by(*state, "..", "4000000000", wrong), "link_invalid");
}

static void test_half_a_link_is_none(void **state) {
        const char *sha256 = make_image(*state, 1);
        const char *path = json_get_string(make_link(*state, sha256), "path");

        check_refused(open_by(*state, sha256, NULL, query_value(path, "signature")), "link_invalid");
        check_refused(open_by(*state, sha256, query_value(path, "expires"), NULL), "link_invalid");
        check_refused(open_by(*state, sha256, NULL, NULL), "link_invalid");
}

/* Whoever shows a link is judged by that alone, be it root. */
static void test_wrong_link_is_not_made_good_by_a_key(void **state) {
        const char *sha256 = make_image(*state, 1);
        JsonValue *parameters = with_string("sha256", sha256);

        assert_int_equal(json_add_string(parameters, "format", "png"), 0);
        assert_int_equal(json_add(parameters, "link", with_string("expires", "4000000000")), 0);
        check_refused(call_as(*state, "member", NULL, OPEN, parameters), "link_invalid");
}

/* Signed with the secret as it lies on the disk: right in all but the time. */
static void test_link_of_the_past_has_expired(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *file = text_format("%s/" SECRET_FILE, fixture->state);
        _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
        const char *sha256 = make_image(*state, 1);
        uint8_t secret[IMAGE_LINK_SECRET_BYTES];
        uint64_t now = time_now_realtime() / USEC_PER_SEC;
        char path[IMAGE_LINK_PATH_MAX];

        assert_int_equal(fd_read_all(fd, secret, sizeof(secret)), sizeof(secret));
        assert_int_equal(image_link_format(secret, sha256, IMAGE_PNG, now, path), 0);
        check_refused(open_link(*state, sha256, path), "link_expired");
        assert_int_equal(image_link_format(secret, sha256, IMAGE_PNG, now + 1000, path), 0);
        check_opens(*state, sha256, path);
}

static void test_link_to_a_deleted_image_finds_none(void **state) {
        const char *sha256 = make_image(*state, 1);
        const JsonValue *link = make_link(*state, sha256);

        check_opens(*state, sha256, json_get_string(link, "path"));
        assert_string_equal(wait_for(worker_cancel(*state, 1, true))->error, "");
        assert_string_equal(open_link(*state, sha256, json_get_string(link, "path"))->error, IMAGE_NOT_FOUND);
        assert_string_equal(call_as(*state, "member", NULL, CREATE, with_string("sha256", sha256))->error,
                            "io.atelier.Links.ImageNotFound");
}

static void test_link_outlives_the_key_that_asked_for_it(void **state) {
        const char *sha256 = make_image(*state, 1);
        _cleanup_free_ char *token = make_key(*state);
        char id[CLIENT_KEY_ID_MAX];
        TestCall *call = call_as(*state, "loopback", token, CREATE, with_string("sha256", sha256));
        const char *path = json_get_string(json_get_object(call->reply, "link"), "path");

        assert_true(client_key_parse(token, id));
        assert_string_equal(call_as(*state, NULL, NULL, "io.atelier.Keys.Revoke", with_string("id", id))->error, "");
        assert_string_equal(call_as(*state, "loopback", token, CREATE, with_string("sha256", sha256))->error,
                            LINK_REFUSED);
        check_opens(*state, sha256, path);
}

/* ------------------------------------------------------------------ who gets one, and for how long */

static void test_only_who_may_see_the_image_gets_a_link(void **state) {
        const char *sha256 = make_image(*state, 1);
        _cleanup_free_ char *token = make_key(*state);
        TestCall *call = call_as(*state, "loopback", NULL, CREATE, with_string("sha256", sha256));

        assert_string_equal(call->error, LINK_REFUSED);
        assert_int_equal(json_get_integer(call->reply, "status", 0), 401);
        /* Nor is told whether there is one. */
        assert_string_equal(call_as(*state, "loopback", NULL, CREATE, with_string("sha256", UNKNOWN_SHA256))->error,
                            LINK_REFUSED);
        assert_string_equal(call_as(*state, "loopback", token, CREATE, with_string("sha256", sha256))->error, "");
        assert_string_equal(call_as(*state, "loopback", token, CREATE, with_string("sha256", UNKNOWN_SHA256))->error,
                            "io.atelier.Links.ImageNotFound");
        assert_string_equal(call_as(*state, "loopback", token, CREATE, with_string("sha256", "../x"))->error,
                            "io.atelier.Links.ImageNotFound");
}

static void check_seconds(WorkerFixture *fixture, const char *sha256, int64_t seconds) {
        usec_t before = time_now_realtime();
        TestCall *call = call_as(fixture, "member", NULL, CREATE, for_seconds(sha256, seconds));
        usec_t expires_at = (usec_t) json_get_integer(json_get_object(call->reply, "link"), "expires_at", 0);

        assert_string_equal(call->error, "");
        assert_true(expires_at % USEC_PER_SEC == 0);
        assert_true(expires_at >= before + (usec_t) seconds * USEC_PER_SEC);
        assert_true(expires_at < time_now_realtime() + (usec_t) (seconds + 1) * USEC_PER_SEC);
}

static void check_bad_seconds(WorkerFixture *fixture, const char *sha256, int64_t seconds) {
        TestCall *call = call_as(fixture, "member", NULL, CREATE, for_seconds(sha256, seconds));
        _cleanup_free_ char *expected = text_format("%d to %d seconds", IMAGE_LINK_SECONDS_MIN, IMAGE_LINK_SECONDS_MAX);

        assert_string_equal(call->error, LINK_REFUSED);
        assert_int_equal(json_get_integer(call->reply, "status", 0), 400);
        assert_string_equal(json_get_string(call->reply, "param"), "expires_in");
        assert_non_null(strstr(json_get_string(call->reply, "message"), expected));
}

static void test_seconds_have_limits(void **state) {
        const char *sha256 = make_image(*state, 1);

        check_seconds(*state, sha256, IMAGE_LINK_SECONDS_MIN);
        check_seconds(*state, sha256, IMAGE_LINK_SECONDS_MAX);
        check_bad_seconds(*state, sha256, IMAGE_LINK_SECONDS_MIN - 1);
        check_bad_seconds(*state, sha256, IMAGE_LINK_SECONDS_MAX + 1);
        check_bad_seconds(*state, sha256, 0);
        check_bad_seconds(*state, sha256, -JSON_INTEGER_MAX);
        check_bad_seconds(*state, sha256, JSON_INTEGER_MAX);
}

static void test_public_url_begins_the_link(void **state) {
        WorkerFixture *fixture = *state;
        const JsonValue *link;
        const char *sha256;

        sha256 = make_image(fixture, 1);
        assert_false(json_has(make_link(fixture, sha256), "url"));
        worker_stop(fixture);
        worker_configure(fixture, "api = { public_url = \"https://images.example.org/a/\"; };" SANDBOX_CONFIGURATION);
        worker_start(fixture);
        link = make_link(fixture, make_image(fixture, 2));
        assert_non_null(text_after(json_get_string(link, "url"), "https://images.example.org/a/v1/images/"));
        assert_string_equal(strstr(json_get_string(link, "url"), "/v1/"), json_get_string(link, "path"));
}

/* ------------------------------------------------------------------ response_format */

static void test_answer_by_url_brings_a_link_for_each_image(void **state) {
        usec_t before = time_now_realtime();
        TestCall *call = submit_for(*state, NULL, 1, "url");
        const JsonValue *image = json_get_array(json_get_object(call->reply, "job"), "images")->child;
        const JsonValue *links = json_get_array(call->reply, "links"), *link;

        assert_int_equal(cJSON_GetArraySize(links), 2);
        cJSON_ArrayForEach(link, links) {
                usec_t expires_at = (usec_t) json_get_integer(link, "expires_at", 0);

                assert_true(expires_at >= before + USEC_PER_HOUR);
                assert_true(expires_at < time_now_realtime() + USEC_PER_HOUR + USEC_PER_SEC);
                check_opens(*state, json_get_string(image, "sha256"), json_get_string(link, "path"));
                image = image->next;
        }
        /* Asked for again, it is there again. */
        call = submit_for(*state, NULL, 1, "url");
        assert_int_equal(cJSON_GetArraySize(json_get_array(call->reply, "links")), 2);
}

static void test_answer_by_base64_brings_none(void **state) {
        TestCall *call = submit_for(*state, NULL, 1, "b64_json");

        assert_string_equal(told_status(call), "completed");
        assert_false(json_has(call->reply, "links"));
}

/* ------------------------------------------------------------------ the secret */

static void test_links_outlive_the_worker(void **state) {
        WorkerFixture *fixture = *state;
        char sha256[SHA256_TEXT_MAX], path[IMAGE_LINK_PATH_MAX];

        (void) snprintf(sha256, sizeof(sha256), "%s", make_image(fixture, 1));
        (void) snprintf(path, sizeof(path), "%s", json_get_string(make_link(fixture, sha256), "path"));
        restart(fixture);
        check_opens(fixture, sha256, path);
}

static void test_revocation_ends_all_links_for_good(void **state) {
        WorkerFixture *fixture = *state;
        char sha256[SHA256_TEXT_MAX], path[IMAGE_LINK_PATH_MAX], later[IMAGE_LINK_PATH_MAX];

        (void) snprintf(sha256, sizeof(sha256), "%s", make_image(fixture, 1));
        (void) snprintf(path, sizeof(path), "%s", json_get_string(make_link(fixture, sha256), "path"));
        assert_string_equal(call_as(fixture, NULL, NULL, REVOKE_ALL, NULL)->error, "");
        (void) snprintf(later, sizeof(later), "%s", json_get_string(make_link(fixture, sha256), "path"));
        check_refused(open_link(fixture, sha256, path), "link_invalid");
        check_opens(fixture, sha256, later);
        restart(fixture);
        check_refused(open_link(fixture, sha256, path), "link_invalid");
        check_opens(fixture, sha256, later);
}

static void test_secret_is_made_at_the_first_start_for_its_owner_alone(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *file = text_format("%s/" SECRET_FILE, fixture->state);
        struct stat st;

        assert_int_equal(stat(file, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, IMAGE_LINK_SECRET_BYTES);
}

/* Lost or cut: a new one takes its place, and earlier links are refused. */
static void test_secret_of_another_size_is_replaced(void **state) {
        static const int sizes[] = { -1, 0, IMAGE_LINK_SECRET_BYTES - 1, IMAGE_LINK_SECRET_BYTES + 1 };
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *file = text_format("%s/" SECRET_FILE, fixture->state);
        char sha256[SHA256_TEXT_MAX], path[IMAGE_LINK_PATH_MAX];

        (void) snprintf(sha256, sizeof(sha256), "%s", make_image(fixture, 1));
        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                (void) snprintf(path, sizeof(path), "%s", json_get_string(make_link(fixture, sha256), "path"));
                check_opens(fixture, sha256, path);
                worker_stop(fixture);
                assert_int_equal(sizes[i] < 0 ? unlink(file) : truncate(file, sizes[i]), 0);
                worker_start(fixture);
                check_refused(open_link(fixture, sha256, path), "link_invalid");
        }
}

/* What can't be read stops nothing else, and is taken up when it can. */
static void test_without_a_secret_there_are_no_links(void **state) {
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *file = text_format("%s/" SECRET_FILE, fixture->state);
        TestCall *call;
        const char *sha256;

        worker_stop(fixture);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(mkdir(file, 0700), 0);
        worker_start(fixture);
        sha256 = make_image(fixture, 1);
        call = call_as(fixture, "member", NULL, CREATE, with_string("sha256", sha256));
        assert_string_equal(call->error, "io.atelier.Links.StoreUnavailable");
        assert_string_equal(call_as(fixture, NULL, NULL, REVOKE_ALL, NULL)->error, "io.atelier.Links.StoreUnavailable");
        call = open_by(fixture, sha256, "4000000000", UNKNOWN_SHA256);
        assert_string_equal(call->error, OPEN_REFUSED);
        assert_int_equal(json_get_integer(call->reply, "status", 0), 503);
        call = submit_for(fixture, NULL, 2, "url");
        assert_string_equal(told_status(call), "completed");
        assert_false(json_has(call->reply, "links"));

        assert_int_equal(rmdir(file), 0);
        check_opens(fixture, sha256, json_get_string(make_link(fixture, sha256), "path"));
}

static void test_snapshot_has_no_secret(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = take_snapshot(fixture);

        assert_non_null(taken_member(taken, "atelier.db"));
        for (size_t i = 0; i < taken->n; i++)
                assert_null(strstr(taken->members[i].name, "secret"));
        taken_free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(link_opens_without_the_key_that_is_needed),
                TEST(link_is_no_link_to_another_image),
                TEST(wrong_link_tells_nothing_of_the_image),
                TEST(half_a_link_is_none),
                TEST(wrong_link_is_not_made_good_by_a_key),
                TEST(link_of_the_past_has_expired),
                TEST(link_to_a_deleted_image_finds_none),
                TEST(link_outlives_the_key_that_asked_for_it),
                TEST(only_who_may_see_the_image_gets_a_link),
                TEST(seconds_have_limits),
                TEST(public_url_begins_the_link),
                TEST(answer_by_url_brings_a_link_for_each_image),
                TEST(answer_by_base64_brings_none),
                TEST(links_outlive_the_worker),
                TEST(revocation_ends_all_links_for_good),
                TEST(secret_is_made_at_the_first_start_for_its_owner_alone),
                TEST(secret_of_another_size_is_replaced),
                TEST(without_a_secret_there_are_no_links),
                TEST(snapshot_has_no_secret),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
