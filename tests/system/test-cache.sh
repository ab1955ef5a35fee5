# shellcheck shell=bash
# Pictures that serve more than one request: what is paid for once, and for whom.
deadline=90
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

GENERATIONS=$ATELIER/v1/images/generations
SAME='"model": "gpt-image-2", "size": "1024x1024", "quality": "low"'

# paint PROMPT [CURL-OPTION...]: asks the paid provider; sets STATUS and CACHE.
paint() {
    request --json "{$SAME, \"prompt\": \"$1\"}" "${@:2}" "$GENERATIONS"
    CACHE=$(header x-atelier-cache)
}

# image: the hash of the picture that the last answer has in it.
image() {
    answer 'require("crypto").createHash("sha256").update(body.data[0].b64_json, "base64").digest("hex")'
}

start_cache() {
    start_provider "worker = { cache_ttl = \"1h\"; ${1:-} };"
}

test_nothing_is_cached_unless_configured() {
    start_provider
    paint fox
    assert_eq '' "$CACHE"
    paint fox
    assert_eq 200 "$STATUS"
    assert_eq 2 "$(billed)"
}

test_the_same_request_is_paid_for_once() {
    local first
    start_cache
    paint fox
    assert_eq 'miss 200' "$CACHE $STATUS"
    first=$(image)
    paint fox
    assert_eq 'hit 200' "$CACHE $STATUS"
    assert_eq "$first" "$(image)"
    paint 'fox '
    assert_eq miss "$CACHE"
    assert_eq 2 "$(billed)"

    request "$ATELIER/v1/jobs"
    assert_eq 'miss,hit,miss' "$(answer 'body.data.map(job => job.cache).join()')"
    assert_eq null "$(answer 'body.data[1].cost')"
    assert_eq 0 "$(answer 'body.data[1].attempts.length')"
    request "$ATELIER/metrics"
    grep -qx 'genai_cache_requests_total{result="hit"} 1' "$SCRATCH/body"
    grep -qx 'genai_cache_entries 2' "$SCRATCH/body"
}

test_a_hit_needs_neither_provider_nor_budget_nor_the_worker_that_made_it() {
    start_cache 'daily_budget = "$0.01"; budget_pause = false;'
    paint fox
    assert_eq miss "$CACHE"
    kill %1
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    paint fox
    assert_eq 'hit 200' "$CACHE $STATUS"
    paint hen
    assert_error 429 budget_exceeded
}

test_a_client_that_wants_a_new_picture_gets_one() {
    local first second
    start_cache
    paint fox
    first=$(image)
    paint fox --header 'Cache-Control: max-age=0, No-Cache'
    assert_eq miss "$CACHE"
    second=$(image)
    [[ $first != "$second" ]] || fail 'the same picture'
    paint fox
    assert_eq "hit $second" "$CACHE $(image)"
    paint hen --header 'Cache-Control: no-store'
    assert_eq '' "$CACHE"
    paint hen
    assert_eq miss "$CACHE"
}

test_idempotency_key_comes_before_the_cache() {
    local first
    start_cache
    paint fox --header 'Idempotency-Key: a'
    first=$(image)
    paint fox --header 'Cache-Control: no-cache'
    paint fox --header 'Idempotency-Key: a'
    assert_eq "miss $first" "$CACHE $(image)"
    assert_eq 2 "$(billed)"
}

# ask_together COUNT PROMPT: as many clients, each with its answer in $SCRATCH/together/N.
ask_together() {
    mkdir -p "$SCRATCH/together"
    seq "$1" | xargs -P "$1" -I{} curl --silent --max-time 60 --output "$SCRATCH/together/{}" \
        --dump-header "$SCRATCH/together/{}.head" --json "{$SAME, \"prompt\": \"$2\"}" "$GENERATIONS"
}

