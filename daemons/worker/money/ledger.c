#include "money/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[_LEDGER_KINDS] = {
        [LEDGER_RESERVE] = "reserve", [LEDGER_SETTLE] = "settle", [LEDGER_RELEASE] = "release",
        [LEDGER_UNKNOWN] = "unknown", [LEDGER_ADJUST] = "adjust",
};

const char *ledger_kind_name(LedgerKind kind) {
        return (unsigned) kind < _LEDGER_KINDS ? kind_names[kind] : NULL;
}

void ledger_entry_done(LedgerEntry *entry) {
        free(entry->job);
        free(entry->key);
        free(entry->model);
        free(entry->provider);
        free(entry->note);
        *entry = (LedgerEntry) {};
}

static int add_amounts(JsonValue *value, const LedgerAmounts *change) {
        int r;

        r = json_add_integer(value, "reserved_micros", change->reserved);
        if (r >= 0)
                r = json_add_integer(value, "spent_micros", change->spent);
        if (r >= 0)
                r = json_add_integer(value, "unknown_micros", change->unknown);
        return r < 0 ? r : json_add_integer(value, "images", change->images);
}

JsonValue *ledger_entry_to_json(const LedgerEntry *entry, const char *previous) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_integer(value, "number", entry->number);
        if (r >= 0)
                r = json_add_integer(value, "at", (int64_t) entry->at);
        if (r >= 0)
                r = json_add_string(value, "kind", ledger_kind_name(entry->kind) ?: "");
        if (r >= 0)
                r = json_add_integer(value, "day", entry->day);
        if (r >= 0)
                r = json_add_string(value, "job", entry->job);
        if (r >= 0)
                r = json_add_string(value, "key", entry->key);
        if (r >= 0)
                r = json_add_string(value, "model", entry->model);
        if (r >= 0)
                r = json_add_string(value, "provider", entry->provider);
        if (r >= 0)
                r = add_amounts(value, &entry->change);
        if (r >= 0)
                r = json_add_string(value, "note", entry->note);
        if (r >= 0)
                r = json_add_string(value, "previous", previous);
        if (r >= 0 && *entry->hash)
                r = json_add_string(value, "hash", entry->hash);
        return r < 0 ? NULL : TAKE_PTR(value);
}

int ledger_entry_hash(const LedgerEntry *entry, const char *previous, char ret[static SHA256_TEXT_MAX]) {
        _cleanup_(json_freep) JsonValue *value = NULL;
        _cleanup_free_ char *text = NULL;
        LedgerEntry unhashed = *entry;

        unhashed.hash[0] = 0;
        value = ledger_entry_to_json(&unhashed, previous);
        text = value ? json_format(value) : NULL;
        return text ? sha256_text(text, strlen(text), ret) : -ENOMEM;
}

int ledger_amounts_add(LedgerAmounts *a, const LedgerAmounts *change) {
        LedgerAmounts sum = *a;
        int r;

        r = money_add(a->reserved, change->reserved, &sum.reserved);
        if (r >= 0)
                r = money_add(a->spent, change->spent, &sum.spent);
        if (r >= 0)
                r = money_add(a->unknown, change->unknown, &sum.unknown);
        if (r < 0)
                return r;
        sum.images += change->images;
        *a = sum;
        return 0;
}
