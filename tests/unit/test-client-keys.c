/* Keys of clients, on a whole worker: who must show one, who is refused, and who sees what. */
#include "state-fixture.h"

#include "keys/client-keys.h"

#define CREATE "io.atelier.Keys.Create"
#define LIST "io.atelier.Keys.List"
#define REVOKE "io.atelier.Keys.Revoke"
#define KEY_NOT_FOUND "io.atelier.Keys.KeyNotFound"
#define REFUSED "io.atelier.Queue.Refused"
#define JOB_NOT_FOUND "io.atelier.Queue.JobNotFound"
#define INVALID_PARAMETER "org.varlink.service.InvalidParameter"
#define REQUIRED_CONFIGURATION "require_key = \"always\";" SANDBOX_CONFIGURATION
#define PAGE_KEYS 100

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

static TestCall *call_keys(WorkerFixture *fixture, const char *method, JsonValue *parameters) {
        return wait_for(store_call(fixture, method, parameters, NULL, 0));
}

typedef struct MadeKey {
        char id[CLIENT_KEY_ID_MAX], token[CLIENT_KEY_TOKEN_MAX];
} MadeKey;

static MadeKey make_key(WorkerFixture *fixture) {
        TestCall *call = call_keys(fixture, CREATE, with_string("name", "a client"));
        MadeKey key = {};

        assert_string_equal(call->error, "");
        (void) snprintf(key.id, sizeof(key.id), "%s", json_get_string(json_get_object(call->reply, "key"), "id"));
        (void) snprintf(key.token, sizeof(key.token), "%s", json_get_string(call->reply, "token"));
        worker_drop_call(call);
        fixture->n_calls--;
        return key;
}

/* Since when it is. */
static int64_t revoke_key(WorkerFixture *fixture, const MadeKey *key) {
        TestCall *call = call_keys(fixture, REVOKE, with_string("id", key->id));

        assert_string_equal(call->error, "");
        return json_get_integer(json_get_object(call->reply, "key"), "revoked_at", 0);
}

/* `token` NULL: none is sent along. */
static TestCall *call_as(WorkerFixture *fixture, const char *origin, const char *token, const char *method,
                         JsonValue *parameters) {
        JsonValue *caller = with_string("origin", origin);

        assert_int_equal(json_add_string(caller, "token", token), 0);
        assert_int_equal(json_add(parameters, "caller", caller), 0);
        return call_keys(fixture, method, parameters);
}

static TestCall *submit_as(WorkerFixture *fixture, const char *origin, const char *token, unsigned number) {
        JsonValue *parameters = with_string("request_id", job_id(number) + strlen(JOB_ID_PREFIX));

        assert_int_equal(json_add(parameters, "request", with_string("prompt", "a")), 0);
        return call_as(fixture, origin, token, "io.atelier.Queue.Submit", parameters);
}

static TestCall *list_as(WorkerFixture *fixture, const char *origin, const char *token) {
        return call_as(fixture, origin, token, "io.atelier.Queue.List", json_new_object());
}

static void check_served(WorkerFixture *fixture, const char *origin, const char *token) {
        TestCall *call = list_as(fixture, origin, token);

        assert_string_equal(call->error, "");
        worker_drop_call(call);
        fixture->n_calls--;
}

/* Refused as a wrong key is, with nothing of it in the answer. */
static void check_refused(WorkerFixture *fixture, const char *origin, const char *token) {
        TestCall *call = list_as(fixture, origin, token);
        _cleanup_free_ char *text = json_format(call->reply);

        assert_string_equal(call->error, REFUSED);
        assert_int_equal(json_get_integer(call->reply, "status", 0), 401);
        assert_string_equal(json_get_string(call->reply, "code"), "invalid_api_key");
        assert_true(!token || strlen(token) < CLIENT_KEY_ID_DIGITS ||
                    !strstr(text, token + strlen(token) - CLIENT_KEY_CHECK_DIGITS));
        worker_drop_call(call);
        fixture->n_calls--;
}

