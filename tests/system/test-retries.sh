# shellcheck shell=bash
# A provider that refuses, limits and goes away, seen from a client and from the operator.
source "$CHECKOUT/tests/system/rig/requests.sh"

FAKE_PORT=18100
FAST='retry_min = "50ms"; retry_max = "100ms";'

fake() {
    curl --fail --silent --show-error "${@:1:$#-1}" "http://127.0.0.1:$FAKE_PORT${!#}"
}

start_fake() {
    node "$CHECKOUT/tests/fakes/openai.mjs" --port $FAKE_PORT --keys sk-test >"$SCRATCH/fake" &
    FAKE=$!
    wait_until 10 grep -qx $FAKE_PORT "$SCRATCH/fake"
}

stop_fake() {
    kill "$FAKE"
    wait "$FAKE" || (($? == 143))
}

# use_fake WORKER [PROVIDER]: settings of either.
use_fake() {
    install -m 0600 <(echo sk-test) /etc/credstore/openai-api-key
    configure "trust_loopback = true; worker = { $1 };
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$FAKE_PORT/v1\"; ${2:-} } );"
}

# generate PROMPT [CURL-OPTION...]
generate() {
    request --json "{\"model\": \"gpt-image-2\", \"prompt\": \"$1\", \"size\": \"1024x640\"}" "${@:2}" \
        "$ATELIER/v1/images/generations"
}

# submit PROMPT: sets JOB.
submit() {
    generate "$1" --header 'Prefer: respond-async'
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    JOB=$(answer body.id)
}

# job EXPRESSION: of `job`, as the worker has it.
job() {
    atelierctl --json jobs show "$JOB" >"$SCRATCH/job"
    node --print "const job = JSON.parse(require('fs').readFileSync('$SCRATCH/job')); $1"
}

job_is() {
    [[ $(job job.status) == "$1" ]]
}

has_attempts() {
    [[ $(job job.attempts.length) == "$1" ]]
}

# Images that the fake has charged for.
charged() {
    fake /_bill >"$SCRATCH/body"
    answer body.images
}

test_client_that_waits_gets_its_image_in_spite_of_rate_limits() {
    start_fake
    use_fake "$FAST"
    generate 'a tree [fake:status=429 times=2]'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 1 "$(charged)"
    request "$ATELIER/v1/jobs"
    JOB=$(answer 'body.data[0].id')
    assert_eq 'refused refused completed' "$(job 'job.attempts.map((a) => a.outcome).join(" ")')"
    assert_eq 'true true false' "$(job 'job.attempts.map((a) => a.retry_delay_usec > 0).join(" ")')"
    assert_match 'again +after 0\.[01] s' "$(atelierctl jobs show "$JOB")"
    assert_match 'rate_limit_exceeded' "$(atelierctl jobs show "$JOB")"
}

test_last_answer_is_the_clients() {
    start_fake
    use_fake "$FAST"
    generate 'a tree [fake:status=429]'
    assert_error 429 rate_limit_exceeded
    generate 'a tree [fake:status=moderation_blocked]'
    assert_error 400 moderation_blocked
    assert_eq 0 "$(charged)"
}

