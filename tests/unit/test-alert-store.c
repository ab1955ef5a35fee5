/* Alerts: what is taken, what is kept across a restart, what makes room. */
#include "alerter-fixture.h"

#include "base/file.h"
#include "base/time.h"

#define NOW (1795399608 * USEC_PER_SEC)

/* ---------------------------------------------------------------- the type */

static int try_alert(const AlertInput *input, Alert **ret, const char **ret_field) {
        return alert_new(ret, input, NOW, ret_field);
}

static char *repeat(char c, size_t count) {
        char *text = malloc(count + 1);

        assert_non_null(text);
        memset(text, c, count);
        text[count] = 0;
        return text;
}

static void assert_name_taken(size_t bytes, int outcome) {
        _cleanup_free_ char *name = repeat('n', bytes);
        _cleanup_(alert_freep) Alert *alert = NULL;
        AlertInput input = { .name = name, .source = "s", .summary = "x" };
        const char *field = NULL;

        assert_int_equal(try_alert(&input, &alert, &field), outcome);
        if (outcome == ALERT_BAD_FIELD)
                assert_string_equal(field, "name");
}

static void test_names_have_a_limit(_unused_ void **state) {
        assert_name_taken(ALERT_NAME_BYTES_MAX, 0);
        assert_name_taken(ALERT_NAME_BYTES_MAX + 1, ALERT_BAD_FIELD);
        assert_name_taken(0, ALERT_BAD_FIELD);
}

static int try_lines(size_t count, const char *line, Alert **ret) {
        _cleanup_(json_freep) JsonValue *lines = json_new_array();
        AlertInput input = { .name = "n", .source = "s", .summary = "x", .lines = lines };
        const char *field;

        for (size_t i = 0; i < count; i++)
                assert_int_equal(json_append(lines, cJSON_CreateString(line)), 0);
        return try_alert(&input, ret, &field);
}

static void test_lines_have_a_limit(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = NULL, *other = NULL;

        assert_int_equal(try_lines(ALERT_LINES_MAX, "x", &alert), 0);
        assert_int_equal(alert->n_lines, ALERT_LINES_MAX);
        assert_int_equal(try_lines(ALERT_LINES_MAX + 1, "x", &other), ALERT_BAD_FIELD);
}

static void test_long_lines_are_cut_between_characters(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *whole = NULL, *cut = NULL;
        _cleanup_free_ char *line = repeat('x', ALERT_LINE_BYTES_MAX + 1);

        /* The character that would be cut in two goes. */
        memcpy(line + ALERT_LINE_BYTES_MAX - 4, "é", 2);
        assert_int_equal(try_lines(1, line, &cut), 0);
        assert_int_equal(strlen(cut->lines[0]), ALERT_LINE_BYTES_MAX - 4 + strlen("…"));
        assert_string_equal(cut->lines[0] + ALERT_LINE_BYTES_MAX - 4, "…");
        line[ALERT_LINE_BYTES_MAX] = 0;
        assert_int_equal(try_lines(1, line, &whole), 0);
        assert_string_equal(whole->lines[0], line);
}

static void test_control_characters_are_replaced(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = NULL;

        assert_int_equal(try_lines(1, "a\x1b[31mb\nc\x07\xc2\x85" "d\xe2\x80\xae", &alert), 0);
        assert_string_equal(alert->lines[0], "ab c  d ");
}

/* ---------------------------------------------------------------- keeping */

static void test_alerts_come_back_as_they_were(void **state) {
        AlertFolder *folder = *state;
        Alert *alert = add_alert(folder, "first", "slack", NOW);
        _cleanup_(json_freep) JsonValue *before = NULL, *after = NULL;

        alert->key = strdup("k");
        alert->count = 3;
        alert->deliveries[0].attempts = 7;
        alert->deliveries[0].next_at = NOW + 5;
        assert_int_equal(delivery_set_error(&alert->deliveries[0], "HTTP 500: no"), 0);
        assert_int_equal(alert_store_save(folder->store, alert), 0);
        before = alert_to_record(alert);

        alert_folder_reopen(folder);
        assert_int_equal(alert_store_count(folder->store), 1);
        after = alert_to_record(alert_store_at(folder->store, 0));
        assert_true(cJSON_Compare(before, after, true));
        assert_non_null(alert_store_find_key(folder->store, "k", SEVERITY_INFO));
}

static void test_a_key_is_free_again_once_it_is_over(void **state) {
        AlertFolder *folder = *state;
        Alert *alert = add_alert(folder, "first", NULL, NOW);

        alert->key = strdup("k");
        assert_ptr_equal(alert_store_find_key(folder->store, "k", SEVERITY_INFO), alert);
        alert_resolve(alert, NOW);
        assert_null(alert_store_find_key(folder->store, "k", SEVERITY_INFO));
}

