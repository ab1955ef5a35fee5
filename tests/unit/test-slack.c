/* What Slack is sent: the guide's form and colours, and nothing that a log line could turn into markup. */
#include "alerter-fixture.h"

#include "notifier.h"

#define NOW (1795399608 * USEC_PER_SEC)
#define TEXT_BYTES_MAX 4000

typedef struct Message {
        JsonValue *body;
        const JsonValue *attachment;
} Message;

static void message_done(Message *message) {
        (void) json_free(message->body);
}

static Message format(const Alert *alert, AlertState state, bool test) {
        Notice notice = { .alert = alert, .state = state, .receiver = "slack", .test = test };
        _cleanup_(buffer_done) Buffer text = {};
        Message message = {};

        assert_int_equal(slack_notifier.format(&notice, &text), 0);
        assert_int_equal(json_parse((const char *) text.data, text.size, &message.body, NULL), 0);
        assert_int_equal(cJSON_GetArraySize(json_get_array(message.body, "attachments")), 1);
        message.attachment = cJSON_GetArrayItem(json_get_array(message.body, "attachments"), 0);
        return message;
}

static void assert_heading(AlertSeverity severity, AlertState state, const char *colour, const char *title) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it failed", NOW);
        _cleanup_(message_done) Message message = {};

        alert->severity = severity;
        message = format(alert, state, false);
        assert_string_equal(json_get_string(message.attachment, "color"), colour);
        assert_string_equal(json_get_string(message.attachment, "title"), title);
}

static void test_colours_of_the_guide(_unused_ void **state) {
        assert_heading(SEVERITY_INFO, ALERT_FIRING, "#36a64f", "🚨 GenAI Alert - INFO");
        assert_heading(SEVERITY_WARNING, ALERT_FIRING, "#ff9900", "🚨 GenAI Alert - WARNING");
        assert_heading(SEVERITY_CRITICAL, ALERT_FIRING, "#ff0000", "🚨 GenAI Alert - CRITICAL");
        assert_heading(SEVERITY_CRITICAL, ALERT_RESOLVED, "#36a64f", "✅ GenAI Alert - RESOLVED");
}

static void test_the_whole_message(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it <failed> & ended", NOW);
        _cleanup_(message_done) Message message = format(alert, ALERT_FIRING, false);
        _cleanup_free_ char *text = json_format(message.body);

        assert_string_equal(text,
                "{\"attachments\":[{\"color\":\"#ff0000\",\"title\":\"🚨 GenAI Alert - CRITICAL\","
                "\"fallback\":\"🚨 GenAI Alert - CRITICAL: it &lt;failed&gt; &amp; ended\","
                "\"text\":\"it &lt;failed&gt; &amp; ended\\n```\\none &lt;line&gt; &amp; 'more'\\n```\","
                "\"mrkdwn_in\":[\"text\"],\"fields\":["
                "{\"title\":\"Source\",\"value\":\"atelier-worker.service\",\"short\":true},"
                "{\"title\":\"Name\",\"value\":\"UnitFailed\",\"short\":true},"
                "{\"title\":\"Result\",\"value\":\"watchdog\",\"short\":true}],\"ts\":1795399608}]}");
}

static void test_a_resolved_one_has_no_lines(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("it failed", NOW);
        _cleanup_(message_done) Message message = {};

        alert_resolve(alert, NOW + 60 * USEC_PER_SEC);
        message = format(alert, ALERT_RESOLVED, false);
        assert_string_equal(json_get_string(message.attachment, "text"), "it failed");
        assert_int_equal(json_get_integer(message.attachment, "ts", 0), 1795399668);
}

/* A fence in the summary would turn the blocks inside out. */
static void test_a_summary_opens_no_block(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("run ```rm``` now", NOW);
        _cleanup_(message_done) Message message = format(alert, ALERT_FIRING, false);

        assert_string_equal(json_get_string(message.attachment, "text"),
                            "run '''rm''' now\n```\none &lt;line&gt; &amp; 'more'\n```");
}

static void test_a_test_says_so(_unused_ void **state) {
        _cleanup_(alert_freep) Alert *alert = make_alert("try", NOW);
        _cleanup_(message_done) Message message = format(alert, ALERT_FIRING, true);

        assert_non_null(strstr(json_get_string(message.attachment, "title"), "(TEST)"));
}

static void take_line(Alert *alert, char c, size_t size) {
        char *line = malloc(size + 1);

        assert_non_null(line);
        memset(line, c, size);
        line[size] = 0;
        alert->lines[alert->n_lines++] = line;
}

/* The longest alert there is, in characters that grow: it still fits, and what came last is in it. */
static void test_the_last_lines_that_fit(_unused_ void **state) {
        _cleanup_free_ char *summary = calloc(1, ALERT_SUMMARY_BYTES_MAX + 1);
        _cleanup_(alert_freep) Alert *alert = NULL;
        _cleanup_(message_done) Message message = {};
        const char *text;

        memset(summary, '&', ALERT_SUMMARY_BYTES_MAX);
        alert = make_alert(summary, NOW);
        while (alert->n_lines < ALERT_LINES_MAX - 1)
                take_line(alert, 'x', ALERT_LINE_BYTES_MAX);
        take_line(alert, '<', ALERT_LINE_BYTES_MAX);
        message = format(alert, ALERT_FIRING, false);
        text = json_get_string(message.attachment, "text");
        assert_in_range(strlen(text), ALERT_LINE_BYTES_MAX * strlen("&lt;"), TEXT_BYTES_MAX);
        assert_non_null(strstr(text, "\n```\n…\nxxx"));
        assert_string_equal(text + strlen(text) - strlen("&lt;\n```"), "&lt;\n```");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_colours_of_the_guide),
                cmocka_unit_test(test_the_whole_message),
                cmocka_unit_test(test_a_resolved_one_has_no_lines),
                cmocka_unit_test(test_a_summary_opens_no_block),
                cmocka_unit_test(test_a_test_says_so),
                cmocka_unit_test(test_the_last_lines_that_fit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
