/* Slack's incoming webhooks, or a server that takes the same: one attachment in the colours of the guide. Slack takes
 * & < > as markup (mentions, links), and nothing else can name a person or a channel. */
#include <errno.h>
#include <string.h>

#include "base/text-clean.h"
#include "base/text.h"
#include "notifier.h"

#define SLACK_INTERVAL_USEC USEC_PER_SEC       /* what Slack grants a webhook */
#define TEXT_BYTES_MAX 3800                    /* Slack advises 4000 */
#define LINES_BYTES_MAX 2800                   /* of them; the rest is the summary's */
#define SUMMARY_BYTES_MAX 900
#define FIELD_BYTES_MAX 512                    /* before escaping */
#define FENCE "```"
#define MORE "…\n"

static const char *const severity_colours[] = {
        [SEVERITY_INFO] = "#36a64f",
        [SEVERITY_WARNING] = "#ff9900",
        [SEVERITY_CRITICAL] = "#ff0000",
};

static const char *const severity_titles[] = {
        [SEVERITY_INFO] = "INFO",
        [SEVERITY_WARNING] = "WARNING",
        [SEVERITY_CRITICAL] = "CRITICAL",
};

/* A backtick could begin or end a block of code. */
static int append_escaped(Buffer *buffer, const char *text) {
        int r = 0;

        for (; *text && r >= 0; text++)
                if (*text == '&')
                        r = buffer_append_text(buffer, "&amp;");
                else if (*text == '<')
                        r = buffer_append_text(buffer, "&lt;");
                else if (*text == '>')
                        r = buffer_append_text(buffer, "&gt;");
                else
                        r = buffer_append(buffer, *text == '`' ? "'" : text, 1);
        return r;
}

/* At most bytes_max bytes before escaping. The caller frees it. */
static char *escape(const char *text, size_t bytes_max) {
        _cleanup_(buffer_done) Buffer escaped = {};
        _cleanup_free_ char *cut = text_cut(text, bytes_max);

        if (!cut || append_escaped(&escaped, cut) < 0)
                return NULL;
        return escaped.size > 0 ? buffer_take_text(&escaped) : strdup("");
}

/* The last lines that fit: what came last tells most. */
static int append_lines(Buffer *text, const Alert *alert) {
        char *lines[ALERT_LINES_MAX] = {};
        size_t first = alert->n_lines, size = 0;
        int r = 0;

        while (first > 0) {
                lines[first - 1] = escape(alert->lines[first - 1], ALERT_LINE_BYTES_MAX);
                if (!lines[first - 1]) {
                        r = -ENOMEM;
                        break;
                }
                size += strlen(lines[first - 1]) + 1;
                if (size > LINES_BYTES_MAX)
                        break;
                first--;
        }

        if (r >= 0)
                r = buffer_append_text(text, "\n" FENCE "\n");
        if (r >= 0 && first > 0)
                r = buffer_append_text(text, MORE);
        for (size_t i = first; i < alert->n_lines && r >= 0; i++)
                r = buffer_printf(text, "%s\n", lines[i]);
        if (r >= 0)
                r = buffer_append_text(text, FENCE);
        for (size_t i = 0; i < alert->n_lines; i++)
                free(lines[i]);
        return r;
}

/* Escaping makes up to five bytes of one; a summary full of such is cut shorter. */
static char *escape_summary(const char *summary) {
        _cleanup_free_ char *escaped = escape(summary, SUMMARY_BYTES_MAX);

        if (!escaped || strlen(escaped) <= SUMMARY_BYTES_MAX)
                return TAKE_PTR(escaped);
        return escape(summary, SUMMARY_BYTES_MAX / 5);
}