/* ------------------------------------------------------------------ who must show a key */

static void test_without_keys_any_token_is_ignored(void **state) {
        check_served(*state, "loopback", NULL);
        check_served(*state, "loopback", "sk-nothing-behind-it");
        check_served(*state, "loopback", "atl_from-elsewhere");
        check_served(*state, "member", "atl_from-elsewhere");
}

static void test_from_the_first_key_on_clients_show_one(void **state) {
        MadeKey key = make_key(*state);

        check_served(*state, "loopback", key.token);
        check_refused(*state, "loopback", NULL);
        check_refused(*state, "loopback", "");
        check_refused(*state, "loopback", "sk-nothing-behind-it");
}

static void test_members_may_go_without(void **state) {
        MadeKey key = make_key(*state);

        check_served(*state, "member", NULL);
        check_served(*state, "member", "sk-nothing-behind-it");
        check_served(*state, "member", key.token);
        check_refused(*state, "member", "atl_from-elsewhere");
}

static void test_required_before_there_is_one(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key;

        worker_configure(fixture, REQUIRED_CONFIGURATION);
        worker_start(fixture);
        check_refused(fixture, "loopback", NULL);
        check_refused(fixture, "loopback", "sk-nothing-behind-it");
        check_served(fixture, "member", NULL);
        key = make_key(fixture);
        check_served(fixture, "loopback", key.token);
}

static void test_every_method_for_clients_asks_for_the_key(void **state) {
        static const char *const methods[] = { "Get", "Watch", "Cancel" };
        WorkerFixture *fixture = *state;
        JsonValue *image = with_string("format", "png");
        TestCall *call;

        (void) make_key(fixture);
        for (size_t i = 0; i < ELEMENTS(methods); i++) {
                _cleanup_free_ char *method = text_format("io.atelier.Queue.%s", methods[i]);

                assert_string_equal(call_as(fixture, "loopback", NULL, method, with_string("id", job_id(1)))->error,
                                    REFUSED);
        }
        assert_string_equal(submit_as(fixture, "loopback", NULL, 1)->error, REFUSED);
        call = call_as(fixture, "loopback", NULL, "io.atelier.Queue.ListModels", json_new_object());
        assert_string_equal(call->error, REFUSED);
        assert_int_equal(json_add(image, "sha256", cJSON_CreateString("")), 0);
        assert_string_equal(call_as(fixture, "loopback", NULL, "io.atelier.Store.Open", image)->error,
                            "io.atelier.Store.Refused");
        assert_int_equal(stored_status(fixture, 1), JOB_STATUS_INVALID);
}

/* ------------------------------------------------------------------ which keys are refused */

static void test_wrong_secret_is_refused(void **state) {
        MadeKey key = make_key(*state), other = make_key(*state);
        char mixed[CLIENT_KEY_TOKEN_MAX], sum[SHA256_TEXT_MAX];
        size_t secret = strlen("atl_") + CLIENT_KEY_ID_DIGITS, check = secret + 1 + CLIENT_KEY_SECRET_DIGITS;

        /* Well-formed, its check right: the id of one, the secret of the other. */
        (void) strcpy(mixed, key.token);
        memcpy(mixed + secret, other.token + secret, check - secret);
        assert_int_equal(sha256_text(mixed, check, sum), 0);
        memcpy(mixed + check, sum, CLIENT_KEY_CHECK_DIGITS);
        check_refused(*state, "loopback", mixed);
        check_served(*state, "loopback", key.token);
        check_served(*state, "loopback", other.token);
}

static void test_unknown_key_is_refused(void **state) {
        char token[CLIENT_KEY_TOKEN_MAX];

        (void) make_key(*state);
        assert_int_equal(client_key_mint(NULL, token), 0);
        check_refused(*state, "loopback", token);
}

