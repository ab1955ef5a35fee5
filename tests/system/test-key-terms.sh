# shellcheck shell=bash
# What a key may do: for how long, for which models, from where; and that it gets a new secret without one failed request.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

PICTURE='{"model": "sandbox", "prompt": "x", "size": "64x64"}'
TWO_MODELS='models = ( { name = "sandbox"; }, { name = "other"; provider = "sandbox"; sizes = [ "64x64" ]; } );'

# make_key [OPTION...]: sets KEY and KEY_ID.
make_key() {
    KEY=$(atelierctl keys create client "$@")
    KEY_ID=${KEY:4:16}
}

bearer() {
    echo "Authorization: Bearer $1"
}

# ask KEY [CURL-OPTION...]: for a picture.
ask() {
    request --header "$(bearer "$1")" --json "$PICTURE" "${@:2}" "$ATELIER/v1/images/generations"
}

# key EXPRESSION: of the newest key, as it is listed.
key() {
    ctl --json keys list
    json "it.at(-1).$1"
}

is_refused() {
    ask "$KEY"
    [[ $STATUS == 401 ]]
}

test_a_key_is_refused_once_it_has_expired() {
    make_key --expires-in=2s
    ask "$KEY"
    assert_eq 200 "$STATUS"
    wait_until 5 is_refused
    assert_error 401 invalid_api_key
    ctl keys list
    assert_said 0 "$KEY_ID +client +expired"
    assert_match 'the newest for a key that is expired' "$(journal --unit=atelier-worker --output=cat)"
}

test_a_key_is_good_for_its_models_alone() {
    configure "$TWO_MODELS"
    make_key --model=other
    ask "$KEY"
    assert_error 403 model_not_found
    assert_eq model "$(answer body.error.param)"
    for path in quote generations; do
        request --header "$(bearer "$KEY")" --json "${PICTURE/sandbox/other}" "$ATELIER/v1/images/$path"
        assert_eq 200 "$STATUS" "$path: $(cat "$SCRATCH/body")"
        request --header "$(bearer "$KEY")" --json "$PICTURE" "$ATELIER/v1/images/$path"
        assert_error 403 model_not_found
    done
    request --header "$(bearer "$KEY")" --json '{"model": "sandbox", "size": "64x64", "prompts": ["x"]}' "$ATELIER/v1/batches"
    assert_error 403 model_not_found
    assert_eq requests.1.model "$(answer body.error.param)"
    request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
    assert_eq other "$(answer 'body.data.map(m => m.id).join()')"
    ctl keys create x --model=nothing
    assert_eq 1 "$STATUS"
    assert_match models "$(err)"
}

test_a_model_may_be_named_by_its_alias_or_its_own_name() {
    configure 'models = ( { name = "sandbox"; }, { name = "old"; alias_of = "sandbox"; sizes = [ "64x64" ]; } );'
    make_key --model=sandbox
    request --header "$(bearer "$KEY")" --json "${PICTURE/sandbox/old}" "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    make_key --model=old
    request --header "$(bearer "$KEY")" --json "${PICTURE/sandbox/old}" "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    ask "$KEY"
    assert_error 403 model_not_found
}

# from SOURCE: what a client there gets.
from() {
    curl --silent --max-time 20 --output "$SCRATCH/body" --write-out '%{http_code}' --header "$(bearer "$KEY")" "$@" \
        http://localhost:8080/v1/models
}

test_a_key_is_good_from_its_networks_alone() {
    make_key --network=127.0.0.2 --network=127.1.0.0/16
    assert_eq 200 "$(from -4 --interface 127.0.0.2)"
    assert_eq 200 "$(from -4 --interface 127.1.2.3)"
    assert_eq 401 "$(from -4 --interface 127.0.0.3)"
    assert_eq ip_not_authorized "$(answer body.error.code)"
    assert_eq 401 "$(from -6)"
    assert_eq 401 "$(from --unix-socket /run/atelier/api.sock)"
    make_key --network=unix --network=::1
    assert_eq 200 "$(from --unix-socket /run/atelier/api.sock)"
    assert_eq 200 "$(from -6)"
    assert_eq 401 "$(from -4 --interface 127.0.0.2)"
    ctl keys create x --network=127.0.0.1/8
    assert_eq 1 "$STATUS"
    assert_match networks "$(err)"
}

