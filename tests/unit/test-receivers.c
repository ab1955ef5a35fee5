/* Which receivers the configuration makes, and which of them nobody misses. */
#include "conf-folder.h"

#include "receivers.h"

#define SHIPPED "receivers = ( { name = \"slack\"; kind = \"slack\"; url = \"env:TEST_NO_SUCH_URL\"; } );"

static Receivers *load(ConfFolder *folder) {
        _cleanup_(settings_freep) Settings *settings = NULL;
        _cleanup_(buffer_done) Buffer errors = {};
        ConfSources sources = folder_sources(folder);
        Receivers *receivers;

        assert_int_equal(settings_load(&settings, &sources, &errors), 0);
        assert_int_equal(receivers_new(&receivers, settings), 0);
        return receivers;
}

static void assert_receiver(const Receivers *receivers, const char *name, const char *problem, bool dormant) {
        const Receiver *receiver = receivers_find(receivers, name);

        assert_non_null(receiver);
        if (!text_equal(receiver->problem, problem))
                fail_msg("%s: %s, not %s", name, receiver->problem ?: "ready", problem ?: "ready");
        assert_int_equal(receiver->dormant, dormant);
}

static void test_the_journal_is_told_without_being_named(void **state) {
        _cleanup_(receivers_freep) Receivers *receivers = load(*state);

        assert_receiver(receivers, "journald", NULL, false);
        assert_null(receivers_at(receivers, 1));
}

static void test_as_shipped_without_a_url_is_dormant(void **state) {
        _cleanup_(receivers_freep) Receivers *receivers = NULL;

        folder_write(*state, "models.conf", SHIPPED);
        receivers = load(*state);
        assert_receiver(receivers, "slack", "no url", true);
}

static void test_without_a_url_where_it_is_named_is_missed(void **state) {
        _cleanup_(receivers_freep) Receivers *receivers = NULL;

        folder_write(*state, "models.conf", SHIPPED);
        folder_write(*state, "atelier.conf", "receivers = ( { name = \"slack\"; severity = \"warning\"; } );");
        receivers = load(*state);
        assert_receiver(receivers, "slack", "no url", false);
}

static void test_named_in_a_drop_in_of_that_name_is_missed(void **state) {
        _cleanup_(receivers_freep) Receivers *receivers = NULL;

        folder_write(*state, "atelier.conf.d/models.conf", SHIPPED);
        receivers = load(*state);
        assert_receiver(receivers, "slack", "no url", false);
}

static void test_a_url_that_is_none_is_a_problem_wherever_it_is_named(void **state) {
        ConfFolder *folder = *state;
        _cleanup_(receivers_freep) Receivers *receivers = NULL;
        _cleanup_free_ char *text = text_format("receivers = ( { name = \"slack\"; kind = \"slack\"; "
                                                "url = \"file:%s/url\"; } );", folder->path);

        assert_non_null(text);
        folder_write(folder, "url", "nonsense\n");
        folder_write(folder, "models.conf", text);
        receivers = load(folder);
        assert_receiver(receivers, "slack", "bad url", false);
}

#define RECEIVERS_TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                RECEIVERS_TEST(test_the_journal_is_told_without_being_named),
                RECEIVERS_TEST(test_as_shipped_without_a_url_is_dormant),
                RECEIVERS_TEST(test_without_a_url_where_it_is_named_is_missed),
                RECEIVERS_TEST(test_named_in_a_drop_in_of_that_name_is_missed),
                RECEIVERS_TEST(test_a_url_that_is_none_is_a_problem_wherever_it_is_named),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
