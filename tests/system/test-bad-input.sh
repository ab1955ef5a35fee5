# shellcheck shell=bash
# Whatever a client sends, it is told what was wrong, in OpenAI's form, and nothing is made of it.
source "$CHECKOUT/tests/system/rig/requests.sh"

CLIENTS=$CHECKOUT/tests/system/clients
BODY_BYTES_MAX=$((1024 * 1024))

assert_no_job() {
    request "$ATELIER/v1/jobs"
    assert_eq 0 "$(answer body.data.length)"
}

test_bodies_that_are_not_json() {
    node "$CLIENTS/bad-input.mjs" bodies
    assert_no_job
}

test_fields_that_are_wrong() {
    node "$CLIENTS/bad-input.mjs" fields
    assert_no_job
}

test_requests_that_are_wrong() {
    node "$CLIENTS/bad-input.mjs" requests
    assert_no_job
}

# post FILE [CURL-OPTION...]
post() {
    request --header 'Content-Type: application/json' --header 'Expect:' --data-binary "@$1" "${@:2}" \
        "$ATELIER/v1/images/generations"
}

# body_of SIZE: a good request, made so many bytes long by blanks.
body_of() {
    local text='{"prompt": "x", "size": "64x64"}'
    printf '%s%*s' "$text" $(($1 - ${#text})) '' >"$SCRATCH/request"
}

test_prompt_of_the_greatest_length_is_taken() {
    node --print 'JSON.stringify({ prompt: "é".repeat(32000), size: "64x64" })' >"$SCRATCH/request"
    post "$SCRATCH/request"
    assert_eq 200 "$STATUS"
}

test_greatest_count_of_images_is_taken() {
    request --json '{"prompt": "x", "size": "64x64", "n": 10}' "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS"
    assert_eq 10 "$(answer body.data.length)"
}

test_body_of_the_greatest_size_is_taken() {
    body_of $BODY_BYTES_MAX
    post "$SCRATCH/request"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

test_body_announced_too_large_is_refused_unread() {
    node "$CLIENTS/bodies.mjs" announced $((BODY_BYTES_MAX + 1))
    assert_no_job
}

test_chunked_body_of_the_greatest_size_is_taken() {
    node "$CLIENTS/bodies.mjs" chunked $BODY_BYTES_MAX 200
}

test_chunked_body_too_large_is_drained_and_refused() {
    node "$CLIENTS/bodies.mjs" chunked $((BODY_BYTES_MAX + 1)) 413
    node "$CLIENTS/bodies.mjs" chunked $((2 * BODY_BYTES_MAX - 65536)) 413
    assert_no_job
}

test_chunked_body_past_the_drain_is_cut_off() {
    node "$CLIENTS/bodies.mjs" chunked $((64 * BODY_BYTES_MAX)) cut
    assert_no_job
}

test_refused_request_leaves_its_connection_usable() {
    local codes
    codes=$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code} %{num_connects}\n' \
        --json '{"prompt": ""}' "$ATELIER/v1/images/generations" --next \
        --silent --max-time 10 --output /dev/null --write-out '%{http_code} %{num_connects}\n' "$ATELIER/health/live")
    assert_eq $'400 1\n200 0' "$codes"
}

test_expectation_is_refused_before_the_body() {
    body_of $((BODY_BYTES_MAX + 1))
    request --header 'Content-Type: application/json' --header 'Expect: 100-continue' \
        --data-binary "@$SCRATCH/request" --write-out '%{http_code} %{size_upload}' "$ATELIER/v1/images/generations"
    assert_eq '413 0' "$STATUS"
}
