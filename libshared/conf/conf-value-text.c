/* Values as text: how a file would have them, and what a setting expects. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/money.h"
#include "base/text.h"
#include "base/time.h"
#include "conf/conf-value.h"

#define SHARE_PER_PERCENT 10000    /* millionths */

int value_quote(const char *text, size_t size_max, Buffer *buffer) {
        const uint8_t *p = (const uint8_t *) text, *end = p + strlen(text);
        int r;

        r = buffer_append(buffer, "\"", 1);
        while (r >= 0 && p < end && (size_t) (p - (const uint8_t *) text) < size_max) {
                size_t length = utf8_sequence(p, (size_t) (end - p));

                if (*p == '"' || *p == '\\')
                        r = buffer_printf(buffer, "\\%c", *p);
                else if (length == 0 || *p < 0x20 || *p == 0x7f)
                        r = buffer_printf(buffer, "\\x%02x", *p);
                else
                        r = buffer_append(buffer, p, length);
                p += MAX(length, (size_t) 1);
        }
        return r < 0 ? r : buffer_append_text(buffer, p < end ? "…\"" : "\"");
}

/* In the largest unit that divides it. */
static int format_size(uint64_t size, Buffer *buffer) {
        static const char units[] = "\0KMGT";
        size_t unit = 0;

        for (; size > 0 && size % 1024 == 0 && unit < sizeof(units) - 2; unit++)
                size /= 1024;
        return unit > 0 ? buffer_printf(buffer, "%" PRIu64 "%c", size, units[unit])
                        : buffer_printf(buffer, "%" PRIu64, size);
}

static int format_duration(usec_t duration, Buffer *buffer) {
        char text[TIME_DURATION_MAX];

        return buffer_append_text(buffer, time_format_duration(duration, text));
}

static int format_money(uint64_t amount, Buffer *buffer) {
        char text[MONEY_TEXT_MAX];

        return buffer_append_text(buffer, (micros_t) amount == MICROS_INFINITY ? "infinity"
                                                                               : money_format((micros_t) amount, text));
}

/* As percents, with no more decimals than it takes. */
static int format_share(uint64_t share, Buffer *buffer) {
        uint64_t fraction = share % SHARE_PER_PERCENT;
        int digits = 4;

        for (; fraction > 0 && fraction % 10 == 0; digits--)
                fraction /= 10;
        return fraction > 0 ? buffer_printf(buffer, "%" PRIu64 ".%0*" PRIu64 "%%", share / SHARE_PER_PERCENT, digits, fraction)
                            : buffer_printf(buffer, "%" PRIu64 "%%", share / SHARE_PER_PERCENT);
}

static int quote_element(const char *text, bool first, Buffer *buffer) {
        int r;

        r = buffer_append_text(buffer, first ? " " : ", ");
        return r < 0 ? r : value_quote(text, SIZE_MAX, buffer);
}

static int format_strings(char *const *strings, Buffer *buffer) {
        int r;

        r = buffer_append(buffer, "[", 1);
        for (size_t i = 0; r >= 0 && strings && strings[i]; i++)
                r = quote_element(strings[i], i == 0, buffer);
        return r < 0 ? r : buffer_append_text(buffer, " ]");
}

static int format_flags(const char *const *values, unsigned flags, Buffer *buffer) {
        bool first = true;
        int r;

        r = buffer_append(buffer, "[", 1);
        for (size_t i = 0; r >= 0 && values[i]; i++)
                if (flags & 1u << i) {
                        r = quote_element(values[i], first, buffer);
                        first = false;
                }
        return r < 0 ? r : buffer_append_text(buffer, " ]");
}

static int format_quoted(uint64_t value, int (*format)(uint64_t, Buffer *), Buffer *buffer) {
        int r;

        r = buffer_append(buffer, "\"", 1);
        if (r >= 0)
                r = format(value, buffer);
        return r < 0 ? r : buffer_append(buffer, "\"", 1);
}

