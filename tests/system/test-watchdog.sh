# shellcheck shell=bash
# Daemons that hang, stand still or crash again and again, seen from a client: slower, never refused.
deadline=90
source "$CHECKOUT/tests/system/rig/requests.sh"

CRASHES=10

jobs() {
    node "$CHECKOUT/tests/system/jobs.mjs" "$@"
}

# set_unit DAEMON LINE...: a drop-in for [Service].
set_unit() {
    local folder=/run/systemd/system/atelier-$1.service.d
    mkdir -p "$folder"
    printf '%s\n' '[Service]' "${@:2}" >"$folder/50-test.conf"
    systemctl daemon-reload
}

main_pid() {
    systemctl show --value --property=MainPID "atelier-$1"
}

# restarted DAEMON PID: another process has taken over.
restarted() {
    local pid
    pid=$(main_pid "$1")
    ((pid != 0 && pid != $2)) && unit_is "atelier-$1" active
}

ended_by_watchdog() {
    grep -q 'Watchdog timeout' <(journal --unit="atelier-$1" --output=cat)
}

job_is() {
    [[ $(jobs show | cut -f2) == "$1" ]]
}

test_frozen_worker_is_replaced_and_its_job_completes() {
    set_unit worker WatchdogSec=2s
    configure 'providers = ( { name = "sandbox"; delay = "500ms"; } );'
    draw_in_background
    wait_until 10 job_is in_progress
    kill -STOP "$(main_pid worker)"
    wait "$CLIENT"
    assert_eq '200 1' "$(<"$SCRATCH/said")"
    ended_by_watchdog worker || fail 'it was not the watchdog'
}

draw_in_background() {
    curl --silent --show-error --output "$SCRATCH/drawn" --write-out '%{http_code} %{num_connects}' \
        --json '{"model": "sandbox", "prompt": "wait", "size": "64x64"}' \
        "$ATELIER/v1/images/generations" >"$SCRATCH/said" &
    CLIENT=$!
}

test_frozen_api_is_replaced() {
    set_unit api WatchdogSec=2s
    configure ''
    request "$ATELIER/health/live"
    kill -STOP "$(main_pid api)"
    request "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
    ended_by_watchdog api || fail 'it was not the watchdog'
}

# Its loop turns, it answers, and nothing is dispatched.
test_worker_whose_queue_stands_still_is_replaced() {
    set_unit worker WatchdogSec=2s Environment=ATELIER_TEST_STALL=1
    configure 'worker = { stall_timeout = "500ms"; };'
    draw_in_background
    wait_until 10 job_is queued
    assert_match running "$(atelierctl status worker)"
    wait_until 10 ended_by_watchdog worker
    set_unit worker WatchdogSec=2s
    wait "$CLIENT"
    assert_eq '200 1' "$(<"$SCRATCH/said")"
    grep -q 'makes no progress' <(journal --unit=atelier-worker --output=cat) || fail 'the worker does not say why'
}

# A queue that the operator has paused, and one that is empty, stand still by right.
test_paused_or_idle_worker_is_left_alone() {
    set_unit worker WatchdogSec=1s
    configure 'worker = { stall_timeout = "100ms"; };'
    atelierctl queue pause
    local pid
    pid=$(main_pid worker)
    jobs submit 1 1 >"$SCRATCH/accepted"
    # Three times what it is given.
    sleep 3
    assert_eq "$pid" "$(main_pid worker)"
    atelierctl queue resume
    wait_until 10 job_is completed
    sleep 3
    assert_eq "$pid" "$(main_pid worker)"
}

# Frozen first, so that all of them wait in the socket when it dies.
test_ten_crashes_of_the_api_lose_no_connection_that_waits() {
    configure ''
    request "$ATELIER/health/live"
    local crash pid clients
    for ((crash = 0; crash < CRASHES; crash++)); do
        pid=$(main_pid api)
        kill -STOP "$pid"
        jobs ask 8 8 >"$SCRATCH/said" &
        clients=$!
        wait_until 10 connections_wait 8
        kill -KILL "$pid"
        wait_until 10 restarted api "$pid"
        wait "$clients"
        assert_eq '8 200' "$(sort "$SCRATCH/said" | uniq -c | xargs)"
    done
}

# connections_wait COUNT: so many in the backlog of the API's socket.
connections_wait() {
    (($(ss --no-header --listening --numeric --tcp 'sport = :8080 and src 127.0.0.1' | awk '{ print $2 }') >= $1))
}

test_ten_crashes_of_the_worker_under_traffic_are_not_seen() {
    configure 'providers = ( { name = "sandbox"; delay = "50ms"; } );'
    jobs ask 200 8 >"$SCRATCH/said" &
    local traffic=$! crash pid=0
    for ((crash = 0; crash < CRASHES; crash++)); do
        wait_until 10 restarted worker "$pid"
        pid=$(main_pid worker)
        kill -KILL "$pid"
    done
    wait "$traffic"
    assert_eq '200 200' "$(sort "$SCRATCH/said" | uniq -c | xargs)"
    unit_is atelier-worker.socket active
}

test_worker_that_dies_at_every_start_keeps_its_clients_waiting() {
    configure ''
    set_unit worker 'ExecStartPre=/bin/sh -c "kill -KILL $$$$"'
    draw_in_background
    wait_until 20 failed_starts 5
    set_unit worker
    wait "$CLIENT"
    assert_eq '200 1' "$(<"$SCRATCH/said")"
    unit_is atelier-worker.socket active
}

failed_starts() {
    (($(journal --unit=atelier-worker --output=cat | grep -c 'Failed with result') >= $1))
}
