#include "store/store-rate.h"

#include "store/store-private.h"

static int get_full_at(Store *store, const char *key, RateKind kind, usec_t *ret) {
        sqlite3_stmt *statement;
        int64_t full_at = 0;
        int r;

        r = store_prepare(store, STATEMENT_GET_RATE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, key);
        (void) sqlite3_bind_int64(statement, 2, kind);
        r = store_step_integer(store, statement, &full_at);
        *ret = (usec_t) MAX(full_at, (int64_t) 0);
        return MIN(r, 0);
}

static int set_full_at(Store *store, const char *key, RateKind kind, usec_t full_at) {
        sqlite3_stmt *statement;
        int r;

        r = store_prepare(store, STATEMENT_SET_RATE, &statement);
        if (r < 0)
                return r;
        store_bind_text(statement, 1, key);
        (void) sqlite3_bind_int64(statement, 2, kind);
        (void) sqlite3_bind_int64(statement, 3, (int64_t) full_at);
        return store_step(store, statement);
}

/* What was not taken is said to be there still. */
static void untake(RateClaim claims[static _RATE_KINDS], const usec_t before[static _RATE_KINDS], usec_t now) {
        for (RateKind kind = 0; kind < _RATE_KINDS; kind++)
                if (claims[kind].per_minute > 0 && !claims[kind].refused) {
                        usec_t full_at = before[kind];
                        RateClaim none = { .per_minute = claims[kind].per_minute };

                        rate_limit_claim(&none, &full_at, now);
                        claims[kind] = none;
                }
}

int store_take_rates(Store *store, const char *key, RateClaim claims[static _RATE_KINDS], usec_t now) {
        usec_t full_at[_RATE_KINDS] = {}, before[_RATE_KINDS] = {};
        bool refused = false;
        int r = 0;

        for (RateKind kind = 0; kind < _RATE_KINDS && r >= 0; kind++) {
                if (claims[kind].per_minute == 0)
                        continue;
                r = get_full_at(store, key, kind, &full_at[kind]);
                before[kind] = full_at[kind];
                if (r >= 0)
                        rate_limit_claim(&claims[kind], &full_at[kind], now);
                refused |= claims[kind].refused;
        }
        if (r >= 0 && refused)
                untake(claims, before, now);
        if (r < 0 || refused)
                return r < 0 ? r : STORE_OVER_RATE;
        for (RateKind kind = 0; kind < _RATE_KINDS && r >= 0; kind++)
                if (claims[kind].per_minute > 0)
                        r = set_full_at(store, key, kind, full_at[kind]);
        return r;
}