static void test_revocation_acts_at_once_and_leaves_the_door_shut(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture);
        int64_t revoked_at;

        check_served(fixture, "loopback", key.token);
        revoked_at = revoke_key(fixture, &key);
        assert_true(revoked_at > 0);
        check_refused(fixture, "loopback", key.token);
        check_refused(fixture, "member", key.token);
        check_refused(fixture, "loopback", NULL);
        assert_int_equal(revoke_key(fixture, &key), revoked_at);
}

static void test_keys_outlive_the_worker(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture);

        worker_stop(fixture);
        worker_start(fixture);
        check_served(fixture, "loopback", key.token);
        check_refused(fixture, "loopback", NULL);
}

/* The database alone is worth nothing, and nobody is let in for want of the file. */
static void test_without_the_servers_secret_every_key_is_refused(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture), fresh;
        _cleanup_free_ char *path = text_format("%s/client-key-secret", fixture->state);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(st.st_size, CLIENT_KEY_SERVER_SECRET_BYTES);
        worker_stop(fixture);
        assert_int_equal(unlink(path), 0);
        worker_start(fixture);
        check_refused(fixture, "loopback", key.token);
        check_refused(fixture, "loopback", NULL);
        fresh = make_key(fixture);
        check_served(fixture, "loopback", fresh.token);
        check_refused(fixture, "loopback", key.token);
}

/* Where there is no secret yet, a row made under zeros, as a forged archive could bring it, opens nothing. */
static void test_hash_under_no_secret_is_worth_nothing(void **state) {
        static const uint8_t zeros[CLIENT_KEY_SERVER_SECRET_BYTES];
        WorkerFixture *fixture = *state;
        Store *store = commit_group_store(fixture->manager->group);
        ClientKey key = { .name = "forged", .created_at = 1 };
        char token[CLIENT_KEY_TOKEN_MAX];

        assert_int_equal(client_key_mint(NULL, token), 0);
        assert_true(client_key_parse(token, key.id));
        assert_int_equal(client_key_hash(token, zeros, key.hash), 0);
        assert_int_equal(store_group_begin(store), 0);
        assert_int_equal(store_add_key(store, &key), 0);
        assert_int_equal(store_group_commit(store), 0);
        check_refused(fixture, "loopback", token);
}

/* Cut short, or longer: nothing is made of it, and nothing is written over it. */
static void test_servers_secret_of_another_size_is_an_error(void **state) {
        static const size_t sizes[] = { 0, CLIENT_KEY_SERVER_SECRET_BYTES - 1, CLIENT_KEY_SERVER_SECRET_BYTES + 1 };
        static const char bytes[CLIENT_KEY_SERVER_SECRET_BYTES + 1];
        WorkerFixture *fixture = *state;
        _cleanup_free_ char *path = text_format("%s/client-key-secret", fixture->state);
        ClientKeys *keys = NULL;
        struct stat st;

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

                assert_int_equal(fd_write_all(fd, bytes, sizes[i]), 0);
                assert_int_equal(client_keys_new(&keys, fixture->manager, fixture->state), -EBADMSG);
                assert_null(keys);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_size, sizes[i]);
        }
}

static bool file_contains(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *data = NULL;
        struct stat st;

        if (fd < 0)
                return false;
        assert_int_equal(fstat(fd, &st), 0);
        data = malloc((size_t) st.st_size + 1);
        assert_int_equal(fd_read_all(fd, data, (size_t) st.st_size), st.st_size);
        return memmem(data, (size_t) st.st_size, text, strlen(text));
}

static void test_database_has_the_id_and_not_the_secret(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture);
        const char *secret = strrchr(key.token, '_') + 1;

        assert_string_equal(submit_as(fixture, "loopback", key.token, 1)->error, "");
        worker_stop(fixture);
        assert_true(file_contains(fixture->database, key.id));
        assert_false(file_contains(fixture->database, key.token));
        assert_false(file_contains(fixture->database, secret));
}

/* ------------------------------------------------------------------ who sees what */

