# shellcheck shell=bash
# Images and jobs as streams of events: order and content, readers that are slow or leave, daemons that are killed.
deadline=120
source "$CHECKOUT/tests/system/rig/requests.sh"

FAKE_PORT=18010
THREE_PARTIALS_THEN_IMAGE='partial_image partial_image partial_image completed'

# stream MEMBERS FILE: asks for a stream with three partial images and writes what comes.
stream() {
    curl --silent --no-buffer --max-time 60 --output "$2" \
        --json "{\"prompt\": \"a fox\", \"stream\": true, \"partial_images\": 3, $1}" "$ATELIER/v1/images/generations"
}

slow_sandbox() {
    configure "providers = ( { name = \"sandbox\"; delay = \"$1\"; } );"
}

start_fake() {
    node "$CHECKOUT/tests/fakes/openai.mjs" --port $FAKE_PORT --keys sk-test >"$SCRATCH/fake" &
    wait_until 10 test -s "$SCRATCH/fake"
    install -d -m 0700 /etc/credstore
    (umask 077 && printf %s sk-test >/etc/credstore/openai-api-key)
    configure "trust_loopback = true;
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$FAKE_PORT/v1\"; } );"
}

has_events() {
    [[ -e $1 && $(grep -c "^event: $2" "$1") -ge $3 ]]
}

only_job_is() {
    request "$ATELIER/v1/jobs"
    assert_eq 1 "$(answer body.data.length)"
    [[ $(answer 'body.data[0].status') == "$1" ]]
}

kill_daemon() {
    systemctl kill --signal=KILL --kill-whom=main "atelier-$1"
}

test_partial_images_then_the_image() {
    stream '"model": "sandbox", "size": "256x128"' "$SCRATCH/events"
    assert_eq "$THREE_PARTIALS_THEN_IMAGE" \
        "$(node "$CHECKOUT/tests/system/clients/check-events.mjs" "$SCRATCH/events" 256x128)"

    # It is the picture that an unstreamed request gets.
    request --json '{"model": "sandbox", "prompt": "a fox", "size": "256x128", "response_format": "b64_json"}' \
        "$ATELIER/v1/images/generations"
    grep --quiet --fixed-strings "$(answer 'body.data[0].b64_json')" <(tail -n 2 "$SCRATCH/events")
}

test_headers_of_a_stream() {
    request --json '{"model": "sandbox", "prompt": "a fox", "size": "64x64", "stream": true}' \
        "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS"
    assert_match '^text/event-stream' "$(header content-type)"
    assert_eq no-cache "$(header cache-control)"
    assert_match '^[0-9a-f]{32}$' "$(header x-request-id)"
    assert_eq 'event: image_generation.completed' "$(grep '^event:' "$SCRATCH/body")"
}

test_what_is_refused_before_a_stream_has_its_status() {
    request --json '{"model": "sandbox", "prompt": "a fox", "size": "1x1", "stream": true}' \
        "$ATELIER/v1/images/generations"
    assert_error 400 invalid_value
}

test_events_of_a_job() {
    local job
    slow_sandbox 2s
    request --header 'Prefer: respond-async' --json \
        '{"model": "sandbox", "prompt": "a fox", "size": "64x64", "stream": true, "partial_images": 3}' \
        "$ATELIER/v1/images/generations"
    assert_eq 202 "$STATUS"
    job=$(answer body.id)
    request --no-buffer "$ATELIER/v1/jobs/$job/events"
    assert_eq 200 "$STATUS"
    assert_match 'job.in_progress job.partial_image job.partial_image job.partial_image job.completed $' \
        "$(sed -n 's/^event: //p' "$SCRATCH/body" | tr '\n' ' ')"
    assert_eq "$(seq "$(grep -c '^event:' "$SCRATCH/body")")" "$(sed -n 's/^id: //p' "$SCRATCH/body")"
    sed -n 's/^data: //p' "$SCRATCH/body" | tail -n 1 >"$SCRATCH/last"
    mv "$SCRATCH/last" "$SCRATCH/body"
    assert_eq "$job completed true" "$(answer '`${body.id} ${body.status} ${!!body.result.data[0].url}`')"

    # Once it has ended there is one event left to tell.
    request "$ATELIER/v1/jobs/$job/events"
    assert_eq 'event: job.completed' "$(grep '^event:' "$SCRATCH/body")"
    request "$ATELIER/v1/jobs/job_00000000000000000000000000000000/events"
    assert_error 404 job_not_found
}

