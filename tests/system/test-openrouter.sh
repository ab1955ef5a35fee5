# shellcheck shell=bash
# Images by OpenRouter: its two routes, what it says that it charged, and its errors.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/router.sh"

MIXED=300

# paint MODEL PROMPT [JSON-MEMBERS]
paint() {
    request --json "{\"model\": \"$1\", \"prompt\": \"$2\" ${3:+, $3}}" "$ATELIER/v1/images/generations"
}

usage() {
    request "$ATELIER/v1/usage"
    answer '[body.total.spent_micros, body.total.unknown_micros, body.total.reserved_micros].join(" ")'
}

test_each_route_gives_its_images() {
    start_router
    paint flux 'two foxes' '"n": 2, "size": "1536x1024", "output_format": "jpeg"'
    assert_eq '200 2' "$STATUS $(answer body.data.length)"
    paint gemini 'a hen' '"size": "1344x768"'
    assert_eq '200 1' "$STATUS $(answer body.data.length)"
    paint seedream 'a cow'
    assert_eq 200 "$STATUS"
    request "$ATELIER/v1/jobs"
    assert_match '^gen-[0-9a-f-]+$' "$(answer 'body.data[0].attempts[0].provider_request_id')"
    assert_eq '{"violations":[]}' "$(router /_violations)"
}

# 2 x 0.0391234567000000010 and 0.0387000000000010: rounded up for each request, and not by a double's error.
test_what_it_says_that_it_charged_is_what_is_booked() {
    start_router
    paint flux foxes '"n": 2'
    assert_eq '78247 0 0' "$(usage)"
    paint gemini hen
    assert_eq '116948 0 0' "$(usage)"
    # Above what was reserved: $0.04 of $0.03.
    paint seedream cow
    assert_eq '156948 0 0' "$(usage)"
    assert_eq 156948 "$(routed_cost)"
    request "$ATELIER/v1/jobs"
    assert_eq 40000 "$(answer 'body.data[0].cost.charged_micros')"
    atelierctl ledger verify
    assert_match 'as the provider told, \$0\.01 above its reservation' "$(atelierctl ledger list)"
    assert_match 'the price of seedream in prices.conf is too low' "$(journal --unit=atelier-worker --output=cat)"
    request "$ATELIER/metrics"
    grep -qx 'genai_price_drift_dollars_total{provider="openrouter",model="seedream"} 0.01' "$SCRATCH/body"
}

test_a_receipt_names_it_as_the_source() {
    local name
    start_router
    paint seedream cow '"response_format": "url"'
    name=$(answer 'body.data[0].url.split("/").at(-1).split(".")[0]')
    request "$ATELIER/v1/images/$name/receipt"
    assert_eq 200 "$STATUS"
    assert_eq 'told 40000' "$(answer 'body.data[0].items.map(one => one.what + " " + one.price_micros).join()')"
}

# What it leaves out, or what nobody can believe, is booked as it was reserved.
test_a_cost_that_is_none_is_booked_as_reserved() {
    local act
    for act in no_cost text_cost negative_cost huge_cost; do
        start_router
        paint gemini "hen [router:$act]"
        assert_eq 200 "$STATUS" "$act"
        assert_eq '50000 0 0' "$(usage)" "$act"
        kill %1
        wait
        systemctl stop 'atelier-*.service'
        rm -rf /var/lib/atelier/*
    done
}

# assert_refused STATUS CODE MODEL ACT: and nothing is booked.
assert_refused() {
    paint "$3" "hen [router:$4]"
    assert_eq "$1 $2" "$STATUS $(answer body.error.code)" "$4"
    assert_eq '0 0 0' "$(usage)" "$4"
}

test_an_error_costs_nothing_whatever_its_status() {
    start_router 'worker = { attempts_max = 1; breaker_failures = 1000; };'
    assert_refused 400 400 flux 400
    assert_refused 400 400 flux ok_400
    assert_refused 403 403 gemini 403
    assert_refused 403 403 gemini ok_403
    assert_refused 404 404 flux 404
    assert_refused 429 429 flux 429
    assert_refused 502 provider_unavailable gemini 502
    assert_refused 502 provider_unavailable gemini ok_502
    assert_refused 502 provider_unavailable gemini choice_error
    assert_refused 502 provider_unavailable flux 529
}

# The edge speaks, not the service: it may be at work still. A text in place of a picture was charged.
test_what_may_have_been_charged_is_booked_as_unknown() {
    start_router 'worker = { attempts_max = 1; };'
    paint flux 'fox [router:html524]'
    assert_error 502 provider_unavailable
    assert_eq '0 50000 0' "$(usage)"
    paint gemini 'fox [router:text_only]'
    assert_error 502 provider_bad_reply
    assert_eq '0 100000 0' "$(usage)"
    paint gemini 'fox [router:link]'
    assert_error 502 provider_bad_reply
    assert_eq '0 150000 0' "$(usage)"
}

test_a_stream_is_read_with_its_comments_texts_and_cost() {
    start_router
    paint routed-gpt fox '"stream": true, "partial_images": 1'
    assert_eq 200 "$STATUS"
    assert_eq 'image_generation.partial_image image_generation.completed' \
        "$(sed -n 's/^event: //p' "$SCRATCH/body" | xargs)"
    assert_eq '52680 0 0' "$(usage)"
    paint routed-gpt 'fox [router:stream_error]' '"stream": true'
    grep -q '"error"' "$SCRATCH/body"
    assert_eq '52680 0 0' "$(usage)"
}

test_a_key_that_is_refused_or_spent_is_set_aside() {
    start_router
    paint flux 'fox [router:402]'
    assert_error 503 provider_quota_exhausted
    assert_match 'provider.openrouter: no good key, key 1 of 1 out of quota' "$(atelierctl status worker)"
    systemctl reload atelier-worker
    paint flux 'fox [router:401]'
    assert_error 503 provider_key_refused
    assert_fails grep -q sk-or-test <(journal --output=export)
}

test_the_ledger_is_its_bill_over_many_requests() {
    local i
    start_router 'worker = { daily_budget = "infinity"; retry_min = "10ms"; retry_max = "20ms"; breaker_failures = 1000; };'
    for ((i = 0; i < 10; i++)); do
        paint flux "flux $i" "\"n\": $((1 + i % 3))" &
        paint gemini "gemini $i" &
        paint seedream "seedream $i" &
        paint flux "refused $i [router:ok_400]" &
        wait %2 %3 %4 %5
    done
    assert_eq "$(routed_cost) 0 0" "$(usage)"
    (($(routed) == 40)) || fail "$(routed) requests"
    atelierctl ledger verify
}

test_the_ledger_is_its_bill_over_mixed_requests() {
    start_router 'worker = { daily_budget = "infinity"; retry_min = "10ms"; retry_max = "20ms"; breaker_failures = 1000;
                             attempts_max = 2; concurrency = 16; cache_ttl = "1h"; };'
    node "$CHECKOUT/tests/system/clients/routed-requests.mjs" $MIXED 8 5
    router /_bill >"$SCRATCH/bill"
    assert_eq "$(routed_cost) 0 0" "$(usage)"
    atelierctl ledger verify
    node "$CHECKOUT/tests/system/clients/audit-ledger.mjs" "$SCRATCH/bill" 5
}

test_the_health_says_whether_its_key_is_good() {
    start_router
    request "$ATELIER/health"
    assert_eq ok "$(answer 'body.checks.openrouter.status')"
}
