# shellcheck shell=bash
# A request that is sent again with its Idempotency-Key is the same job: answered alike, and paid once.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

CLIENTS=50
KEY_BYTES_MAX=255
PICTURE='{"model": "sandbox", "prompt": "once", "size": "64x64"}'

# send KEY [JSON [CURL-OPTION...]]
send() {
    request --header "Idempotency-Key: $1" --json "${2:-$PICTURE}" "${@:3}" "$ATELIER/v1/images/generations"
}

jobs_there() {
    request "$ATELIER/v1/jobs"
    answer body.data.length
}

test_the_same_request_is_the_same_job() {
    local first
    send one
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    first=$(answer 'body.data[0].url.split("?")[0]')
    send one
    assert_eq "200 $first" "$STATUS $(answer 'body.data[0].url.split("?")[0]')"
    send one "$PICTURE" --header 'Prefer: respond-async'
    assert_eq '202 completed' "$STATUS $(answer body.status)"
    assert_eq 1 "$(jobs_there)"
    send two
    assert_eq 2 "$(jobs_there)"
}

test_another_request_with_the_same_key_is_refused() {
    send one
    send one '{"model": "sandbox", "prompt": "another", "size": "64x64"}'
    assert_error 409 idempotency_key_reused
    assert_eq 1 "$(jobs_there)"
}

test_each_client_has_keys_of_its_own() {
    local first second
    first=$(atelierctl keys create first)
    second=$(atelierctl keys create second)
    send one "$PICTURE" --header "Authorization: Bearer $first"
    send one '{"model": "sandbox", "prompt": "another", "size": "64x64"}' --header "Authorization: Bearer $second"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 2 "$(atelierctl --json jobs list | node --print 'JSON.parse(require("fs").readFileSync(0)).length')"
}

test_a_key_that_can_not_be_kept_is_refused() {
    local long
    long=$(printf 'k%.0s' $(seq $KEY_BYTES_MAX))
    send "$long"
    assert_eq 200 "$STATUS"
    send "${long}k"
    assert_error 400 invalid_idempotency_key
    send 'schlüssel'
    assert_error 400 invalid_idempotency_key
}

test_many_at_once_are_one_job() {
    local client pids=()
    for ((client = 0; client < CLIENTS; client++)); do
        curl --silent --max-time 30 --output "$SCRATCH/answer-$client" --header 'Idempotency-Key: many' --json "$PICTURE" \
            "$ATELIER/v1/images/generations" &
        pids+=($!)
    done
    wait "${pids[@]}"
    assert_eq 1 "$(jobs_there)"
    assert_eq 1 "$(for ((client = 0; client < CLIENTS; client++)); do
        node --print "JSON.parse(require('fs').readFileSync('$SCRATCH/answer-$client')).data[0].url.split('?')[0]"
    done | sort -u | wc -l)"
}

test_what_was_paid_is_there_at_no_second_charge() {
    local body='{"model": "gpt-image-2", "prompt": "dear", "size": "1024x1024", "quality": "low"}' bill first
    start_provider
    fake --json '{"rules": [{"act": "late=1000"}]}' /_control
    # A client that does not wait for its answer, and an api that is killed meanwhile.
    curl --silent --max-time 0.5 --header 'Idempotency-Key: dear' --json "$body" "$ATELIER/v1/images/generations" || true
    systemctl kill --signal=KILL atelier-api
    send dear "$body"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    first=$(answer 'body.data[0].b64_json' | sha256sum)
    bill=$(charged)
    systemctl kill --signal=KILL atelier-worker
    send dear "$body"
    assert_eq "200 $first" "$STATUS $(answer 'body.data[0].b64_json' | sha256sum)"
    assert_eq "1 $bill" "$(billed) $(charged)"
    ((bill > 0)) || fail 'nothing was charged'
}

test_a_lost_answer_is_not_paid_again() {
    local body='{"model": "gpt-image-2", "prompt": "lost", "size": "1024x1024", "quality": "low"}' client
    start_provider
    fake --json '{"rules": [{"act": "late=5000"}]}' /_control
    send lost "$body" &
    client=$!
    wait_until 10 eval '(($(billed) == 1))'
    systemctl kill --signal=KILL atelier-worker
    wait "$client"
    send lost "$body"
    assert_error 502 provider_outcome_unknown
    assert_eq 1 "$(billed)"
    request "$ATELIER/v1/usage"
    assert_eq 'true 0' "$(answer '[body.total.unknown_micros > 0, body.total.spent_micros].join(" ")')"
}
