#include "amounts.h"

#include <errno.h>
#include <string.h>

#include "base/money.h"
#include "base/time.h"
#include "ctl.h"
#include "job-result.h"

void amounts_add_money(TextTable *table, int64_t micros) {
        char text[MONEY_TEXT_MAX];

        text_table_add(table, money_format(micros, text), 0);
}

void amounts_add(TextTable *table, const JsonValue *amounts) {
        amounts_add_money(table, json_get_integer(amounts, "spent_micros", 0));
        amounts_add_money(table, json_get_integer(amounts, "reserved_micros", 0));
        amounts_add_money(table, json_get_integer(amounts, "unknown_micros", 0));
        text_table_add_number(table, json_get_integer(amounts, "images", 0));
}

const char *period_format(int64_t period, char buffer[static PERIOD_TEXT_MAX]) {
        int64_t month = period > 999999 ? period / 100 : period;
        int length = snprintf(buffer, PERIOD_TEXT_MAX, "%04lld-%02lld", (long long) (month / 100),
                              (long long) (month % 100));

        if (period > 999999)
                (void) snprintf(buffer + length, PERIOD_TEXT_MAX - (size_t) length, "-%02lld",
                                (long long) (period % 100));
        return buffer;
}

int period_parse(const char *text, bool month, int64_t *ret) {
        char day[] = "YYYY-MM-01";
        usec_t unused;

        if (strlen(text) != (month ? strlen("YYYY-MM") : strlen("YYYY-MM-DD")))
                return -EINVAL;
        (void) memcpy(day, text, strlen(text));
        if (time_parse_day(day, &unused) < 0)
                return -EINVAL;
        *ret = strtol(day, NULL, 10) * 100 + strtol(day + 5, NULL, 10);
        if (!month)
                *ret = *ret * 100 + strtol(day + 8, NULL, 10);
        return 0;
}

int usage_get(JsonValue **ret) {
        _cleanup_(json_freep) JsonValue *parameters = json_new_object();

        if (json_add(parameters, "caller", job_caller()) < 0)
                return ctl_fail("memory is short");
        return ctl_call("worker", "io.atelier.Ledger.GetUsage", TAKE_PTR(parameters), ret);
}
