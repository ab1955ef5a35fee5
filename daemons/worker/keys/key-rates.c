#include "keys/key-rates.h"

static const char *const kind_names[_RATE_KINDS] = {
        [RATE_REQUESTS] = "requests",
        [RATE_IMAGES] = "images",
};

const char *rate_kind_name(RateKind kind) {
        return kind_names[kind];
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
