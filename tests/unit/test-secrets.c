/* Secrets of managers and of files, against a server that answers as the managers do: what is fetched when, what is used while
 * nothing can be fetched, and what each refusal says. That requests are signed and authorized as they must be is shown by
 * tests/integration/secret-managers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "io/http-client.h"
#include "loopback-server.h"
#include "secrets/secret-manager.h"
#include "secrets/secrets.h"

#define TEST_TIMEOUT (20 * USEC_PER_SEC)
#define VAULT_KEY "vault:secret/openai#key"
#define ANSWER_MAX (SECRET_ANSWER_BYTES_MAX + 1024)

/* What the server says, and what was asked. */
typedef struct Script {
        pthread_mutex_t lock;
        int status;
        const char *headers;
        char *body;
        unsigned requests;
        char last[4096];
} Script;

typedef struct Fixture {
        sd_event *event;
        HttpClient *http;
        LoopbackServer *server;
        Settings *settings;
        char *address;
        char folder[64];
        unsigned changed, unchanged, failing, mended;
        char said[512];
        bool kept;
} Fixture;

static Script script = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void answer(int status, const char *headers, const char *body) {
        (void) pthread_mutex_lock(&script.lock);
        script.status = status;
        script.headers = headers;
        free(script.body);
        script.body = strdup(body);
        (void) pthread_mutex_unlock(&script.lock);
}

static void answer_key(const char *value) {
        char body[512];

        (void) snprintf(body, sizeof(body), "{\"data\":{\"data\":{\"key\":\"%s\"},\"metadata\":{\"version\":3}}}", value);
        answer(200, "", body);
}

static unsigned requests(void) {
        unsigned n;

        (void) pthread_mutex_lock(&script.lock);
        n = script.requests;
        (void) pthread_mutex_unlock(&script.lock);
        return n;
}

static bool serve(_unused_ LoopbackServer *server, int fd, const char *request, _unused_ unsigned number) {
        char head[512];

        (void) pthread_mutex_lock(&script.lock);
        script.requests++;
        (void) snprintf(script.last, sizeof(script.last), "%s", request);
        (void) snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", script.status, strlen(script.body),
                        script.headers);
        loopback_send_text(fd, head);
        loopback_send_text(fd, script.body);
        (void) pthread_mutex_unlock(&script.lock);
        return true;
}

/* ------------------------------------------------------------------ fixture */

static void on_changed(_unused_ const char *reference, void *userdata) {
        ((Fixture *) userdata)->changed++;
}

static void on_unchanged(_unused_ const char *reference, void *userdata) {
        ((Fixture *) userdata)->unchanged++;
}

static void on_failing(_unused_ const char *reference, const char *message, bool kept, void *userdata) {
        Fixture *fixture = userdata;

        fixture->failing++;
        fixture->kept = kept;
        (void) snprintf(fixture->said, sizeof(fixture->said), "%s", message);
}

static void on_mended(_unused_ const char *reference, void *userdata) {
        ((Fixture *) userdata)->mended++;
}

static const SecretsHooks hooks = { on_changed, on_unchanged, on_failing, on_mended };

/* The file of settings, with `keys` for a provider. */
static void load(Fixture *fixture, const char *keys, const char *more) {
        char *environment[] = { fixture->address, (char *) "VAULT_TOKEN=hvs.test", NULL };
        char path[128];
        Buffer errors = {};
        FILE *file;

        (void) snprintf(path, sizeof(path), "%s/atelier.conf", fixture->folder);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fprintf(file, "providers = ( { name = \"x\"; base_url = \"http://127.0.0.1:9\"; keys = [ %s ]; } );\n"
                                  "secrets = { %s };\n", keys, *more ? more : "refresh = \"1s\";") > 0);
        assert_int_equal(fclose(file), 0);
        fixture->settings = settings_free(fixture->settings);
        if (settings_load(&fixture->settings, &(ConfSources) { fixture->folder, environment }, &errors) < 0)
                fail_msg("%.*s", (int) errors.size, (char *) errors.data);
        buffer_done(&errors);
}

