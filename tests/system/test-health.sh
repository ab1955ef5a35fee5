# shellcheck shell=bash
# /health tells what is broken, and only that; /health/live and /health/ready say no more than their names.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/sync-fault.sh"

FAKE_PORT=18100
IMAGES=/var/lib/atelier/current/images

health() {
    request "$ATELIER/health"
}

# assert_healthy NAME...: these checks and no others, all well.
assert_healthy() {
    health
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq healthy "$(answer body.status)"
    assert_eq "$*" "$(answer 'Object.keys(body.checks).join(" ")')"
    assert_eq ok "$(answer '[...new Set(Object.values(body.checks).map((check) => check.status))].join()')"
}

# assert_degraded NAME MESSAGE: this check alone has failed, for this reason.
assert_degraded() {
    health
    assert_eq 503 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq degraded "$(answer body.status)"
    assert_eq "$1" "$(answer 'Object.keys(body.checks).filter((name) => body.checks[name].status !== "ok").join(" ")')"
    assert_match "$2" "$(answer "body.checks['$1'].error")"
}

is_healthy() {
    health
    [[ $STATUS == 200 ]]
}

# start_fake KEY: a fake OpenAI that takes this key, and the worker configured to ask it with sk-test.
start_fake() {
    node "$CHECKOUT/tests/fakes/openai.mjs" --port $FAKE_PORT --keys "$1" >"$SCRATCH/fake" &
    FAKE=$!
    wait_until 10 grep -qx $FAKE_PORT "$SCRATCH/fake"
    install -m 0600 <(echo sk-test) /etc/credstore/openai-api-key
    configure "trust_loopback = true;
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$FAKE_PORT/v1\"; } );"
}

stop_fake() {
    kill "$FAKE"
    wait "$FAKE" || (($? == 143))
}

test_all_is_well() {
    local now
    configure ''
    assert_healthy sandbox cache storage
    now=$(date +%s)
    assert_eq true "$(answer "Math.abs(body.timestamp - $now) < 5")"
    assert_eq true "$(answer 'Object.values(body.checks).every((check) => check.latency_ms >= 0)')"
}

test_provider_that_answers_is_well() {
    start_fake sk-test
    assert_healthy sandbox openai cache storage
}

test_provider_that_does_not_answer_is_named() {
    start_fake sk-test
    stop_fake
    assert_degraded openai 'connect'
}

test_provider_that_refuses_the_key_is_named_and_the_key_is_not() {
    start_fake sk-other
    assert_degraded openai '401|key'
    assert_fails grep --quiet sk-test "$SCRATCH/body"
}

# The provider is asked at most once a minute: what it said stays, whoever asks how often.
test_provider_is_not_asked_at_every_request() {
    start_fake sk-test
    assert_healthy sandbox openai cache storage
    stop_fake
    assert_healthy sandbox openai cache storage
}

test_storage_without_room_is_named() {
    configure 'worker = { storage_free_min = "1T"; };'
    assert_degraded storage 'MiB are free, worker.storage_free_min is 1048576 MiB'
}

test_storage_that_can_not_be_written_is_named_and_heals() {
    configure ''
    assert_healthy sandbox cache storage
    chmod a-w $IMAGES/tmp
    assert_degraded storage "can't be written"
    chmod u+w $IMAGES/tmp
    assert_healthy sandbox cache storage
}

test_store_that_fails_is_named_and_heals() {
    install_sync_fault
    configure ''
    draw 'the first'
    assert_healthy sandbox cache storage
    touch $FAULT/fail
    request --json '{"prompt": "in doubt", "size": "64x64"}' "$ATELIER/v1/images/generations" &
    wait_until 10 eval 'grep -q "a commit failed" <(journal --unit=atelier-worker --output=cat)'
    assert_degraded cache 'job store'
    rm $FAULT/fail
    wait_until 20 is_healthy
    wait
}

test_worker_that_does_not_answer_is_named() {
    configure ''
    systemctl --quiet stop atelier-worker.socket atelier-worker.service
    assert_degraded worker '.'
    request "$ATELIER/health/ready"
    assert_error 503 worker_unavailable
    assert_eq 2 "$(header retry-after)"
    request "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
}

test_live_asks_nobody_and_ready_starts_the_worker() {
    configure ''
    request "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
    assert_eq ok "$(answer body.status)"
    assert_eq inactive "$(systemctl show --value --property=ActiveState atelier-worker)"
    request "$ATELIER/health/ready"
    assert_eq 200 "$STATUS"
    assert_eq active "$(systemctl show --value --property=ActiveState atelier-worker)"
}

test_probe_of_storage_leaves_nothing() {
    configure ''
    health
    health
    assert_eq '' "$(find $IMAGES -type f)"
}
