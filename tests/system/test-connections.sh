# shellcheck shell=bash
# Clients that are slow, many, or say too much cost little and keep nobody else from being served.
source "$CHECKOUT/tests/system/rig/requests.sh"

CLIENTS=$CHECKOUT/tests/system/clients

HEAD_BYTES_MAX=8192
IDLE_CONNECTIONS=10000
IDLE_RSS_KIB_MAX=$((100 * 1024))
ANSWER_AMONG_IDLE_SECONDS_MAX=1

# For the arithmetic of closing times.
TIMEOUT=2s

# status_of_head BYTES: the status that a request with so long a field gets.
status_of_field() {
    head --bytes="$1" /dev/zero | tr '\0' x >"$SCRATCH/field"
    curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' \
        --header "X-Long: $(<"$SCRATCH/field")" "$ATELIER/health/live"
}

test_head_that_fits_is_taken() {
    assert_eq 200 "$(status_of_field $((HEAD_BYTES_MAX / 2)))"
}

test_field_that_is_too_long_is_refused() {
    assert_eq 431 "$(status_of_field $((HEAD_BYTES_MAX + 1)))"
}

test_flood_of_fields_is_refused() {
    local i fields=()
    for ((i = 0; i < 2000; i++)); do
        fields+=(--header "X-$i: y")
    done
    assert_eq 431 "$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "${fields[@]}" \
        "$ATELIER/health/live")"
}

test_target_that_is_too_long_is_refused() {
    local target
    target=$(head --bytes=$((HEAD_BYTES_MAX + 1)) /dev/zero | tr '\0' x)
    request "$ATELIER/$target"
    assert_match '^(414|431)$' "$STATUS"
}

test_flood_that_never_ends_is_cut_off() {
    node "$CLIENTS/slow.mjs" flood
}

test_silent_connection_is_closed_at_the_timeout() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" silent 1500 4500
}

test_head_in_drips_is_closed_at_twice_the_timeout() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" head 3500 6500
}

test_body_in_drips_is_closed_at_twice_the_timeout() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" body 3500 6500
}

test_idle_connection_is_closed_at_the_timeout_after_an_answer() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" kept 1500 4500
}

test_clients_are_told_how_long_a_connection_is_kept() {
    configure 'api = { connection_timeout = "7s"; };'
    request "$ATELIER/health/live"
    assert_eq timeout=7 "$(header keep-alive)"
    request --header 'Connection: close' "$ATELIER/health/live"
    assert_match close "$(header connection)"
}

test_answer_that_nobody_reads_is_given_up() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" unread 1500 6500
}

test_slow_request_within_the_timeout_is_served() {
    configure "api = { connection_timeout = \"$TIMEOUT\"; };"
    node "$CLIENTS/slow.mjs" patient
}

test_long_wait_for_an_image_is_no_idle_connection() {
    configure "api = { connection_timeout = \"1s\"; }; providers = ( { name = \"sandbox\"; delay = \"4s\"; } );"
    draw 'slow as a painter'
}

# Spread over the sockets, since LimitNOFILE= of 65536 is not to be had on every host, and each socket has its share.
test_ten_thousand_idle_connections() {
    local pid rss took
    configure 'api = { connection_timeout = "1min"; };'
    node "$CLIENTS/idle-connections.mjs" $IDLE_CONNECTIONS 127.0.0.1 ::1 /run/atelier/api.sock >"$SCRATCH/opened" &
    wait_until 40 grep -q opened "$SCRATCH/opened"
    pid=$(systemctl show --value --property=MainPID atelier-api)
    took=$(curl --fail --silent --max-time 10 --output /dev/null --write-out '%{time_total}' "$ATELIER/health/live")
    rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
    echo "RSS: $rss KiB; answer among them: $took s"
    assert_match "genai_api_connections $((IDLE_CONNECTIONS + 1))" "$(curl --silent "$ATELIER/metrics")"
    is_sanitized || ((rss < IDLE_RSS_KIB_MAX)) || fail "RSS $rss KiB is not under $IDLE_RSS_KIB_MAX"
    [[ ${took%.*} -lt $ANSWER_AMONG_IDLE_SECONDS_MAX ]] || fail "an answer took $took s"
    draw 'among the idle'
    kill %1
    wait_until 20 eval 'grep -qx "genai_api_connections 1" <(curl --silent "$ATELIER/metrics")'
}

CURL_TIMED_OUT=28

test_connections_past_the_limit_wait_for_their_turn() {
    local status=0
    configure 'api = { connections_max = 8; connection_timeout = "20s"; };'
    node "$CLIENTS/idle-connections.mjs" 8 127.0.0.1 >"$SCRATCH/opened" &
    wait_until 10 grep -q opened "$SCRATCH/opened"
    curl --silent --max-time 1 --output /dev/null "$ATELIER/health/live" || status=$?
    assert_eq $CURL_TIMED_OUT "$status"
    curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "$ATELIER/health/live" >"$SCRATCH/late" &
    kill %1
    wait %2
    assert_eq 200 "$(<"$SCRATCH/late")"
}
