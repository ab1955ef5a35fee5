# shellcheck shell=bash
# Jobs that nobody waits for wait for their budget themselves, and never go past it.
deadline=90
source "$CHECKOUT/tests/system/rig/requests.sh"

# A picture of 64x64 costs $0.04, one of 128x128 $1.
PRETEND='prices = ( { name = "pretend"; provider = "sandbox"; model = "sandbox";
                      per_image = [ "64x64 * $0.04", "128x128 * $1" ]; } );'

# hold [WORKER-SETTINGS]
hold() {
    configure "$PRETEND worker = { over_budget = \"hold\"; budget_pause = false; ${1:-} };"
}

# ask [SIZE] [CURL-OPTION...]: without waiting for it; JOB is its id.
ask() {
    request --json "{\"model\": \"sandbox\", \"prompt\": \"one\", \"size\": \"${1:-64x64}\"}" \
        --header 'Prefer: respond-async' "${@:2}" "$ATELIER/v1/images/generations"
    JOB=$([[ $STATUS != 202 ]] || answer body.id)
}

# states: of all jobs, with how many of each; those that wait for their budget as "awaits".
states() {
    request "$ATELIER/v1/jobs?limit=100"
    answer 'body.data.map(job => job.awaits_budget ? "awaits" : job.status).sort().join(" ")' | tr ' ' '\n' | uniq -c | xargs
}

states_are() {
    [[ $(states) == "$1" ]]
}

status_has() {
    systemctl show -P StatusText atelier-worker | grep --quiet --fixed-strings "$1"
}

spent() {
    request "$ATELIER/v1/usage"
    answer '[body.total.spent_micros, body.total.reserved_micros, body.total.unknown_micros].join(" ")'
}

test_unless_configured_it_is_refused() {
    configure "$PRETEND worker = { daily_budget = \"\$0.04\"; budget_pause = false; };"
    ask
    assert_eq 202 "$STATUS"
    ask
    assert_error 429 budget_exceeded
}

test_what_does_not_fit_waits_until_the_budget_is_raised() {
    hold 'daily_budget = "$0.08";'
    for _ in 1 2 3 4; do
        ask
        assert_eq 202 "$STATUS"
    done
    assert_eq true "$(answer body.awaits_budget)"
    wait_until 10 states_are '2 awaits 2 completed'
    assert_eq '80000 0 0' "$(spent)"
    wait_until 5 status_has '2 waiting for the budget'

    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    wait_until 10 states_are '2 awaits 2 completed'
    hold 'daily_budget = "$0.12";'
    wait_until 10 states_are '1 awaits 3 completed'
    hold 'daily_budget = "$1";'
    wait_until 10 states_are '4 completed'
    assert_eq '160000 0 0' "$(spent)"
    atelierctl ledger verify
}

test_who_waits_for_the_answer_is_refused() {
    hold 'daily_budget = "$0.04";'
    ask
    request --json '{"model": "sandbox", "prompt": "one", "size": "64x64"}' "$ATELIER/v1/images/generations"
    assert_error 429 budget_exceeded
}

# Of this hour, in which it is another day there.
another_zone() {
    (($(date -u +%-H) >= 10)) && echo Pacific/Kiritimati || echo Pacific/Pago_Pago
}

test_with_the_next_day_it_goes_on() {
    hold 'daily_budget = "$0.04"; time_zone = "UTC";'
    ask
    ask
    wait_until 10 states_are '1 awaits 1 completed'
    hold "daily_budget = \"\$0.04\"; time_zone = \"$(another_zone)\";"
    wait_until 10 states_are '2 completed'
    assert_eq '80000 0 0' "$(spent)"
}

test_what_never_fits_is_refused() {
    hold 'daily_budget = "$0.50";'
    ask 128x128
    assert_error 429 budget_exceeded
    hold 'total_budget = "$0.02";'
    ask
    assert_error 429 budget_exceeded
}

test_what_never_will_fit_any_more_fails() {
    hold 'daily_budget = "$0.04";'
    ask
    ask
    wait_until 10 states_are '1 awaits 1 completed'
    hold 'daily_budget = "$0.01";'
    wait_until 10 states_are '1 completed 1 failed'
    request "$ATELIER/v1/jobs/$JOB"
    assert_eq budget_exceeded "$(answer body.error.code)"
}

test_it_can_be_cancelled() {
    hold 'daily_budget = "$0.04";'
    ask
    ask
    wait_until 10 states_are '1 awaits 1 completed'
    request --request DELETE "$ATELIER/v1/jobs/$JOB"
    assert_eq cancelled "$(answer body.status)"
    wait_until 10 states_are '1 cancelled 1 completed'
}

test_it_waits_while_spending_is_paused() {
    hold
    atelierctl budget pause 'not now'
    ask
    assert_eq '202 true' "$STATUS $(answer body.awaits_budget)"
    atelierctl budget resume
    wait_until 10 states_are '1 completed'
}

test_a_request_sent_again_is_the_same_job() {
    local first
    hold 'daily_budget = "$0.04";'
    ask
    ask 64x64 --header 'Idempotency-Key: one'
    first=$JOB
    ask 64x64 --header 'Idempotency-Key: one'
    assert_eq "$first" "$JOB"
    hold 'daily_budget = "$1";'
    wait_until 10 states_are '2 completed'
}

test_a_restored_one_waits_for_an_operator_first() {
    hold 'daily_budget = "$0.04";'
    ask
    ask
    wait_until 10 states_are '1 awaits 1 completed'
    atelierctl task run backup
    atelierctl backup restore --yes
    hold 'daily_budget = "$1";'
    assert_eq '1 completed 1 queued' "$(states)"
    wait_until 5 status_has '1 held'
    atelierctl jobs resume --all
    wait_until 10 states_are '2 completed'
    assert_eq '80000 0 0' "$(spent)"
}

# 30 at $0.04 on a budget that is raised by $0.20 five times, under kill -9.
test_no_budget_is_exceeded_by_those_that_waited() {
    local i round
    hold 'daily_budget = "$0.20";'
    for ((i = 0; i < 30; i++)); do
        ask 64x64 --header "Idempotency-Key: $i"
    done
    for round in 1 2 3 4 5; do
        hold "daily_budget = \"\$$((round / 5)).$((round * 20 % 100))\";"
        states >/dev/null
        systemctl kill --signal=KILL --kill-whom=main atelier-worker
    done
    wait_until 20 states_are '5 awaits 25 completed'
    assert_eq '1000000 0 0' "$(spent)"
    atelierctl ledger verify
}
