#include "keys/rate-limit.h"

static const char *const kind_names[_RATE_KINDS] = {
        [RATE_REQUESTS] = "requests",
        [RATE_IMAGES] = "images",
};

const char *rate_kind_name(RateKind kind) {
        return kind_names[kind];
}

void rate_limit_claim(RateClaim *claim, usec_t *full_at, usec_t now) {
        /* Rounded up: rather one too few in a long time than one too many. */
        usec_t interval = (USEC_PER_MINUTE + claim->per_minute - 1) / claim->per_minute;
        usec_t depth = interval * claim->per_minute;
        usec_t left = *full_at > now ? *full_at - now : 0, used = MIN(left, depth), wanted = interval * claim->amount;

        claim->refused = used + wanted > depth;
        claim->retry_after = 0;
        if (claim->refused)
                claim->retry_after = wanted > depth ? USEC_INFINITY : used + wanted - depth;
        else
                used += wanted;
        claim->remaining = (unsigned) ((depth - used) / interval);
        claim->reset = used;
        if (!claim->refused)
                *full_at = now + used;
}

static JsonValue *claim_to_json(RateKind kind, const RateClaim *claim) {
        _cleanup_(json_freep) JsonValue *value = json_new_object();
        int r;

        r = json_add_string(value, "what", rate_kind_name(kind));
        if (r >= 0)
                r = json_add_integer(value, "limit", claim->per_minute);
        if (r >= 0)
                r = json_add_integer(value, "remaining", claim->remaining);
        if (r >= 0)
                r = json_add_integer(value, "reset_usec", (int64_t) claim->reset);
        return r < 0 ? NULL : TAKE_PTR(value);
}

JsonValue *rate_claims_to_json(const RateClaim claims[static _RATE_KINDS]) {
        _cleanup_(json_freep) JsonValue *array = json_new_array();

        for (RateKind kind = 0; kind < _RATE_KINDS; kind++)
                if (claims[kind].per_minute > 0 && json_append(array, claim_to_json(kind, &claims[kind])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}