static void test_job_has_the_key_that_it_was_asked_with(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture);
        TestCall *call = submit_as(fixture, "loopback", key.token, 1);

        assert_string_equal(json_get_string(json_get_object(call->reply, "job"), "key"), key.id);
        call = submit_as(fixture, "member", NULL, 2);
        assert_string_equal(call->error, "");
        assert_false(json_has(json_get_object(call->reply, "job"), "key"));
}

static void assert_not_found(TestCall *call) {
        assert_string_equal(call->error, JOB_NOT_FOUND);
}

static void test_key_sees_only_its_own_jobs(void **state) {
        static const char *const methods[] = { "io.atelier.Queue.Get", "io.atelier.Queue.Watch",
                                               "io.atelier.Queue.Cancel" };
        WorkerFixture *fixture = *state;
        MadeKey mine = make_key(fixture), yours = make_key(fixture);
        const JsonValue *jobs;
        TestCall *call;

        dispatcher_set_paused(fixture->manager->dispatcher, true);
        assert_string_equal(submit_as(fixture, "loopback", mine.token, 1)->error, "");
        assert_string_equal(submit_as(fixture, "loopback", yours.token, 2)->error, "");
        assert_string_equal(submit_as(fixture, "member", NULL, 3)->error, "");
        for (size_t i = 0; i < ELEMENTS(methods); i++) {
                assert_not_found(call_as(fixture, "loopback", mine.token, methods[i], with_string("id", job_id(2))));
                assert_not_found(call_as(fixture, "loopback", mine.token, methods[i], with_string("id", job_id(3))));
                assert_not_found(call_as(fixture, "member", mine.token, methods[i], with_string("id", job_id(3))));
        }
        assert_not_found(submit_as(fixture, "loopback", mine.token, 2));
        assert_int_equal(stored_status(fixture, 2), JOB_QUEUED);
        assert_int_equal(stored_status(fixture, 3), JOB_QUEUED);

        call = list_as(fixture, "loopback", mine.token);
        jobs = json_get_array(call->reply, "jobs");
        assert_int_equal(cJSON_GetArraySize(jobs), 1);
        assert_string_equal(json_get_string(cJSON_GetArrayItem(jobs, 0), "id"), job_id(1));
        call = list_as(fixture, "member", NULL);
        assert_int_equal(cJSON_GetArraySize(json_get_array(call->reply, "jobs")), 3);

        call = call_as(fixture, "loopback", mine.token, "io.atelier.Queue.Cancel", with_string("id", job_id(1)));
        assert_string_equal(told_status(call), "cancelled");
}

/* The id of another's job is no place in the list of mine: it tells nothing of when that was. */
static void test_page_behind_a_foreign_job_is_the_first(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey mine = make_key(fixture), yours = make_key(fixture);
        TestCall *call;

        dispatcher_set_paused(fixture->manager->dispatcher, true);
        assert_string_equal(submit_as(fixture, "loopback", yours.token, 1)->error, "");
        assert_string_equal(submit_as(fixture, "loopback", mine.token, 2)->error, "");
        call = call_as(fixture, "loopback", mine.token, "io.atelier.Queue.List", with_string("after", job_id(1)));
        assert_int_equal(cJSON_GetArraySize(json_get_array(call->reply, "jobs")), 1);
        call = call_as(fixture, "loopback", mine.token, "io.atelier.Queue.List", with_string("after", job_id(2)));
        assert_int_equal(cJSON_GetArraySize(json_get_array(call->reply, "jobs")), 0);
}

/* ------------------------------------------------------------------ managing */

static TestCall *create_with_budget(WorkerFixture *fixture, const char *field, int64_t amount) {
        JsonValue *parameters = with_string("name", "a");

        assert_int_equal(json_add_integer(parameters, field, amount), 0);
        return call_keys(fixture, CREATE, parameters);
}