static char *format_text(const Notice *notice) {
        _cleanup_(buffer_done) Buffer text = BUFFER_INIT(TEXT_BYTES_MAX + 1);
        _cleanup_free_ char *summary = escape_summary(notice->alert->summary);
        int r;

        if (!summary)
                return NULL;
        r = buffer_append_text(&text, summary);
        if (r >= 0 && notice->state == ALERT_FIRING && notice->alert->n_lines > 0)
                r = append_lines(&text, notice->alert);
        return r < 0 ? NULL : text.size > 0 ? buffer_take_text(&text) : strdup("");
}

static int add_field(JsonValue *fields, const char *title, const char *value) {
        _cleanup_(json_freep) JsonValue *field = json_new_object();
        _cleanup_free_ char *escaped = NULL;
        int r;

        if (!value)
                return 0;
        escaped = escape(value, FIELD_BYTES_MAX);
        if (!escaped)
                return -ENOMEM;
        r = json_add_string(field, "title", title);
        if (r >= 0)
                r = json_add_string(field, "value", escaped);
        if (r >= 0)
                r = json_add_bool(field, "short", true);
        return r < 0 ? r : json_append(fields, TAKE_PTR(field));
}

static int add_fields(JsonValue *attachment, const Alert *alert) {
        JsonValue *fields = json_new_array();
        _cleanup_free_ char *count = alert->count > 1 ? text_format("%lld", (long long) alert->count) : NULL;
        int r;

        r = json_add(attachment, "fields", fields);
        if (r >= 0)
                r = add_field(fields, "Source", alert->source);
        if (r >= 0)
                r = add_field(fields, "Name", alert->name);
        if (r >= 0)
                r = add_field(fields, "Result", alert->result);
        return r < 0 ? r : add_field(fields, "Count", count);
}

static int add_heading(JsonValue *attachment, const Notice *notice) {
        bool firing = notice->state == ALERT_FIRING;
        _cleanup_free_ char *title = NULL, *summary = NULL, *fallback = NULL;
        int r;

        title = text_format("%s GenAI Alert - %s%s", firing ? "🚨" : "✅",
                            firing ? severity_titles[notice->alert->severity] : "RESOLVED",
                            notice->test ? " (TEST)" : "");
        summary = escape_summary(notice->alert->summary);
        fallback = title && summary ? text_format("%s: %s", title, summary) : NULL;
        if (!fallback)
                return -ENOMEM;
        r = json_add_string(attachment, "color",
                            severity_colours[firing ? notice->alert->severity : SEVERITY_INFO]);
        if (r >= 0)
                r = json_add_string(attachment, "title", title);
        return r < 0 ? r : json_add_string(attachment, "fallback", fallback);
}

static JsonValue *make_attachment(const Notice *notice) {
        _cleanup_(json_freep) JsonValue *attachment = json_new_object();
        _cleanup_free_ char *text = format_text(notice);
        usec_t at = notice->state == ALERT_FIRING ? notice->alert->fired_at : notice->alert->resolved_at;
        int r;

        if (!text)
                return NULL;
        r = add_heading(attachment, notice);
        if (r >= 0)
                r = json_add_string(attachment, "text", text);
        if (r >= 0)
                r = json_add(attachment, "mrkdwn_in", cJSON_CreateStringArray((const char *const[]) { "text" }, 1));
        if (r >= 0)
                r = add_fields(attachment, notice->alert);
        if (r >= 0)
                r = json_add_integer(attachment, "ts", (int64_t) (at / USEC_PER_SEC));
        return r < 0 ? NULL : TAKE_PTR(attachment);
}

static int slack_format(const Notice *notice, Buffer *body) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        _cleanup_free_ char *text = NULL;
        JsonValue *attachments = json_new_array();
        int r;

        r = json_add(value, "attachments", attachments);
        if (r >= 0)
                r = json_append(attachments, make_attachment(notice));
        if (r < 0)
                return r;
        text = json_format(value);
        return text ? buffer_append_text(body, text) : -ENOMEM;
}

const Notifier slack_notifier = {
        .kind = "slack",
        .interval = SLACK_INTERVAL_USEC,
        .format = slack_format,
};