static Secrets *open_secrets(Fixture *fixture) {
        Secrets *secrets;

        assert_int_equal(secrets_new(&secrets, fixture->event, fixture->http, fixture->settings, &hooks, fixture), 0);
        return secrets;
}

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        *state = fixture;
        (void) strcpy(fixture->folder, "/tmp/atelier-test-secrets-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        assert_int_equal(sd_event_new(&fixture->event), 0);
        assert_int_equal(http_client_new(&fixture->http, fixture->event, 4), 0);
        fixture->server = loopback_server_new(serve);
        fixture->address = text_format("VAULT_ADDR=%s", loopback_url(fixture->server, ""));
        (void) setenv("VAULT_TOKEN", "hvs.test", true);
        script.requests = 0;
        answer_key("sk-1");
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        char command[128];

        fixture->http = http_client_free(fixture->http);
        loopback_server_free(fixture->server);
        fixture->settings = settings_free(fixture->settings);
        (void) sd_event_unref(fixture->event);
        (void) snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
        assert_int_equal(system(command), 0);
        free(fixture->address);
        free(fixture);
        free(script.body);
        script.body = NULL;
        return 0;
}

static void await(Fixture *fixture, const unsigned *count, unsigned wanted) {
        usec_t deadline = time_now_monotonic() + TEST_TIMEOUT;

        while (*count < wanted) {
                assert_true(time_now_monotonic() < deadline);
                assert_true(sd_event_run(fixture->event, USEC_PER_SEC) >= 0);
        }
}

static void run_for(Fixture *fixture, usec_t duration) {
        usec_t now, end = time_now_monotonic() + duration;

        while ((now = time_now_monotonic()) < end)
                assert_true(sd_event_run(fixture->event, end - now) >= 0);
}

static void assert_value(const Secrets *secrets, const char *reference, const char *expected) {
        _cleanup_(secret_freep) char *value = NULL;
        int r = secrets_resolve(secrets, reference, &value);

        if (!expected) {
                assert_true(r == -EAGAIN || r == -ENOENT);
                return;
        }
        assert_int_equal(r, 0);
        assert_string_equal(value, expected);
}

/* ------------------------------------------------------------------ managers */

static void test_a_value_is_there_at_the_start(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "vault_namespace = \"teams\";");
        secrets = open_secrets(fixture);
        assert_value(secrets, VAULT_KEY, "sk-1");
        assert_int_equal(requests(), 1);
        assert_non_null(strstr(script.last, "GET /v1/secret/data/openai HTTP/1.1\r\n"));
        assert_non_null(strstr(script.last, "\r\nX-Vault-Token: hvs.test\r\n"));
        assert_non_null(strstr(script.last, "\r\nX-Vault-Namespace: teams\r\n"));
        assert_int_equal(fixture->changed, 0);
}

static void test_another_value_is_told_of(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        answer_key("sk-2");
        await(fixture, &fixture->changed, 1);
        assert_value(secrets, VAULT_KEY, "sk-2");
        assert_int_equal(fixture->changed, 1);
}