int value_format(const ConfSetting *setting, const void *field, Buffer *buffer) {
        switch (setting->type) {
        case CONF_BOOL:
                return buffer_append_text(buffer, *(const bool *) field ? "true" : "false");
        case CONF_INTEGER:
                return buffer_printf(buffer, "%" PRIi64, *(const int64_t *) field);
        case CONF_STRING:
        case CONF_URL:
        case CONF_SECRET:
                return value_quote(*(const char *const *) field, SIZE_MAX, buffer);
        case CONF_ENUM:
                return value_quote(setting->values[*(const int *) field], SIZE_MAX, buffer);
        case CONF_DURATION:
                return format_quoted(*(const uint64_t *) field, format_duration, buffer);
        case CONF_SIZE:
                return format_quoted(*(const uint64_t *) field, format_size, buffer);
        case CONF_MONEY:
                return format_quoted(*(const uint64_t *) field, format_money, buffer);
        case CONF_SHARE:
                return format_quoted(*(const uint64_t *) field, format_share, buffer);
        case CONF_STRINGS:
                return format_strings(*(char *const *const *) field, buffer);
        case CONF_FLAGS:
                return format_flags(setting->values, *(const unsigned *) field, buffer);
        case CONF_GROUPS:
                break;
        }
        assert(false);
        return 0;
}

static int expect_values(const char *lead, const char *const *values, Buffer *buffer) {
        int r;

        r = buffer_append_text(buffer, lead);
        for (size_t i = 0; r >= 0 && values[i]; i++)
                r = quote_element(values[i], i == 0, buffer);
        return r;
}

static int expect_range(const ConfSetting *setting, int (*format)(uint64_t, Buffer *), Buffer *buffer) {
        int r;

        r = buffer_append_text(buffer, " from ");
        if (r >= 0)
                r = format((uint64_t) setting->min, buffer);
        if (r >= 0)
                r = buffer_append_text(buffer, " to ");
        return r < 0 ? r : format((uint64_t) setting->max, buffer);
}

static int expect_string(const ConfSetting *setting, Buffer *buffer) {
        int64_t max = setting->max ? setting->max : CONF_TEXT_BYTES_MAX;

        return buffer_printf(buffer, "a string of %" PRIi64 " to %" PRIi64 " bytes without control characters",
                             setting->min, max);
}

static int expect_strings(const ConfSetting *setting, Buffer *buffer) {
        int64_t max = setting->max ? setting->max : CONF_STRINGS_MAX;

        return buffer_printf(buffer, "a list of %" PRIi64 " to %" PRIi64 " %s", setting->min, max,
                             setting->element ? setting->element->expected : "strings such as [ \"a\", \"b\" ]");
}

int value_expect(const ConfSetting *setting, Buffer *buffer) {
        int r;

        switch (setting->type) {
        case CONF_BOOL:
                return buffer_append_text(buffer, "true or false");
        case CONF_INTEGER:
                return buffer_printf(buffer, "an integer from %" PRIi64 " to %" PRIi64, setting->min, setting->max);
        case CONF_STRING:
                return expect_string(setting, buffer);
        case CONF_URL:
                return buffer_append_text(buffer, "an http:// or https:// URL without user, query or fragment");
        case CONF_SECRET:
                return buffer_append_text(buffer, SECRET_REFERENCE_EXPECTED);
        case CONF_ENUM:
                return expect_values("one of", setting->values, buffer);
        case CONF_DURATION:
                r = buffer_append_text(buffer, "a duration such as \"30s\" or \"1h 30min\"");
                return r < 0 ? r : expect_range(setting, format_duration, buffer);
        case CONF_SIZE:
                r = buffer_append_text(buffer, "a size such as \"64K\" or \"1M\"");
                return r < 0 ? r : expect_range(setting, format_size, buffer);
        case CONF_MONEY:
                r = buffer_append_text(buffer, "an amount such as \"$50\" or \"0.04\"");
                return r < 0 ? r : expect_range(setting, format_money, buffer);
        case CONF_SHARE:
                r = buffer_append_text(buffer, "a share such as \"80%\" or \"0.8\"");
                return r < 0 ? r : expect_range(setting, format_share, buffer);
        case CONF_STRINGS:
                return expect_strings(setting, buffer);
        case CONF_FLAGS:
                return expect_values("a list of some of", setting->values, buffer);
        case CONF_GROUPS:
                return buffer_append_text(buffer, "a list of groups such as ( { name = \"a\"; … }, … )");
        }
        assert(false);
        return 0;
}
