# shellcheck shell=bash
# Whoever shows keys that are refused is refused unasked after a while, and nobody else is.
source "$CHECKOUT/tests/system/rig/requests.sh"

LIMIT=6

guess() {
    request --header "Authorization: Bearer atl_$RANDOM$RANDOM" "$@" "$ATELIER/v1/models"
}

use_up() {
    local i
    for ((i = 0; i < LIMIT; i++)); do
        guess "$@"
        assert_error 401 invalid_api_key
    done
}

test_guesses_are_limited_by_address() {
    configure "require_key = \"always\"; api = { refused_keys_per_minute = $LIMIT; };"
    local key
    key=$(atelierctl keys create known 2>/dev/null)
    request --header "Authorization: Bearer $key" "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
    use_up
    guess
    assert_error 429 too_many_refused_keys
    local wait
    wait=$(header retry-after)
    ((wait >= 1 && wait <= 60 / LIMIT)) || fail "Retry-After: $wait"
    # The neighbour with a good key, other addresses, members, and what needs no key.
    request --header "Authorization: Bearer $key" "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
    guess --interface 127.0.0.2
    assert_error 401 invalid_api_key
    request --unix-socket /run/atelier/api.sock "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
    request "$ATELIER/health/ready"
    assert_eq 200 "$STATUS"
    # What was not asked did not reach the worker.
    assert_eq "$LIMIT" "$(atelierctl audit export >/dev/null
        systemctl --quiet stop atelier-worker
        atelierctl audit export | node --print "require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean).map(JSON.parse)
            .filter(r => r.outcome == 'invalid_api_key' && r.address == '127.0.0.1').reduce((n, r) => n + r.count, 0)")"
    sleep $((60 / LIMIT))
    guess
    assert_error 401 invalid_api_key
    guess
    assert_error 429 too_many_refused_keys
}

test_a_proxys_clients_are_limited_each_by_its_own_address() {
    configure "require_key = \"always\"; api = { refused_keys_per_minute = $LIMIT; trusted_proxies = [ \"127.0.0.1\" ]; };"
    local via=(--header 'X-Forwarded-Proto: https')
    use_up "${via[@]}" --header 'X-Forwarded-For: 198.51.100.7'
    guess "${via[@]}" --header 'X-Forwarded-For: 198.51.100.7'
    assert_error 429 too_many_refused_keys
    guess "${via[@]}" --header 'X-Forwarded-For: 198.51.100.8'
    assert_error 401 invalid_api_key
    use_up "${via[@]}" --header 'X-Forwarded-For: 2001:db8::1'
    guess "${via[@]}" --header 'X-Forwarded-For: 2001:db8::2'
    assert_error 429 too_many_refused_keys
}

test_zero_is_no_limit() {
    configure 'require_key = "always"; api = { refused_keys_per_minute = 0; };'
    local i
    for ((i = 0; i < 25; i++)); do
        guess
        assert_error 401 invalid_api_key
    done
}

# Whoever measures cannot tell a key that there was from one that there never was.
test_the_time_of_a_refusal_tells_nothing() {
    configure 'require_key = "always"; api = { refused_keys_per_minute = 0; };'
    local live revoked expired unknown wrong
    live=$(atelierctl keys create live 2>/dev/null)
    revoked=$(atelierctl keys create revoked 2>/dev/null)
    atelierctl keys revoke "$(cut -d_ -f2 <<<"$revoked")" >/dev/null
    expired=$(atelierctl keys create expired --expires-in=1s 2>/dev/null)
    unknown=atl_$(checked 00112233445566778899aabbccddeeff00112233445566778899aabb 0123456789abcdef)
    wrong=atl_$(checked 00112233445566778899aabbccddeeff00112233445566778899aabb "$(cut -d_ -f2 <<<"$live")")
    sleep 1.5
    node "$CHECKOUT/tests/system/clients/key-timing.mjs" 300 unknown="$unknown" wrong="$wrong" revoked="$revoked" \
        expired="$expired"
}

# checked SECRET ID: the rest of a well-formed token, its check included.
checked() {
    local token=$2_${1:0:40}
    echo "$token$(printf 'atl_%s' "$token" | sha256sum | cut -c1-8)"
}