/* Nothing that a manager says takes away what it said before. */
static void test_the_last_good_value_outlives_every_failure(void **state) {
        static const struct {
                int status;
                const char *body, *said;
        } rows[] = {
                { 503, "{\"errors\":[\"Vault is sealed\"]}", "Vault answers HTTP 503: Vault is sealed" },
                { 403, "{\"errors\":[\"permission denied\"]}", "Vault answers HTTP 403: permission denied" },
                { 404, "{\"errors\":[]}", "Vault answers HTTP 404" },
                { 404, "{\"data\":{\"data\":null,\"metadata\":{\"deletion_time\":\"x\"}}}", "Vault answers HTTP 404" },
                { 200, "", "Vault answers with what is no JSON: value expected at byte 0" },
                { 200, "<html>", NULL },
                { 200, "{\"data\":{\"key\":\"a value of version 1\"}}", "Vault answers without data.data; is secret a KV engine of "
                                                                        "version 2?" },
                { 200, "{\"data\":{\"data\":{\"other\":\"x\"}}}", "the secret has no text \"key\" in it" },
                { 200, "{\"data\":{\"data\":{\"key\":7}}}", "the secret has no text \"key\" in it" },
                { 200, "{\"data\":{\"data\":{\"key\":\"\"}}}", "the secret is empty" },
                { 302, "", "Vault answers HTTP 302" },
                { 429, "\x1b[31mred\x01", "Vault answers HTTP 429" },
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                _cleanup_(secrets_freep) Secrets *secrets = NULL;
                _cleanup_(json_freep) JsonValue *facts = json_new_array();
                const char *value;
                unsigned before;

                answer_key("sk-1");
                load(fixture, "\"" VAULT_KEY "\"", "");
                secrets = open_secrets(fixture);
                before = requests();
                answer(rows[i].status, "", rows[i].body);
                assert_true(secrets_refetch(secrets, VAULT_KEY));
                fixture->unchanged = 0;
                await(fixture, &fixture->unchanged, 1);
                assert_int_equal(requests(), before + 1);
                assert_value(secrets, VAULT_KEY, "sk-1");
                assert_int_equal(secrets_describe(secrets, facts), 0);
                value = json_get_string(facts->child, "value");
                assert_string_equal(json_get_string(facts->child, "name"), "secret." VAULT_KEY);
                assert_non_null(strstr(value, "; not since: "));
                if (rows[i].said)
                        assert_string_equal(strstr(value, "not since: ") + strlen("not since: "), rows[i].said);
        }
        assert_int_equal(fixture->changed, 0);
}

static void test_limits_of_an_answer(void **state) {
        Fixture *fixture = *state;
        _cleanup_free_ char *body = malloc(ANSWER_MAX), *value = malloc(SECRET_BYTES_MAX + 2);
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "");
        memset(value, 'k', SECRET_BYTES_MAX + 1);
        value[SECRET_BYTES_MAX] = 0;
        (void) snprintf(body, ANSWER_MAX, "{\"data\":{\"data\":{\"key\":\"%s\"}}}", value);
        answer(200, "", body);
        secrets = open_secrets(fixture);
        assert_value(secrets, VAULT_KEY, value);

        value[SECRET_BYTES_MAX] = 'k';
        value[SECRET_BYTES_MAX + 1] = 0;
        (void) snprintf(body, ANSWER_MAX, "{\"data\":{\"data\":{\"key\":\"%s\"}}}", value);
        answer(200, "", body);
        value[SECRET_BYTES_MAX] = 0;
        assert_true(secrets_refetch(secrets, VAULT_KEY));
        await(fixture, &fixture->unchanged, 1);
        assert_value(secrets, VAULT_KEY, value);
}

static void test_an_outage_is_told_of_once_and_its_end(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        answer(503, "", "{}");
        await(fixture, &fixture->failing, 1);
        assert_true(fixture->kept);
        assert_string_equal(fixture->said, "Vault answers HTTP 503");
        /* At the start, after the refresh, and after pauses of one and two seconds. */
        assert_int_equal(requests(), 1 + SECRET_FAILURES_TOLD);
        answer_key("sk-1");
        await(fixture, &fixture->mended, 1);
        assert_int_equal(fixture->failing, 1);
        assert_int_equal(fixture->changed, 0);
}

static void test_nobody_waits_for_a_start_without_a_manager(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        usec_t before = time_now_monotonic();

        answer(503, "", "{}");
        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        assert_true(time_now_monotonic() - before < SECRET_START_USEC / 2);
        assert_value(secrets, VAULT_KEY, NULL);
        answer_key("sk-late");
        await(fixture, &fixture->changed, 1);
        assert_value(secrets, VAULT_KEY, "sk-late");
}