static void overwrite(const AlertFolder *folder, const char *id, const char *text) {
        _cleanup_free_ char *path = alert_path(folder, id);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static bool is_set_aside(const AlertFolder *folder, const char *id) {
        _cleanup_free_ char *path = alert_path(folder, id), *aside = text_format("%s.damaged", path);

        return access(path, F_OK) < 0 && access(aside, F_OK) == 0;
}

static void assert_damaged(AlertFolder *folder, const char *text) {
        static const char id[] = "0123456789abcdef0123456789abcdef";

        overwrite(folder, id, text);
        alert_folder_reopen(folder);
        assert_int_equal(alert_store_count(folder->store), 1);
        assert_true(is_set_aside(folder, id));
}

static void test_damaged_files_are_set_aside(void **state) {
        AlertFolder *folder = *state;

        (void) add_alert(folder, "sound", NULL, NOW);
        assert_damaged(folder, "");
        assert_damaged(folder, "{\"version\": 1, \"id\": \"01");
        assert_damaged(folder, "{\"version\": 1}");
        assert_damaged(folder, "[]");
        assert_string_equal(alert_store_at(folder->store, 0)->summary, "sound");
}

/* Also one that lies under the name of another. */
static void test_a_file_is_of_the_alert_that_it_is_named_after(void **state) {
        AlertFolder *folder = *state;
        _cleanup_free_ char *path = alert_path(folder, add_alert(folder, "sound", NULL, NOW)->id), *text = NULL;

        assert_int_equal(file_read(AT_FDCWD, path, ALERT_RECORD_BYTES_MAX, &text, NULL), 0);
        assert_damaged(folder, text);
}

static void test_what_a_newer_version_wrote_is_left_alone(void **state) {
        static const char id[] = "0123456789abcdef0123456789abcdef";
        AlertFolder *folder = *state;
        _cleanup_free_ char *path = alert_path(folder, id);

        overwrite(folder, id, "{\"version\": 2}");
        alert_folder_reopen(folder);
        assert_int_equal(alert_store_count(folder->store), 0);
        assert_int_equal(access(path, F_OK), 0);
}

static void test_what_a_crash_left_of_a_write_is_removed(void **state) {
        AlertFolder *folder = *state;
        _cleanup_free_ char *path = text_format("%s/alerts/.new-0123", folder->path);

        assert_int_equal(fd_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), -1);
        assert_int_equal(access(path, F_OK), 0);
        alert_folder_reopen(folder);
        assert_int_equal(access(path, F_OK), -1);
}

/* ---------------------------------------------------------------- room */

static void fill(AlertFolder *folder, size_t count, const char *receiver) {
        for (size_t i = 0; i < count; i++)
                (void) add_alert(folder, "filler", receiver, NOW);
}

static void test_the_oldest_that_is_over_makes_room(void **state) {
        AlertFolder *folder = *state;
        const Alert *firing = add_alert(folder, "firing", NULL, NOW);
        Alert *over;

        fill(folder, ALERTS_MAX - 2, "slack");
        over = add_alert(folder, "over", NULL, NOW);
        alert_resolve(over, NOW);
        (void) add_alert(folder, "further", NULL, NOW);
        assert_int_equal(alert_store_count(folder->store), ALERTS_MAX);
        assert_ptr_equal(alert_store_at(folder->store, 0), firing);

        /* Then the oldest that waits for nothing. */
        (void) add_alert(folder, "last", "slack", NOW);
        assert_string_equal(alert_store_at(folder->store, 0)->summary, "filler");
        alert_folder_reopen(folder);
        assert_int_equal(alert_store_count(folder->store), ALERTS_MAX);
}

static void test_what_is_to_be_sent_is_not_dropped(void **state) {
        AlertFolder *folder = *state;
        _cleanup_(alert_freep) Alert *further = make_alert("further", NOW);

        fill(folder, ALERTS_MAX, "slack");
        assert_int_equal(alert_store_add(folder->store, further), ALERT_STORE_FULL);
        assert_null(alert_store_find(folder->store, further->id));
}

static void test_what_could_not_be_written_is_not_there(void **state) {
        AlertFolder *folder = *state;
        _cleanup_(alert_freep) Alert *alert = make_alert("lost", NOW);
        _cleanup_free_ char *path = alert_path(folder, alert->id);

        assert_int_equal(mkdir(path, 0700), 0);   /* nothing can be renamed over it */
        assert_true(alert_store_add(folder->store, alert) < 0);
        assert_int_equal(alert_store_count(folder->store), 0);
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, alert_folder_setup, alert_folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_have_a_limit),
                cmocka_unit_test(test_lines_have_a_limit),
                cmocka_unit_test(test_long_lines_are_cut_between_characters),
                cmocka_unit_test(test_control_characters_are_replaced),
                FOLDER_TEST(test_alerts_come_back_as_they_were),
                FOLDER_TEST(test_a_key_is_free_again_once_it_is_over),
                FOLDER_TEST(test_damaged_files_are_set_aside),
                FOLDER_TEST(test_a_file_is_of_the_alert_that_it_is_named_after),
                FOLDER_TEST(test_what_a_newer_version_wrote_is_left_alone),
                FOLDER_TEST(test_what_a_crash_left_of_a_write_is_removed),
                FOLDER_TEST(test_the_oldest_that_is_over_makes_room),
                FOLDER_TEST(test_what_is_to_be_sent_is_not_dropped),
                FOLDER_TEST(test_what_could_not_be_written_is_not_there),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
