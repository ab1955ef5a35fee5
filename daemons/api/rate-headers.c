#include "rate-headers.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"

#define NAME_MAX_BYTES 64

JsonValue *rate_facts(const JsonValue *parameters) {
        _cleanup_(json_freep) JsonValue *facts = NULL;
        const JsonValue *rates = json_get_array(parameters, "rates");
        int r;

        if (!rates || !rates->child)
                return NULL;
        facts = json_new_object();
        r = json_add(facts, "rates", cJSON_Duplicate(rates, true));
        if (r >= 0 && json_has(parameters, "retry_after_usec"))
                r = json_add_integer(facts, "retry_after_usec", json_get_integer(parameters, "retry_after_usec", 0));
        return r < 0 ? NULL : TAKE_PTR(facts);
}

const char *go_duration(usec_t duration, char buffer[static GO_DURATION_MAX]) {
        unsigned long long milliseconds = (duration + USEC_PER_MSEC - 1) / USEC_PER_MSEC;  /* what is said has passed */
        unsigned long long seconds = milliseconds / 1000, hours = seconds / 3600, minutes = seconds / 60 % 60;
        unsigned fraction = (unsigned) (milliseconds % 1000), digits = 3;
        int length = 0;

        if (milliseconds < 1000) {
                (void) snprintf(buffer, GO_DURATION_MAX, milliseconds > 0 ? "%llums" : "0s", milliseconds);
                return buffer;
        }
        if (hours > 0)
                length = snprintf(buffer, GO_DURATION_MAX, "%lluh", hours);
        if (seconds >= 60)
                length += snprintf(buffer + length, (size_t) (GO_DURATION_MAX - length), "%llum", minutes);
        length += snprintf(buffer + length, (size_t) (GO_DURATION_MAX - length), "%llu", seconds % 60);
        for (; fraction > 0 && fraction % 10 == 0; digits--)
                fraction /= 10;
        (void) snprintf(buffer + length, (size_t) (GO_DURATION_MAX - length), fraction > 0 ? ".%0*us" : "s", (int) digits, fraction);
        return buffer;
}

static int add_number(HttpReply *reply, const char *name, unsigned long long number) {
        char text[24];

        (void) snprintf(text, sizeof(text), "%llu", number);
        return http_reply_add_header(reply, name, text);
}

static int add_rate(HttpReply *reply, const JsonValue *rate) {
        const char *what = json_get_string(rate, "what") ?: "";
        char name[NAME_MAX_BYTES], reset[GO_DURATION_MAX];
        int r;

        (void) snprintf(name, sizeof(name), "x-ratelimit-limit-%.16s", what);
        r = add_number(reply, name, (unsigned long long) json_get_integer(rate, "limit", 0));
        (void) snprintf(name, sizeof(name), "x-ratelimit-remaining-%.16s", what);
        if (r >= 0)
                r = add_number(reply, name, (unsigned long long) json_get_integer(rate, "remaining", 0));
        (void) snprintf(name, sizeof(name), "x-ratelimit-reset-%.16s", what);
        return r < 0 ? r : http_reply_add_header(reply, name, go_duration((usec_t) json_get_integer(rate, "reset_usec", 0), reset));
}

/* Whole seconds, as RFC 9110 has them, and milliseconds, as OpenAI's clients prefer them; both rounded up. */
static int add_retry_after(HttpReply *reply, usec_t retry_after) {
        int r;

        r = add_number(reply, MHD_HTTP_HEADER_RETRY_AFTER, (retry_after + USEC_PER_SEC - 1) / USEC_PER_SEC);
        return r < 0 ? r : add_number(reply, "retry-after-ms", (retry_after + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

int rate_headers_add(HttpReply *reply, const JsonValue *facts) {
        const JsonValue *rate;
        int r = 0;

        cJSON_ArrayForEach(rate, json_get_array(facts, "rates"))
                if (r >= 0)
                        r = add_rate(reply, rate);
        if (r < 0 || http_reply_status(reply) != MHD_HTTP_TOO_MANY_REQUESTS)
                return r;
        /* What never fits does not fit later either. */
        if (!json_has(facts, "retry_after_usec"))
                return http_reply_add_header(reply, "x-should-retry", "false");
        return add_retry_after(reply, (usec_t) json_get_integer(facts, "retry_after_usec", 0));
}
