# shellcheck shell=bash
# /metrics counts exactly, forgets nothing, and wakes nobody.
source "$CHECKOUT/tests/system/rig/requests.sh"

PROMTOOL=$CHECKOUT/build/peers/test/usr/bin/promtool

sample() {
    curl --fail --silent --max-time 10 "$ATELIER/metrics" >"$SCRATCH/metrics"
}

# series NAME: the lines of that series in the last sample, without what samples do themselves.
series() {
    grep "^$1[{ ]" "$SCRATCH/metrics" | grep -v 'endpoint="/metrics"' | sort || (($? == 1))
}

# The worker's numbers are read again within a second after its work.
series_is() {
    sample
    [[ $(series "$1") == "$2" ]]
}

worker_state() {
    systemctl show --value --property=ActiveState atelier-worker
}

# mixed_requests: 3 pictures, 2 refusals, 1 deleted job, 4 health checks, 1 unknown path, 1 wrong method, 1 wrong Host.
mixed_requests() {
    local number
    for number in 1 2 3; do
        draw "picture $number"
        request "$ATELIER/health/live"
    done
    request --head "$ATELIER/health/live"
    request --json '{"prompt": ""}' "$ATELIER/v1/images/generations"
    request --json '{"prompt": "x", "model": "none"}' "$ATELIER/v1/images/generations"
    request "$ATELIER/v1/jobs"
    request --request DELETE "$ATELIER/v1/jobs/$(answer 'body.data[0].id')"
    request "$ATELIER/v1/images/$(printf '%064d' 0).png"
    request "$ATELIER/v1/no/such/path"
    request --request PUT "$ATELIER/v1/models/sandbox"
    request --header 'Host: evil.example' "$ATELIER/health/live"
}

REQUESTS='genai_api_requests_total{endpoint="/health/live",status="200"} 4
genai_api_requests_total{endpoint="/v1/images/generations",status="200"} 3
genai_api_requests_total{endpoint="/v1/images/generations",status="400"} 1
genai_api_requests_total{endpoint="/v1/images/generations",status="404"} 1
genai_api_requests_total{endpoint="/v1/images/{name}",status="404"} 1
genai_api_requests_total{endpoint="/v1/jobs",status="200"} 1
genai_api_requests_total{endpoint="/v1/jobs/{id}",status="200"} 1
genai_api_requests_total{endpoint="/v1/models/{id}",status="405"} 1
genai_api_requests_total{endpoint="other",status="404"} 1
genai_api_requests_total{endpoint="other",status="421"} 1'

DURATIONS='genai_api_request_duration_seconds_count{endpoint="/health/live"} 4
genai_api_request_duration_seconds_count{endpoint="/v1/images/generations"} 5
genai_api_request_duration_seconds_count{endpoint="/v1/images/{name}"} 1
genai_api_request_duration_seconds_count{endpoint="/v1/jobs"} 1
genai_api_request_duration_seconds_count{endpoint="/v1/jobs/{id}"} 1
genai_api_request_duration_seconds_count{endpoint="/v1/models/{id}"} 1
genai_api_request_duration_seconds_count{endpoint="other"} 2'

JOBS='genai_jobs_total{status="completed"} 3'

assert_counted() {
    sample
    assert_eq "$REQUESTS" "$(series genai_api_requests_total)"
    assert_eq "$DURATIONS" "$(series genai_api_request_duration_seconds_count)"
    wait_until 5 series_is genai_jobs_total "$JOBS"
}

accepted_by_promtool() {
    "$PROMTOOL" check metrics <"$SCRATCH/metrics" >"$SCRATCH/remarks" 2>&1 || fail "$(<"$SCRATCH/remarks")"
    assert_eq '' "$(<"$SCRATCH/remarks")"
}

test_promtool_accepts_them_from_the_first_to_the_last() {
    configure ''
    sample
    accepted_by_promtool
    mixed_requests
    sample
    accepted_by_promtool
    systemctl --quiet stop atelier-worker.service
    sample
    accepted_by_promtool
}

test_are_served_as_prometheus_wants_them() {
    request "$ATELIER/metrics"
    assert_eq 200 "$STATUS"
    assert_eq 'text/plain; version=0.0.4; charset=utf-8' "$(header content-type)"
}

test_are_exact_after_mixed_requests() {
    configure ''
    mixed_requests
    assert_counted
}

test_buckets_of_durations_add_up() {
    configure ''
    mixed_requests
    sample
    assert_eq "$(series genai_api_request_duration_seconds_count | sed 's/.* //' | paste --serial --delimiters=' ')" \
        "$(grep 'duration_seconds_bucket.*le="+Inf"' "$SCRATCH/metrics" | grep -v '"/metrics"' | sort | sed 's/.* //' |
            paste --serial --delimiters=' ')"
    awk '/duration_seconds_bucket/ { split($1, part, "le="); if (part[1] == last && $2 < before) exit 1
        last = part[1]; before = $2 }' "$SCRATCH/metrics" || fail 'a bucket is smaller than the one before'
}

test_survive_a_kill() {
    configure ''
    mixed_requests
    wait_until 5 series_is genai_jobs_total "$JOBS"
    systemctl kill --kill-whom=main --signal=SIGKILL atelier-api atelier-worker
    wait_until 10 unit_is atelier-api active
    assert_counted
}

test_survive_an_idle_exit() {
    configure 'api = { idle_timeout = "1500ms"; }; worker = { idle_timeout = "1500ms"; };'
    mixed_requests
    wait_until 10 unit_is atelier-api inactive
    wait_until 10 unit_is atelier-worker inactive
    assert_counted
}

test_never_wake_a_worker_that_sleeps() {
    local number
    configure ''
    draw 'the only one'
    wait_until 5 series_is genai_jobs_total 'genai_jobs_total{status="completed"} 1'
    systemctl --quiet stop atelier-worker.service
    for ((number = 0; number < 20; number++)); do
        sample
        assert_eq 'genai_jobs_total{status="completed"} 1' "$(series genai_jobs_total)"
        assert_eq 'genai_active_generations 0' "$(series genai_active_generations)"
        assert_eq inactive "$(worker_state)"
    done
}

# Before it has ever run, too.
test_never_start_a_worker() {
    configure ''
    sample
    assert_eq 'genai_active_generations 0' "$(series genai_active_generations)"
    assert_eq inactive "$(worker_state)"
}

test_show_a_generation_while_it_is_active() {
    configure 'providers = ( { name = "sandbox"; delay = "2s"; } );'
    request --header 'Prefer: respond-async' --json '{"prompt": "slow", "size": "64x64"}' \
        "$ATELIER/v1/images/generations"
    wait_until 5 series_is genai_active_generations 'genai_active_generations 1'
    wait_until 10 series_is genai_active_generations 'genai_active_generations 0'
    assert_eq 'genai_attempts_total{provider="sandbox",outcome="completed"} 1' "$(series genai_attempts_total)"
}

# A client cannot make series: whatever it asks for is one of the routes, or "other".
test_are_bounded_whatever_is_asked() {
    local number before
    configure ''
    request "$ATELIER/v1/jobs/x"
    request "$ATELIER/x"
    sample
    before=$(grep -v '"/metrics"' "$SCRATCH/metrics" | grep -c .)
    for ((number = 0; number < 50; number++)); do
        request "$ATELIER/v1/jobs/$number"
        request "$ATELIER/unknown/$number"
    done
    sample
    assert_eq "$before" "$(grep -v '"/metrics"' "$SCRATCH/metrics" | grep -c .)" 'the number of lines'
}