static void test_budgets_are_kept_and_bounded(void **state) {
        static const char *const fields[] = { "daily_budget_micros", "monthly_budget_micros" };
        WorkerFixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(fields); i++) {
                TestCall *call = create_with_budget(fixture, fields[i], MICROS_MAX);
                const JsonValue *key = json_get_object(call->reply, "key");

                assert_int_equal(json_get_integer(key, fields[i], -1), MICROS_MAX);
                assert_false(json_has(key, fields[1 - i]));
                assert_string_equal(create_with_budget(fixture, fields[i], 0)->error, "");
                assert_string_equal(create_with_budget(fixture, fields[i], MICROS_MAX + 1)->error, INVALID_PARAMETER);
                assert_string_equal(create_with_budget(fixture, fields[i], -1)->error, INVALID_PARAMETER);
        }
}

static void test_bad_names_are_refused(void **state) {
        char name[CLIENT_KEY_NAME_BYTES_MAX + 2] = {};
        TestCall *call;

        memset(name, 'n', CLIENT_KEY_NAME_BYTES_MAX);
        call = call_keys(*state, CREATE, with_string("name", name));
        assert_string_equal(json_get_string(json_get_object(call->reply, "key"), "name"), name);
        name[CLIENT_KEY_NAME_BYTES_MAX] = 'n';
        assert_string_equal(call_keys(*state, CREATE, with_string("name", name))->error, INVALID_PARAMETER);
        assert_string_equal(call_keys(*state, CREATE, with_string("name", ""))->error, INVALID_PARAMETER);
        assert_string_equal(call_keys(*state, CREATE, with_string("name", "a\nb"))->error, INVALID_PARAMETER);
}

static void test_unknown_key_cannot_be_revoked(void **state) {
        assert_string_equal(call_keys(*state, REVOKE, with_string("id", "0123456789abcdef"))->error, KEY_NOT_FOUND);
        assert_string_equal(call_keys(*state, REVOKE, with_string("id", "nothing"))->error, KEY_NOT_FOUND);
}

/* A full page and one more; nothing in it that could be tried. */
static void test_list_comes_in_pages(void **state) {
        WorkerFixture *fixture = *state;
        char last[CLIENT_KEY_ID_MAX];
        const JsonValue *keys;
        TestCall *call;

        for (size_t i = 0; i < PAGE_KEYS; i++)
                (void) make_key(fixture);
        call = call_keys(fixture, LIST, NULL);
        assert_false(json_get_bool(call->reply, "has_more", true));
        (void) make_key(fixture);
        call = call_keys(fixture, LIST, NULL);
        keys = json_get_array(call->reply, "keys");
        assert_int_equal(cJSON_GetArraySize(keys), PAGE_KEYS);
        assert_true(json_get_bool(call->reply, "has_more", false));
        (void) snprintf(last, sizeof(last), "%s", json_get_string(cJSON_GetArrayItem(keys, PAGE_KEYS - 1), "id"));
        call = call_keys(fixture, LIST, with_string("after", last));
        keys = json_get_array(call->reply, "keys");
        assert_int_equal(cJSON_GetArraySize(keys), 1);
        assert_false(json_get_bool(call->reply, "has_more", true));
        assert_false(json_has(cJSON_GetArrayItem(keys, 0), "hash"));
}

/* ------------------------------------------------------------------ failures of the store */

static void test_key_whose_commit_fails_is_none(void **state) {
        WorkerFixture *fixture = *state;
        bool any = true;
        TestCall *call;

        (void) wait_for(worker_submit(fixture, 9, "warm", true));
        disk.failing_syncs = 3;
        call = call_keys(fixture, CREATE, with_string("name", "a"));
        assert_string_equal(call->error, "io.atelier.Keys.StoreUnavailable");
        WAIT_UNTIL(fixture, commit_group_store(fixture->manager->group));
        assert_int_equal(store_has_keys(commit_group_store(fixture->manager->group), &any), 0);
        assert_false(any);
        check_served(fixture, "loopback", NULL);
}

/* ------------------------------------------------------------------ restoring */

