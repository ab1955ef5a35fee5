# shellcheck shell=bash
# How much a key may ask for in a minute: exactly that, whoever asks at the same time and whoever is killed.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

# make_key [OPTION...]: sets KEY.
make_key() {
    KEY=$(atelierctl keys create client "$@")
}

# ask [MEMBERS [CURL-OPTION...]]: for a picture.
ask() {
    request --header "Authorization: Bearer $KEY" "${@:2}" "$ATELIER/v1/images/generations" \
        --json "{\"model\": \"sandbox\", \"size\": \"64x64\", \"prompt\": \"x\"${1:+, $1}}"
}

# flood N CLIENTS: so many requests at once; prints how many of each status.
flood() {
    local client
    for ((client = 0; client < $2; client++)); do
        for ((n = client; n < $1; n += $2)); do
            curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}\n' \
                --header "Authorization: Bearer $KEY" "$ATELIER/v1/images/generations" \
                --json '{"model": "sandbox", "size": "64x64", "prompt": "x"}'
        done >"$SCRATCH/statuses.$client" &
    done
    wait
    sort "$SCRATCH"/statuses.* | uniq -c | xargs
}

# With one a minute none comes back while the test lasts.
test_a_minutes_worth_is_admitted_and_no_more() {
    make_key --requests-per-minute=20
    local began=$EPOCHSECONDS admitted
    admitted=$(flood 60 4 | cut -d' ' -f1)
    # One came back every 3 s.
    ((admitted >= 20 && admitted <= 20 + (EPOCHSECONDS - began) / 3 + 1)) || fail "$admitted were admitted"
    ask
    assert_error 429 rate_limit_exceeded
    assert_eq requests "$(answer body.error.type)"
    assert_match '^Rate limit reached for requests per minute: limit 20, requested 1\. Please try again in [0-3]\.[0-9]{3}s\.$' \
        "$(answer body.error.message)"
    assert_eq '20 0' "$(header x-ratelimit-limit-requests) $(header x-ratelimit-remaining-requests)"
    (($(header retry-after) <= 3 && $(header retry-after-ms) <= 3000)) || fail 'too late'
}

test_restarts_and_kills_give_nothing_back() {
    make_key --requests-per-minute=3
    ask
    systemctl restart atelier-api
    ask
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    ask
    assert_eq '200 0' "$STATUS $(header x-ratelimit-remaining-requests)"
    systemctl restart atelier-api atelier-worker
    ask
    assert_error 429 rate_limit_exceeded
}

test_a_request_is_taken_when_it_was_said() {
    local milliseconds
    make_key --requests-per-minute=30
    assert_match '^30 200' "$(flood 30 1)"
    ask
    while [[ $STATUS == 200 ]]; do ask; done
    milliseconds=$(header retry-after-ms)
    sleep "$(printf '%d.%03d' $((milliseconds / 1000)) $((milliseconds % 1000)))"
    ask
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

test_every_answer_says_what_is_left() {
    make_key --requests-per-minute=10 --images-per-minute=6
    ask '"n": 4'
    assert_eq '200 10 9 6s' "$STATUS $(header x-ratelimit-limit-requests) $(header x-ratelimit-remaining-requests) $(header x-ratelimit-reset-requests)"
    assert_eq '6 2 40s' "$(header x-ratelimit-limit-images) $(header x-ratelimit-remaining-images) $(header x-ratelimit-reset-images)"
    ask '' --header 'Prefer: respond-async'
    assert_eq '202 8 1' "$STATUS $(header x-ratelimit-remaining-requests) $(header x-ratelimit-remaining-images)"
    ask '"stream": true'
    assert_eq '200 7 0' "$STATUS $(header x-ratelimit-remaining-requests) $(header x-ratelimit-remaining-images)"
    ask
    assert_error 429 rate_limit_exceeded
    assert_match 'images per minute' "$(answer body.error.message)"
    # What was refused has used nothing.
    assert_eq 7 "$(header x-ratelimit-remaining-requests)"
    ask '"n": 7'
    assert_error 429 rate_limit_exceeded
    assert_eq 'false ' "$(header x-should-retry) $(header retry-after)"
    request --header "Authorization: Bearer $KEY" "$ATELIER/v1/models"
    assert_eq '200 ' "$STATUS $(header x-ratelimit-limit-requests)"
}

test_the_same_request_again_uses_nothing() {
    make_key --requests-per-minute=5
    ask '' --header 'Idempotency-Key: one'
    assert_eq 4 "$(header x-ratelimit-remaining-requests)"
    ask '' --header 'Idempotency-Key: one'
    assert_eq '200 ' "$STATUS $(header x-ratelimit-remaining-requests)"
    ask
    assert_eq 3 "$(header x-ratelimit-remaining-requests)"
}

test_what_the_cache_has_is_no_image() {
    configure 'worker = { cache_ttl = "1h"; }; providers = ( { name = "sandbox"; } );'
    make_key --images-per-minute=1
    ask
    assert_eq '200 0' "$STATUS $(header x-ratelimit-remaining-images)"
    ask
    assert_eq '200 hit' "$STATUS $(header x-atelier-cache)"
    ask '"n": 1' --header 'Cache-Control: no-cache'
    assert_error 429 rate_limit_exceeded
}

test_a_batch_is_one_request_of_all_its_images() {
    make_key --requests-per-minute=3 --images-per-minute=5
    batch() {
        request --header "Authorization: Bearer $KEY" "$ATELIER/v1/batches" \
            --json "{\"model\": \"sandbox\", \"size\": \"64x64\", \"prompts\": $1}"
    }
    batch '["a", "b", "c", "d", "e", "f"]'
    assert_error 429 rate_limit_exceeded
    batch '["a", "b", "c"]'
    assert_eq '202 2 2' "$STATUS $(header x-ratelimit-remaining-requests) $(header x-ratelimit-remaining-images)"
    batch '["a", "b", "c"]'
    assert_error 429 rate_limit_exceeded
    ask
    assert_eq '200 1 1' "$STATUS $(header x-ratelimit-remaining-requests) $(header x-ratelimit-remaining-images)"
    request --header "Authorization: Bearer $KEY" "$ATELIER/v1/jobs"
    assert_eq 4 "$(answer body.data.length)"
}

test_keys_without_a_limit_of_their_own_have_everybodys() {
    configure 'worker = { requests_per_minute = 1; }; providers = ( { name = "sandbox"; } );'
    make_key
    ask
    assert_eq '200 1' "$STATUS $(header x-ratelimit-limit-requests)"
    ask
    assert_error 429 rate_limit_exceeded
    make_key --requests-per-minute=2
    ask
    ask
    assert_eq '200 2' "$STATUS $(header x-ratelimit-limit-requests)"
    # Members who show no key have none.
    for _ in 1 2 3; do
        assert_eq 200 "$(curl --silent --output /dev/null --write-out '%{http_code}' --unix-socket /run/atelier/api.sock \
            --json '{"model": "sandbox", "size": "64x64", "prompt": "x"}' http://localhost/v1/images/generations)"
    done
}
