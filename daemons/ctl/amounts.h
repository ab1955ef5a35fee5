/* Amounts of the ledger for people. */
#pragma once

#include "base/json.h"
#include "text-table.h"

/* A cell with micro-dollars as "$4.10". */
void amounts_add_money(TextTable *table, int64_t micros);

/* The cells spent, reserved, unknown and images of an io.atelier.Ledger.Amounts; NULL: as of nothing. */
void amounts_add(TextTable *table, const JsonValue *amounts);
#define AMOUNTS_HEADINGS ">SPENT", ">RESERVED", ">UNKNOWN", ">IMAGES"

/* io.atelier.Ledger.GetUsage, as ctl_call(). */
int usage_get(JsonValue **ret);

/* A number such as 20261123 or 202611 as "2026-11-23" or "2026-11". */
#define PERIOD_TEXT_MAX 32
const char *period_format(int64_t period, char buffer[static PERIOD_TEXT_MAX]);

/* The other way round; -EINVAL. */
int period_parse(const char *text, bool month, int64_t *ret);
