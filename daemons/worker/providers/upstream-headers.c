#include "providers/upstream-headers.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define LIMIT_MAX (INT64_C(1) << 40)  /* requests or tokens */

/* A number such as "12" or "0.25", and nothing behind it, in units of `unit`; what is too long is shortened. */
static int parse_decimal(const char *text, usec_t unit, usec_t *ret) {
        double value;

        if (text_empty(text) || strlen(text) > UPSTREAM_NUMBER_BYTES_MAX ||
            strspn(text, "0123456789.") != strlen(text) ||
            strchr(text, '.') != strrchr(text, '.') || text_equal(text, "."))
                return -EINVAL;
        value = strtod(text, NULL) * (double) unit;
        *ret = value < (double) UPSTREAM_DURATION_MAX_USEC ? (usec_t) value : UPSTREAM_DURATION_MAX_USEC;
        return 0;
}

/* Seconds, or an HTTP date. */
static usec_t parse_retry_after(const char *value, usec_t now) {
        usec_t delay, date;
        time_t seconds;

        if (parse_decimal(value, USEC_PER_SEC, &delay) >= 0)
                return delay;
        /* A date begins with the name of a day; curl would take much else for one. */
        if (strspn(value, "-+0123456789.") > 0)
                return 0;
        seconds = curl_getdate(value, NULL);
        if (seconds <= 0)
                return 0;
        date = (usec_t) seconds * USEC_PER_SEC;
        return date > now ? MIN(date - now, UPSTREAM_DURATION_MAX_USEC) : 0;
}

static size_t unit_of(const char *text, usec_t *ret) {
        static const struct {
                const char *name;
                usec_t usec;
        } units[] = {
                /* "ms" before "m" */
                { "ms", USEC_PER_MSEC }, { "us", 1 }, { "\xc2\xb5s", 1 },
                { "h", USEC_PER_HOUR },  { "m", USEC_PER_MINUTE }, { "s", USEC_PER_SEC },
        };

        for (size_t i = 0; i < ELEMENTS(units); i++)
                if (text_after(text, units[i].name)) {
                        *ret = units[i].usec;
                        return strlen(units[i].name);
                }
        return 0;
}

/* As Go writes durations: "1s", "6m0s", "120ms", "1h2m3.5s". */
static int parse_go_duration(const char *text, usec_t *ret) {
        char number[UPSTREAM_NUMBER_BYTES_MAX + 1];
        usec_t sum = 0, part, unit;
        size_t n;

        if (text_empty(text) || strlen(text) > UPSTREAM_NUMBER_BYTES_MAX)
                return -EINVAL;
        while (*text) {
                n = strspn(text, "0123456789.");
                (void) memcpy(number, text, n);
                number[n] = 0;
                text += n;
                n = unit_of(text, &unit);
                if (n == 0 || parse_decimal(number, unit, &part) < 0)
                        return -EINVAL;
                text += n;
                sum += part;
        }
        *ret = MIN(sum, UPSTREAM_DURATION_MAX_USEC);
        return 0;
}

/* x-ratelimit-WHAT-RATE */
static void take_rate(RateFacts *facts, const char *what, const char *value) {
        uint64_t number;
        usec_t reset;

        if (text_equal(what, "limit") && text_to_unsigned(value, LIMIT_MAX, &number) >= 0)
                facts->limit = (int64_t) number;
        else if (text_equal(what, "remaining") && text_to_unsigned(value, LIMIT_MAX, &number) >= 0) {
                facts->remaining = (int64_t) number;
                facts->said = true;
        } else if (text_equal(what, "reset") && parse_go_duration(value, &reset) >= 0)
                facts->reset = reset;
}

static void take_ratelimit(UpstreamHeaders *headers, const char *name, const char *value) {
        static const char *const whats[] = { "limit", "remaining", "reset" };

        for (size_t i = 0; i < ELEMENTS(whats); i++) {
                const char *rate = text_after(name, whats[i]);

                if (text_equal(rate, "-requests"))
                        take_rate(&headers->requests, whats[i], value);
                else if (text_equal(rate, "-tokens"))
                        take_rate(&headers->tokens, whats[i], value);
        }
}

void upstream_headers_take(UpstreamHeaders *headers, const char *name, const char *value, usec_t now) {
        const char *ratelimit = text_after(name, "x-ratelimit-");

        if (ratelimit)
                take_ratelimit(headers, ratelimit, value);
        else if (text_equal(name, "retry-after-ms"))
                (void) parse_decimal(value, USEC_PER_MSEC, &headers->retry_after_ms);
        else if (text_equal(name, "retry-after"))
                headers->retry_after = parse_retry_after(value, now);
        else if (text_equal(name, "x-should-retry"))
                headers->hint = text_equal(value, "true")    ? RETRY_HINT_YES
                                : text_equal(value, "false") ? RETRY_HINT_NO
                                                             : RETRY_HINT_NONE;
}

void upstream_headers_give(const UpstreamHeaders *headers, GenerationResult *result) {
        result->retry_after = headers->retry_after_ms ?: headers->retry_after;
        result->hint = headers->hint;
        result->requests = headers->requests;
        result->tokens = headers->tokens;
}