test_refused_key_is_told_to_the_operator_and_the_next_one_pays() {
    start_fake
    use_fake "$FAST" 'keys = [ "credential:openai-api-key-2", "credential:openai-api-key" ];'
    install -m 0600 <(echo sk-wrong) /etc/credstore/openai-api-key-2
    generate 'a tree'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_match 'provider.openai: ready, key 1 of 2 refused' "$(atelierctl status worker)"
    request "$ATELIER/v1/jobs"
    JOB=$(answer 'body.data[0].id')
    assert_match 'key 1 of 2: HTTP 401' "$(atelierctl jobs show "$JOB")"
    wait_until 10 grep -q ProviderKeyRefused <(atelierctl alerts list)

    # The quota of the other one is used up: nobody is told that his own key is wrong, or his own budget spent.
    generate 'a tree [fake:status=insufficient_quota]'
    assert_error 503 provider_key_refused
    assert_match 'provider.openai: no good key, key 1 of 2 refused, key 2 of 2 out of quota' "$(atelierctl status worker)"
    request "$ATELIER/health"
    assert_match 'key 1 of 2 refused, key 2 of 2 out of quota' "$(cat "$SCRATCH/body")"
    assert_eq 1 "$(charged)"

    # A reload tries them all again.
    install -m 0600 <(echo sk-test) /etc/credstore/openai-api-key-2
    systemctl restart atelier-worker
    generate 'another tree'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

test_fallback_makes_what_the_model_does_not() {
    start_fake
    use_fake "$FAST attempts_max = 2; breaker_failures = 2;"
    sed -i 's/^ *providers = (/models = ( { name = "gpt-image-2"; fallback = [ "sandbox" ]; } );\n&/' \
        /etc/atelier/atelier.conf.d/50-test.conf
    generate 'a tree [fake:status=500]'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    request "$ATELIER/v1/jobs"
    assert_eq 'gpt-image-2 sandbox' "$(answer '[body.data[0].model, body.data[0].attempts[2].model].join(" ")')"
    assert_eq 0 "$(answer 'body.data[0].cost.charged_micros')"

    # Its circuit is open now: the next job does not wait for it.
    generate 'a second tree'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    request "$ATELIER/v1/jobs"
    JOB=$(answer 'body.data[0].id')
    assert_match 'by model +sandbox, as gpt-image-2: the circuit is open' "$(atelierctl jobs show "$JOB")"
    assert_eq 0 "$(charged)"
}

test_provider_that_is_away_fails_a_job_unsent() {
    use_fake "$FAST attempts_max = 2;"
    generate 'a tree'
    assert_error 502 provider_unavailable
    request "$ATELIER/v1/jobs"
    JOB=$(answer 'body.data[0].id')
    assert_eq 'unsent unsent' "$(job 'job.attempts.map((a) => a.outcome).join(" ")')"
}

test_retry_keeps_its_time_through_a_kill_and_the_daemon_does_not_leave_before_it() {
    start_fake
    use_fake 'idle_timeout = "200ms";'
    submit 'a tree [fake:status=503 retry_after=3 times=1]'
    wait_until 5 has_attempts 1
    local due
    due=$(job job.retry_at)
    assert_match '^[0-9]+$' "$due"
    systemctl kill --kill-whom=main --signal=SIGKILL atelier-worker
    wait_until 10 unit_is atelier-worker active
    assert_eq "$due" "$(job job.retry_at)"

    # Nobody asks it meanwhile: the time alone keeps it, and wakes it.
    sleep 1
    unit_is atelier-worker active || fail 'it has left before the retry'
    wait_until 15 job_is completed
    assert_eq 2 "$(job job.attempts.length)"
    assert_eq true "$(job "job.attempts[1].started_at >= $due")"
    wait_until 10 unit_is atelier-worker inactive
}

circuit_is() {
    [[ $(curl --fail --silent "$ATELIER/metrics" | grep '^genai_circuit_breaker_state{.*gpt-image-2"}') == *" $1" ]]
}

test_outage_is_waited_out() {
    use_fake "$FAST attempts_max = 1; breaker_failures = 3; breaker_cooldown = \"2s\";"
    local number
    for number in 1 2 3; do
        generate "$number"
        assert_error 502 provider_unavailable
    done
    wait_until 5 circuit_is 2
    assert_match 'circuit.openai.gpt-image-2: open' "$(atelierctl status worker)"
    assert_match '1 circuit not closed' "$(atelierctl status worker)"
    assert_match 'the circuit of gpt-image-2 at openai is open: 3 attempts' "$(journal --unit=atelier-worker --output=cat)"

    # What comes now waits, other models go on, and when the provider is back all are made.
    submit 'after the outage'
    draw 'meanwhile'
    assert_eq queued "$(job job.status)"
    start_fake
    wait_until 15 job_is completed
    assert_eq 1 "$(job job.attempts.length)"
    wait_until 5 circuit_is 0
    assert_match 'is closed again' "$(journal --unit=atelier-worker --output=cat)"
    assert_fails grep -q circuit <(atelierctl status worker)
}

# Four images where three a minute are allowed: the fourth is not made, and does not fail.
test_images_per_minute_delay_a_job() {
    start_fake
    use_fake "$FAST" 'images_per_minute = 3;'
    local number
    for number in 1 2 3; do
        generate "$number"
        assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    done
    submit 'one too many'
    draw 'meanwhile'
    assert_eq queued "$(job job.status)"
    assert_eq 0 "$(job job.attempts.length)"
    assert_eq 3 "$(charged)"
}