static void test_a_throttled_manager_is_left_alone_for_as_long_as_it_says(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        answer(429, "Retry-After: 3\r\n", "{}");
        assert_true(secrets_refetch(secrets, VAULT_KEY));
        await(fixture, &fixture->unchanged, 1);
        answer_key("sk-2");
        run_for(fixture, 2500 * USEC_PER_MSEC);
        assert_int_equal(requests(), 2);
        await(fixture, &fixture->changed, 1);
        assert_int_equal(requests(), 3);
}

static void test_a_refused_value_is_fetched_anew_but_not_all_the_time(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;

        load(fixture, "\"" VAULT_KEY "\"", "refresh = \"1h\";");
        secrets = open_secrets(fixture);
        answer_key("sk-2");
        assert_false(secrets_refetch(secrets, "vault:secret/other#key"));
        assert_false(secrets_refetching(secrets, VAULT_KEY));
        assert_true(secrets_refetch(secrets, VAULT_KEY));
        assert_true(secrets_refetch(secrets, VAULT_KEY));
        assert_true(secrets_refetching(secrets, VAULT_KEY));
        await(fixture, &fixture->changed, 1);
        assert_false(secrets_refetching(secrets, VAULT_KEY));
        assert_false(secrets_refetch(secrets, VAULT_KEY));
        assert_int_equal(requests(), 2);
        assert_int_equal(fixture->unchanged, 0);
}

static void test_a_value_that_is_rejected_gives_its_place_back(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        unsigned before;

        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        assert_false(secrets_is_new(secrets, VAULT_KEY));
        answer_key("sk-bad");
        await(fixture, &fixture->changed, 1);
        assert_true(secrets_is_new(secrets, VAULT_KEY));
        assert_value(secrets, VAULT_KEY, "sk-bad");
        secrets_reject(secrets, VAULT_KEY);
        assert_false(secrets_is_new(secrets, VAULT_KEY));
        assert_value(secrets, VAULT_KEY, "sk-1");

        /* Its being there still is no news. */
        before = requests();
        while (requests() < before + 2)
                run_for(fixture, 100 * USEC_PER_MSEC);
        assert_int_equal(fixture->changed, 1);
        assert_value(secrets, VAULT_KEY, "sk-1");

        answer_key("sk-2");
        await(fixture, &fixture->changed, 2);
        assert_value(secrets, VAULT_KEY, "sk-2");
        secrets_accept_all(secrets);
        assert_false(secrets_is_new(secrets, VAULT_KEY));
        /* After another one it may be there again. */
        answer_key("sk-bad");
        await(fixture, &fixture->changed, 3);
        assert_true(secrets_is_new(secrets, VAULT_KEY));
}

static void test_a_reload_forgets_and_learns(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        Settings *before;

        load(fixture, "\"" VAULT_KEY "\"", "");
        secrets = open_secrets(fixture);
        before = TAKE_PTR(fixture->settings);
        load(fixture, "\"vault:secret/new#key\"", "");
        assert_int_equal(secrets_follow(secrets, fixture->settings), 0);
        before = settings_free(before);
        assert_value(secrets, VAULT_KEY, NULL);
        await(fixture, &fixture->changed, 1);
        assert_value(secrets, "vault:secret/new#key", "sk-1");
        assert_non_null(strstr(script.last, "/v1/secret/data/new "));
}

static void test_without_a_token_nothing_is_asked(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        _cleanup_(json_freep) JsonValue *facts = json_new_array();

        load(fixture, "\"" VAULT_KEY "\"", "");
        (void) unsetenv("VAULT_TOKEN");
        secrets = open_secrets(fixture);
        assert_value(secrets, VAULT_KEY, NULL);
        assert_int_equal(requests(), 0);
        assert_int_equal(secrets_describe(secrets, facts), 0);
        assert_string_equal(json_get_string(facts->child, "value"),
                            "not there: there is no token for Vault: env:VAULT_TOKEN (secrets.vault_token) can't be read: No such "
                            "file or directory");
}

/* ------------------------------------------------------------------ files */