# Their answers are larger than what the sockets between take.
test_slow_readers_hold_back_nobody() {
    local line
    mkfifo "$SCRATCH/go"
    node "$CHECKOUT/tests/system/clients/unread-streams.mjs" 8 2048x2048 <"$SCRATCH/go" >"$SCRATCH/read" &
    local reader=$!
    exec {go}>"$SCRATCH/go"
    wait_until 30 grep --quiet sent "$SCRATCH/read"
    for line in {1..20}; do draw "quick $line"; done
    stream '"model": "sandbox", "size": "64x64"' "$SCRATCH/events"
    assert_eq "$THREE_PARTIALS_THEN_IMAGE" \
        "$(node "$CHECKOUT/tests/system/clients/check-events.mjs" "$SCRATCH/events" 64x64)"

    echo go >&"$go"
    wait $reader
    assert_eq 8 "$(grep -c 'completed$' "$SCRATCH/read")"
}

test_a_client_that_leaves_does_not_stop_its_job() {
    slow_sandbox 4s
    stream '"model": "sandbox", "size": "64x64"' "$SCRATCH/events" &
    local client=$!
    wait_until 20 has_events "$SCRATCH/events" image_generation.partial_image 1
    kill $client
    wait_until 20 only_job_is completed
}

test_the_stream_of_a_killed_worker_goes_on() {
    slow_sandbox 4s
    stream '"model": "sandbox", "size": "64x64"' "$SCRATCH/events" &
    local client=$!
    wait_until 20 has_events "$SCRATCH/events" image_generation.partial_image 1
    kill_daemon worker
    wait $client
    assert_eq "$THREE_PARTIALS_THEN_IMAGE" \
        "$(node "$CHECKOUT/tests/system/clients/check-events.mjs" "$SCRATCH/events" 64x64)"
    only_job_is completed
    assert_eq 'unknown completed' "$(answer 'body.data[0].attempts.map(({ outcome }) => outcome).join(" ")')"
}

test_the_job_of_a_killed_api_goes_on() {
    slow_sandbox 4s
    stream '"model": "sandbox", "size": "64x64"' "$SCRATCH/events" &
    local client=$!
    wait_until 20 has_events "$SCRATCH/events" image_generation.partial_image 1
    kill_daemon api
    assert_fails wait $client
    wait_until 20 only_job_is completed
}

test_a_paid_stream_through_the_gateway() {
    start_fake
    stream '"model": "gpt-image-2", "size": "1024x1024"' "$SCRATCH/events"
    assert_eq "$THREE_PARTIALS_THEN_IMAGE" \
        "$(node "$CHECKOUT/tests/system/clients/check-events.mjs" "$SCRATCH/events" 1024x1024)"
    request "http://127.0.0.1:$FAKE_PORT/_violations"
    assert_eq '[]' "$(answer 'JSON.stringify(body.violations)')"
}

test_an_error_in_a_stream_is_an_event() {
    start_fake
    request --json '{"model": "gpt-image-2", "prompt": "a hen [fake:stream=error]", "stream": true,
        "partial_images": 1, "size": "1024x1024"}' "$ATELIER/v1/images/generations"
    assert_eq 'image_generation.partial_image error ' "$(sed -n 's/^event: //p' "$SCRATCH/body" | tr '\n' ' ')"
    sed -n 's/^data: //p' "$SCRATCH/body" | tail -n 1 >"$SCRATCH/last"
    mv "$SCRATCH/last" "$SCRATCH/body"
    assert_eq 'error server_error' "$(answer '`${body.type} ${body.error.type}`')"
}

# What was sent may have been charged: it is not sent again, and the client is told.
test_a_paid_stream_of_a_killed_worker_is_of_unknown_outcome() {
    start_fake
    curl --silent --no-buffer --max-time 60 --output "$SCRATCH/events" --json \
        '{"model": "gpt-image-2", "prompt": "a fox [fake:hold_image]", "stream": true, "partial_images": 2,
        "size": "1024x1024"}' "$ATELIER/v1/images/generations" &
    local client=$!
    wait_until 20 has_events "$SCRATCH/events" image_generation.partial_image 2
    kill_daemon worker
    wait $client
    assert_eq 'event: error' "$(grep '^event:' "$SCRATCH/events" | tail -n 1)"
    grep --quiet '"code":"provider_outcome_unknown"' "$SCRATCH/events"
    only_job_is failed
    assert_eq unknown "$(answer 'body.data[0].attempts[0].outcome')"
    request "http://127.0.0.1:$FAKE_PORT/_bill"
    assert_eq 1 "$(answer body.count)"
}
