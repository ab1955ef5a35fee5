# shellcheck shell=bash
# What a client is told of a job that waits: its place, how long it will take, when it is tried again.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

# submit PROMPT: sets JOB.
submit() {
    request --header 'Prefer: respond-async' --json "{\"model\": \"$MODEL\", \"prompt\": \"$1\", \"size\": \"$SIZE\"}" \
        "$ATELIER/v1/images/generations"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    JOB=$(answer body.id)
}

show() {
    request "$ATELIER/v1/jobs/$1"
    assert_eq 200 "$STATUS"
}

MODEL=sandbox SIZE=64x64

test_place_and_time_of_a_waiting_job() {
    local first second
    configure 'providers = ( { name = "sandbox"; concurrency = 1; delay = "200ms"; } );'
    draw measured
    atelierctl queue pause
    submit one && first=$JOB
    submit two && second=$JOB
    show "$first"
    assert_eq '1 null' "$(answer '`${body.position} ${body.eta}`')" # while it is paused nobody knows
    show "$second"
    assert_eq '2 null null null' \
        "$(answer '`${body.position} ${body.position_above} ${body.retry_at} ${body.retry_delay}`')"
    grep -Eq '^ +position +2$' <(atelierctl jobs show "$second")
    curl --silent --max-time 1 "$ATELIER/v1/jobs/$second/events" >"$SCRATCH/events" || (($? == 28))
    sed -n 's/^data: //p' "$SCRATCH/events" >"$SCRATCH/body"
    assert_eq 2 "$(answer body.position)"
    atelierctl queue resume
    wait_until 5 told "$second" completed
}

test_time_is_by_the_last_attempts() {
    configure 'providers = ( { name = "sandbox"; concurrency = 1; delay = "700ms"; } );'
    submit unmeasured
    submit behind
    show "$JOB"
    assert_eq null "$(answer body.eta)"
    wait_until 5 told "$JOB" completed
    submit one
    submit two
    show "$JOB"
    assert_eq true "$(answer 'body.eta >= 1 && body.eta <= 3')" "$(cat "$SCRATCH/body")"
    wait_until 5 told "$JOB" completed
    assert_eq false "$(answer '"position" in body || "eta" in body')"
}

told() {
    show "$1"
    [[ $(answer body.status) == "$2" ]]
}

test_pause_before_the_next_attempt() {
    start_provider
    MODEL=gpt-image-2 SIZE=1024x640
    submit 'a tree [fake:status=503 retry_after=30 times=1]'
    wait_until 5 is_tried_again "$JOB"
    assert_eq true "$(answer 'body.retry_at > Date.now() / 1000 + 20')" "$(cat "$SCRATCH/body")"
    assert_eq 'true null' "$(answer '`${body.retry_delay >= 29 && body.retry_delay <= 45} ${body.position}`')" \
        "$(cat "$SCRATCH/body")"
    assert_match 503 "$(answer body.retry_cause)"
}

is_tried_again() {
    show "$1"
    [[ $(answer body.status) == queued && $(answer body.retry_at) != null ]]
}