count_in() {
    cat "$SCRATCH"/together/*.head | tr -d '\r' | grep -cx "$1"
}

test_fifty_at_once_share_one_call() {
    start_cache
    ask_together 50 'fox [fake:late=700]'
    assert_eq 1 "$(billed)"
    assert_eq 50 "$(count_in 'HTTP/1.1 200 OK')"
    assert_eq 1 "$(count_in 'x-atelier-cache: miss')"
    assert_eq 49 "$(count_in 'x-atelier-cache: shared')"
    assert_eq 1 "$(grep --no-filename --only-matching '"b64_json":"[^"]*"' "$SCRATCH"/together/*[0-9] | sort -u | wc -l)"
    atelierctl ledger verify
}

test_a_refusal_is_shared_too() {
    start_cache
    ask_together 5 'fox [fake:late=500 status=moderation_blocked]'
    assert_eq 5 "$(count_in 'HTTP/1.1 400 Bad Request')"
    assert_eq 1 "$(billed)"
}

# Followers are on the disk, with their leader.
test_followers_survive_the_worker() {
    start_cache
    (for i in 1 2 3 4; do
        request --json "{$SAME, \"prompt\": \"fox [fake:hold]\"}" --header 'Prefer: respond-async' "$GENERATIONS"
        [[ $STATUS == 202 ]]
    done)
    fake '/_bill?requests=1&timeout=5000' >/dev/null
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    fake --request POST /_release >/dev/null
    wait_until 10 nothing_waits
    request "$ATELIER/v1/jobs"
    assert_eq provider_outcome_unknown "$(answer '[...new Set(body.data.map(job => job.error.code))].join()')"
    assert_eq 'shared,shared,shared,miss' "$(answer 'body.data.map(job => job.cache).join()')"
    assert_eq 1 "$(billed)"
}

nothing_waits() {
    request "$ATELIER/v1/jobs"
    [[ $(answer 'body.data.every(job => job.completed_at)') == true ]]
}

# pause_with COUNT: dispatching stands still, and as many wait for the same picture; their ids are in IDS.
pause_with() {
    atelierctl queue pause
    for ((i = 0; i < $1; i++)); do
        request --json "{$SAME, \"prompt\": \"fox\"}" --header 'Prefer: respond-async' "$GENERATIONS"
        IDS+=("$(answer body.id)")
    done
}

test_a_cancelled_leader_is_followed_by_another() {
    local IDS=()
    start_cache
    pause_with 3
    request --request DELETE "$ATELIER/v1/jobs/${IDS[0]}"
    assert_eq 'cancelled' "$(answer body.status)"
    atelierctl queue resume
    wait_until 10 nothing_waits
    request "$ATELIER/v1/jobs"
    assert_eq 'completed,completed,cancelled' "$(answer 'body.data.map(job => job.status).join()')"
    assert_eq 'shared,miss,miss' "$(answer 'body.data.map(job => job.cache).join()')"
    assert_eq 1 "$(billed)"
    atelierctl ledger verify
}

test_a_deleted_picture_answers_nobody() {
    local id
    start_cache
    paint fox
    request "$ATELIER/v1/jobs"
    id=$(answer 'body.data[0].id')
    request --request DELETE "$ATELIER/v1/jobs/$id"
    paint fox
    assert_eq miss "$CACHE"
}

# A file that is gone is made again.
test_a_lost_picture_is_a_miss() {
    start_cache
    paint fox
    find /var/lib/atelier/current/images -name '*.png' -delete
    paint fox
    assert_eq 'miss 200' "$CACHE $STATUS"
    paint fox
    assert_eq 'hit 200' "$CACHE $STATUS"
}

test_a_stream_says_it_too() {
    local fox="{$SAME, \"prompt\": \"fox\", \"stream\": true}"
    start_cache
    request --json "$fox" "$GENERATIONS"
    assert_eq miss "$(header x-atelier-cache)"
    request --json "$fox" "$GENERATIONS"
    assert_eq hit "$(header x-atelier-cache)"
    grep -q '^event: image_generation.completed' "$SCRATCH/body"
    assert_eq 1 "$(billed)"
}

test_operator_sees_and_clears_it() {
    start_cache
    paint fox
    assert_match 'again for 1h' "$(atelierctl cache show)"
    assert_match '1 request could be answered' "$(atelierctl cache show)"
    assert_match '"entries":1' "$(atelierctl cache show --json | tr -d ' ')"
    assert_match '^1 request' "$(atelierctl cache clear)"
    paint fox
    assert_eq miss "$CACHE"
}

test_quote_knows_of_it() {
    start_cache
    request --json "{$SAME, \"prompt\": \"fox\"}" "$ATELIER/v1/images/quote"
    assert_eq false "$(answer body.cached)"
    ((  $(answer body.cost_micros) > 0 ))
    paint fox
    request --json "{$SAME, \"prompt\": \"fox\"}" "$ATELIER/v1/images/quote"
    assert_eq 'true 0' "$(answer 'body.cached + " " + body.cost_micros')"
}

# With keys for each of its own the one knows nothing of the other.
test_a_picture_can_be_for_its_own_key() {
    local one two
    start_cache 'cache_per_key = true;'
    one=$(atelierctl keys create one)
    two=$(atelierctl keys create two)
    paint fox --header "Authorization: Bearer $one"
    paint fox --header "Authorization: Bearer $two"
    assert_eq miss "$CACHE"
    paint fox --header "Authorization: Bearer $one"
    assert_eq hit "$CACHE"
}