# Who does not know the secret does not learn that the address was wrong.
test_the_address_says_nothing_of_the_secret() {
    make_key --network=192.0.2.1
    assert_eq 401 "$(from -4)"
    assert_eq ip_not_authorized "$(answer body.error.code)"
    KEY=atl_$KEY_ID$(printf '_%040d' 7)
    KEY=$KEY$(printf %s "$KEY" | sha256sum | head --bytes=8)
    assert_eq 401 "$(from -4)"
    assert_eq invalid_api_key "$(answer body.error.code)"
}

test_a_new_secret_and_a_while_the_former_one() {
    local former first
    make_key --owner='the shop'
    former=$KEY
    ask "$KEY" --header 'Prefer: respond-async'
    first=$(answer body.id)
    KEY=$(atelierctl keys rotate "$KEY_ID" --grace=3s)
    assert_eq "$KEY_ID" "${KEY:4:16}"
    [[ $KEY != "$former" ]]
    ask "$KEY"
    assert_eq 200 "$STATUS"
    ask "$former"
    assert_eq 200 "$STATUS"
    ctl keys list
    assert_said 0 "$KEY_ID +client +rotating"
    assert_eq 'the shop' "$(key owner)"
    former_is_refused() { ask "$former" && [[ $STATUS == 401 ]]; }
    wait_until 6 former_is_refused
    ask "$KEY"
    assert_eq 200 "$STATUS"
    # Both see the same jobs: it is the same key.
    request --header "$(bearer "$KEY")" "$ATELIER/v1/jobs/$first"
    assert_eq 200 "$STATUS"

    former=$KEY
    KEY=$(atelierctl keys rotate "$KEY_ID" --grace=0)
    ask "$former"
    assert_error 401 invalid_api_key
    ask "$KEY"
    assert_eq 200 "$STATUS"
    atelierctl keys revoke "$KEY_ID"
    ctl keys rotate "$KEY_ID"
    assert_eq 1 "$STATUS"
}

test_no_request_fails_while_a_key_is_rotated() {
    local i former statuses=$SCRATCH/statuses
    make_key
    former=$KEY
    for i in 1 2 3 4; do
        for ((n = 0; n < 40; n++)); do
            curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}\n' --header "$(bearer "$former")" \
                --json "$PICTURE" "$ATELIER/v1/images/generations"
        done >"$statuses.$i" &
    done
    wait_until 5 test -s "$statuses.1"
    KEY=$(atelierctl keys rotate "$KEY_ID" --grace=1h)
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    ask "$KEY"
    assert_eq 200 "$STATUS"
    wait
    assert_eq '160 200' "$(sort "$statuses".* | uniq -c | xargs)"
    # The one before the former one goes at once.
    atelierctl keys rotate "$KEY_ID" >/dev/null
    ask "$former"
    assert_error 401 invalid_api_key
    ask "$KEY"
    assert_eq 200 "$STATUS"
}

test_a_restore_brings_no_former_secret_back() {
    local former
    make_key
    former=$KEY
    atelierctl task run backup
    KEY=$(atelierctl keys rotate "$KEY_ID" --grace=0)
    ctl backup restore --yes
    assert_eq 0 "$STATUS" "$(err)"
    ask "$former"
    assert_error 401 invalid_api_key
    ask "$KEY"
    assert_eq 200 "$STATUS"
}

test_a_list_says_when_a_key_was_used() {
    local before
    make_key
    assert_eq undefined "$(key used_at)"
    request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
    assert_eq undefined "$(key used_at)"
    before=$(date +%s)
    ask "$KEY"
    (($(key used_at) / 1000000 >= before)) || fail 'not used'
}

test_terms_that_are_none_are_refused() {
    local option
    for option in --expires-in=soon --expires-in=0 --expires-in=200y --requests-per-minute=0 --requests-per-minute=1000001 \
        --images-per-minute=-1 --daily-budget=much; do
        ctl keys create x "$option"
        assert_eq 2 "$STATUS" "$option"
    done
    for option in --network=nowhere --model=nothing --owner= "--owner=$(printf 'x%.0s' {1..101})"; do
        ctl keys create x "$option"
        assert_eq 1 "$STATUS" "$option"
    done
    make_key "--owner=$(printf 'x%.0s' {1..100})" --requests-per-minute=1000000
    ctl keys rotate "$KEY_ID" --grace=31d
    assert_eq 2 "$STATUS"
    ctl keys rotate 0123456789abcdef
    assert_eq 1 "$STATUS"
    assert_match 'there is no key 0123456789abcdef' "$(err)"
}
