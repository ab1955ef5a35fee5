# shellcheck shell=bash
# Requests that are made cheaper: by what the prompt says, and by what is left of the budget.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

GENERATIONS=$ATELIER/v1/images/generations

# By the picture and to the cent, so that shares of a budget are round.
PRICES='prices = ( { name = "gpt-image-2"; from = "2026-01-01"; per_image = [
            "1024x1024 low $0.01", "1024x1024 medium $0.05", "1024x1024 high $0.20",
            "1536x1024 low $0.02", "1536x1024 medium $0.10", "1536x1024 high $0.40" ]; per_million_tokens = []; } );'

# start_optimiser MODE [WORKER-SETTINGS]
start_optimiser() {
    start_provider "$PRICES worker = { optimise = \"$1\"; budget_pause = false; ${2:-} };"
}

# paint JSON-MEMBERS [CURL-OPTION...]
paint() {
    request --json "{\"model\": \"gpt-image-2\", $1}" "${@:2}" "$GENERATIONS"
    OPTIMISED=$(header x-atelier-optimised)
}

DIAGRAM='"prompt": "un diagramme de pompe", "size": "1024x1024", "quality": "high"'

test_a_request_is_left_alone_unless_configured() {
    start_optimiser never
    paint "$DIAGRAM" --header 'x-atelier-optimise: on'
    assert_eq '200 ' "$STATUS $OPTIMISED"
}

test_what_was_changed_and_saved_is_told() {
    start_optimiser always
    paint "$DIAGRAM"
    assert_eq '200 quality=medium, saved=$0.15' "$STATUS $OPTIMISED"
    request "$ATELIER/v1/jobs"
    assert_eq '[{"parameter":"quality","from":"high","to":"medium","rule":"prompt"}] 150000' \
        "$(answer 'JSON.stringify(body.data[0].optimised.changes) + " " + body.data[0].optimised.saved_micros')"
    assert_eq medium "$(answer 'body.data[0].request.quality')"
    assert_eq 50000 "$(answer 'body.data[0].cost.reserved_micros + body.data[0].cost.charged_micros')"
    request "$ATELIER/metrics"
    grep -qx 'genai_optimised_requests_total{model="gpt-image-2"} 1' "$SCRATCH/body"
    grep -qx 'genai_optimised_saved_dollars_total{model="gpt-image-2"} 0.15' "$SCRATCH/body"
}

test_who_asks_not_to_be_optimised_is_not() {
    start_optimiser always
    paint "$DIAGRAM" --header 'x-atelier-optimise: off'
    assert_eq '200 ' "$STATUS $OPTIMISED"
    paint "$DIAGRAM" --header 'x-atelier-optimise: perhaps'
    assert_error 400 invalid_optimise
}

test_where_it_is_allowed_only_who_asks_is_optimised() {
    start_optimiser asked
    paint "$DIAGRAM"
    assert_eq '200 ' "$STATUS $OPTIMISED"
    paint "$DIAGRAM" --header 'x-atelier-optimise: on'
    assert_eq '200 quality=medium, saved=$0.15' "$STATUS $OPTIMISED"
}

test_a_wide_picture_becomes_square_unless_the_prompt_needs_it_wide() {
    start_optimiser always
    paint '"prompt": "a fox", "size": "1536x1024", "quality": "low"'
    assert_eq '200 size=1024x1024, saved=$0.01' "$STATUS $OPTIMISED"
    assert_eq 1024x1024 "$(answer body.size)"
    paint '"prompt": "a wide valley", "size": "1536x1024", "quality": "low"'
    assert_eq '200 ' "$STATUS $OPTIMISED"
}

# The prices that ship have the square of gpt-image-2 dearer than the wide one.
test_what_would_cost_more_is_not_done() {
    start_provider 'worker = { optimise = "always"; };'
    paint '"prompt": "a fox", "size": "1536x1024", "quality": "low"'
    assert_eq '200 ' "$STATUS $OPTIMISED"
}