static void write_file(const char *folder, const char *name, const char *text) {
        char path[256];
        FILE *file;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void test_a_file_that_is_replaced_is_read_again(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        char reference[128], keys[160], from[128], to[128];

        (void) snprintf(reference, sizeof(reference), "file:%s/key", fixture->folder);
        (void) snprintf(keys, sizeof(keys), "\"%s\"", reference);
        write_file(fixture->folder, "key", "sk-1\n");
        load(fixture, keys, "");
        secrets = open_secrets(fixture);
        assert_value(secrets, reference, "sk-1");

        write_file(fixture->folder, "new", "sk-2\n");
        (void) snprintf(from, sizeof(from), "%s/new", fixture->folder);
        (void) snprintf(to, sizeof(to), "%s/key", fixture->folder);
        assert_int_equal(rename(from, to), 0);
        await(fixture, &fixture->changed, 1);
        assert_value(secrets, reference, "sk-2");

        write_file(fixture->folder, "unrelated", "x");
        run_for(fixture, 400 * USEC_PER_MSEC);
        assert_int_equal(fixture->changed, 1);
        assert_int_equal(requests(), 0);
}

/* As kubelet does it: a new folder, then the link ..data is exchanged. */
static void publish(const char *mount, unsigned generation, const char *first, const char *second) {
        char folder[192], link[192], data[192], target[32];

        (void) snprintf(target, sizeof(target), "..generation-%u", generation);
        (void) snprintf(folder, sizeof(folder), "%s/%s", mount, target);
        (void) snprintf(link, sizeof(link), "%s/..data_tmp", mount);
        (void) snprintf(data, sizeof(data), "%s/..data", mount);
        assert_int_equal(mkdir(folder, 0755), 0);
        write_file(folder, "first", first);
        write_file(folder, "second", second);
        assert_int_equal(symlink(target, link), 0);
        assert_int_equal(rename(link, data), 0);
}

static void test_a_mount_of_kubernetes_changes_as_one(void **state) {
        Fixture *fixture = *state;
        _cleanup_(secrets_freep) Secrets *secrets = NULL;
        char first[128], second[128], keys[300], link[128];

        publish(fixture->folder, 1, "first-1", "second-1");
        (void) snprintf(link, sizeof(link), "%s/first", fixture->folder);
        assert_int_equal(symlink("..data/first", link), 0);
        (void) snprintf(link, sizeof(link), "%s/second", fixture->folder);
        assert_int_equal(symlink("..data/second", link), 0);
        (void) snprintf(first, sizeof(first), "file:%s/first", fixture->folder);
        (void) snprintf(second, sizeof(second), "file:%s/second", fixture->folder);
        (void) snprintf(keys, sizeof(keys), "\"%s\", \"%s\"", first, second);
        load(fixture, keys, "");
        secrets = open_secrets(fixture);
        assert_value(secrets, first, "first-1");
        assert_value(secrets, second, "second-1");

        for (unsigned generation = 2; generation <= 4; generation++) {
                char expected[32];

                (void) snprintf(expected, sizeof(expected), "first-%u", generation);
                publish(fixture->folder, generation, expected, "second-n");
                await(fixture, &fixture->changed, generation - 1);
                assert_value(secrets, first, expected);
                assert_value(secrets, second, "second-n");
        }
        assert_int_equal(fixture->changed, 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
                TEST(test_a_value_is_there_at_the_start),
                TEST(test_another_value_is_told_of),
                TEST(test_the_last_good_value_outlives_every_failure),
                TEST(test_limits_of_an_answer),
                TEST(test_an_outage_is_told_of_once_and_its_end),
                TEST(test_nobody_waits_for_a_start_without_a_manager),
                TEST(test_a_throttled_manager_is_left_alone_for_as_long_as_it_says),
                TEST(test_a_refused_value_is_fetched_anew_but_not_all_the_time),
                TEST(test_a_value_that_is_rejected_gives_its_place_back),
                TEST(test_a_reload_forgets_and_learns),
                TEST(test_without_a_token_nothing_is_asked),
                TEST(test_a_file_that_is_replaced_is_read_again),
                TEST(test_a_mount_of_kubernetes_changes_as_one),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