static void restore(WorkerFixture *fixture, Taken *taken) {
        TestCall *call = call_keys(fixture, "io.atelier.Store.PrepareAdoption", NULL);
        char adoption[ID_TEXT_MAX];

        (void) snprintf(adoption, sizeof(adoption), "%s", json_get_string(call->reply, "adoption"));
        for (size_t i = 0; i < taken->n; i++) {
                JsonValue *parameters = with_string("adoption", adoption), *members = json_new_array();
                JsonValue *member = with_string("name", taken->members[i].name);

                assert_int_equal(json_add_integer(member, "size_bytes", taken->members[i].size), 0);
                assert_int_equal(json_append(members, member), 0);
                assert_int_equal(json_add(parameters, "members", members), 0);
                assert_int_equal(lseek(taken->members[i].fd, 0, SEEK_SET), 0);
                call = wait_for(store_call(fixture, "io.atelier.Store.Receive", parameters, &taken->members[i].fd, 1));
                assert_string_equal(call->error, "");
        }
        call = call_keys(fixture, "io.atelier.Store.Adopt", with_string("adoption", adoption));
        assert_string_equal(call->error, "");
}

static void test_restore_brings_back_no_revoked_key(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey kept = make_key(fixture), revoked = make_key(fixture), later;
        Taken *taken = take_snapshot(fixture);

        (void) revoke_key(fixture, &revoked);
        later = make_key(fixture);
        restore(fixture, taken);
        check_served(fixture, "loopback", kept.token);
        check_served(fixture, "loopback", later.token);
        check_refused(fixture, "loopback", revoked.token);
        worker_stop(fixture);
        worker_start(fixture);
        check_served(fixture, "loopback", later.token);
        check_refused(fixture, "loopback", revoked.token);
        taken_free(taken);
}

static void test_restore_of_a_time_before_keys_leaves_the_door_shut(void **state) {
        WorkerFixture *fixture = *state;
        Taken *taken = take_snapshot(fixture);
        MadeKey key = make_key(fixture);

        restore(fixture, taken);
        check_refused(fixture, "loopback", NULL);
        check_served(fixture, "loopback", key.token);
        taken_free(taken);
}

static void test_snapshot_has_no_secret(void **state) {
        WorkerFixture *fixture = *state;
        MadeKey key = make_key(fixture);
        Taken *taken = take_snapshot(fixture);

        assert_non_null(taken_member(taken, "atelier.db"));
        assert_null(taken_member(taken, "client-key-secret"));
        for (size_t i = 0; i < taken->n; i++) {
                _cleanup_free_ char *path = text_format("/proc/self/fd/%d", taken->members[i].fd);

                assert_false(file_contains(path, strrchr(key.token, '_') + 1));
        }
        taken_free(taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, worker_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(without_keys_any_token_is_ignored),
                TEST(from_the_first_key_on_clients_show_one),
                TEST(members_may_go_without),
                cmocka_unit_test_setup_teardown(test_required_before_there_is_one, worker_set_up, worker_tear_down),
                TEST(every_method_for_clients_asks_for_the_key),
                TEST(wrong_secret_is_refused),
                TEST(unknown_key_is_refused),
                TEST(revocation_acts_at_once_and_leaves_the_door_shut),
                TEST(keys_outlive_the_worker),
                TEST(without_the_servers_secret_every_key_is_refused),
                TEST(hash_under_no_secret_is_worth_nothing),
                TEST(servers_secret_of_another_size_is_an_error),
                TEST(database_has_the_id_and_not_the_secret),
                TEST(job_has_the_key_that_it_was_asked_with),
                TEST(key_sees_only_its_own_jobs),
                TEST(page_behind_a_foreign_job_is_the_first),
                TEST(budgets_are_kept_and_bounded),
                TEST(bad_names_are_refused),
                TEST(unknown_key_cannot_be_revoked),
                TEST(list_comes_in_pages),
                TEST(key_whose_commit_fails_is_none),
                TEST(restore_brings_back_no_revoked_key),
                TEST(restore_of_a_time_before_keys_leaves_the_door_shut),
                TEST(snapshot_has_no_secret),
        };

        fault_vfs_install();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