# Of $1: spent so far, and what becomes of the same request.
test_the_less_is_left_the_less_is_asked_for() {
    local valley='"prompt": "a wide valley", "size": "1536x1024", "quality": "high"'
    start_optimiser always 'daily_budget = "$1"; cache_ttl = "1h";'
    paint "$valley"                                                         # $0.40
    assert_eq '200 ' "$STATUS $OPTIMISED"
    paint "$DIAGRAM" --header 'x-atelier-optimise: off'                     # $0.60
    paint '"prompt": "a tall tree", "size": "1536x1024", "quality": "medium"'   # $0.70
    assert_eq '200 ' "$STATUS $OPTIMISED"
    paint "${valley/valley/dale}"                                           # $0.80
    assert_eq '200 quality=medium, saved=$0.30' "$STATUS $OPTIMISED"
    paint '"prompt": "a fox", "size": "1024x1024", "quality": "medium"'     # $0.81
    assert_eq '200 quality=low, saved=$0.04' "$STATUS $OPTIMISED"
    paint '"prompt": "a hen", "size": "1024x1024", "quality": "medium"' --header 'x-atelier-optimise: off'  # $0.86
    paint "${valley/valley/canyon}"                                         # $0.91
    assert_eq '200 quality=medium, size=1024x1024, saved=$0.35' "$STATUS $OPTIMISED"
    paint '"prompt": "a cow", "size": "1024x1024", "quality": "medium"' --header 'x-atelier-optimise: off'  # $0.96

    paint '"prompt": "a new one", "size": "1024x1024", "quality": "low"'
    assert_error 429 budget_exceeded
    assert_eq '96 % of a budget' "$(answer body.error.message | head -c 16)"
    request --json '{"model": "gpt-image-2", "prompt": "a new one", "quality": "low", "size": "1024x1024"}' \
        "$ATELIER/v1/images/quote"
    assert_eq 'false false' "$(answer 'body.fits + " " + body.cached')"
    paint '"prompt": "a fox", "size": "1024x1024", "quality": "low"'
    assert_eq '200 hit' "$STATUS $(header x-atelier-cache)"
    paint '"prompt": "a new one", "size": "1024x1024", "quality": "low"' --header 'x-atelier-optimise: off'
    assert_eq 200 "$STATUS"
    request "$ATELIER/v1/usage"
    assert_eq 970000 "$(answer body.total.spent_micros)"
}

test_a_quote_says_what_would_be_changed() {
    start_optimiser asked
    request --json "{\"model\": \"gpt-image-2\", $DIAGRAM}" --header 'x-atelier-optimise: on' "$ATELIER/v1/images/quote"
    assert_eq '50000 medium 150000' "$(answer '[body.cost_micros, body.quality, body.optimised.saved_micros].join(" ")')"
    request --json "{\"model\": \"gpt-image-2\", $DIAGRAM}" "$ATELIER/v1/images/quote"
    assert_eq 200000 "$(answer body.cost_micros)"
}

# What the client asked for is what tells one request from another, not what the budget made of it.
test_a_request_sent_again_is_the_same_job_under_pressure_too() {
    local first
    start_optimiser always 'daily_budget = "$1";'
    paint "${DIAGRAM/un diagramme/a fox by a}" --header 'Idempotency-Key: one'      # $0.20
    first=$(answer 'require("crypto").createHash("sha256").update(body.data[0].b64_json).digest("hex")')
    paint '"prompt": "a wide valley", "size": "1536x1024", "quality": "high"'           # $0.60
    paint '"prompt": "a tall tree", "size": "1024x1024", "quality": "high"'             # $0.80
    paint "${DIAGRAM/un diagramme/a fox by a}" --header 'Idempotency-Key: one'
    assert_eq "200 $first" \
        "$STATUS $(answer 'require("crypto").createHash("sha256").update(body.data[0].b64_json).digest("hex")')"
    assert_eq 3 "$(billed)"
}
