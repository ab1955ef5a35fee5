#include "queue/request-rate.h"

#include <errno.h>

#include "base/text.h"
#include "store/store-rate.h"

void request_rates_find(const Manager *manager, const Caller *caller, RateClaim ret[static _RATE_KINDS]) {
        const WorkerSettings *settings = &service_settings(manager->service)->worker;
        Store *store = commit_group_store(manager->group);
        ClientKey key = {};

        ret[RATE_REQUESTS] = ret[RATE_IMAGES] = (RateClaim) {};
        if (!*caller->key || !store || store_get_key(store, caller->key, &key) != 0)
                return;
        ret[RATE_REQUESTS].per_minute = key.requests_per_minute ?: (unsigned) settings->requests_per_minute;
        ret[RATE_IMAGES].per_minute = key.images_per_minute ?: (unsigned) settings->images_per_minute;
}

int request_rates_take(Store *store, const char *key, RateClaim claims[static _RATE_KINDS], unsigned images) {
        usec_t now = time_now_realtime();
        int r;

        if (!key)
                return 0;
        claims[RATE_REQUESTS].amount = 1;
        claims[RATE_IMAGES].amount = images;
        r = store_take_rates(store, key, claims, now);
        return r != 0 ? r : store_use_key(store, key, now);
}

/* The one that has to be waited for longest. */
static RateKind tightest(const RateClaim claims[static _RATE_KINDS]) {
        return claims[RATE_IMAGES].retry_after > claims[RATE_REQUESTS].retry_after ? RATE_IMAGES : RATE_REQUESTS;
}

static char *describe(const RateClaim claims[static _RATE_KINDS]) {
        RateKind kind = tightest(claims);
        const RateClaim *claim = &claims[kind];

        if (claim->retry_after == USEC_INFINITY)
                return text_format("The request asks for %u %s at once, and the key is good for %u a minute. Ask for fewer.",
                                   claim->amount, rate_kind_name(kind), claim->per_minute);
        return text_format("Rate limit reached for %s per minute: limit %u, requested %u. Please try again in %.3fs.",
                           rate_kind_name(kind), claim->per_minute, claim->amount,
                           (double) claim->retry_after / (double) USEC_PER_SEC);
}

int request_rates_refuse(VarlinkCall *call, const RateClaim claims[static _RATE_KINDS]) {
        usec_t retry_after = claims[tightest(claims)].retry_after;
        _cleanup_(json_freep) JsonValue *parameters = NULL;
        _cleanup_free_ char *message = describe(claims);
        int r;

        parameters = failure_to_json(&(Failure) {
                .status = 429,
                .type = (char *) "requests",
                .code = (char *) "rate_limit_exceeded",
                .message = message,
        });
        r = message ? json_add(parameters, "rates", rate_claims_to_json(claims)) : -ENOMEM;
        if (r >= 0 && retry_after != USEC_INFINITY)
                r = json_add_integer(parameters, "retry_after_usec", (int64_t) retry_after);
        return r < 0 ? varlink_call_error_errno(call, r)
                     : varlink_call_error(call, "io.atelier.Queue.Refused", TAKE_PTR(parameters));
}
