# shellcheck shell=bash
# No budget is ever exceeded, whoever asks at the same time and whoever is killed; what was booked can be checked.
deadline=600
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

REQUESTS=1000
ROUNDS=10
KILL_PAUSE=0.2
KILLS=20
MIXED=10000
MIXED_SANITIZED=500
MIXED_BY_JOB=400

# A picture of 64x64 costs $0.04, and nothing else has a price.
PRETEND='prices = ( { name = "pretend"; provider = "sandbox"; model = "sandbox"; per_image = [ "64x64 * $0.04" ]; } );'

jobs() {
    node "$CHECKOUT/tests/system/jobs.mjs" "$@"
}

# usage EXPRESSION: of what GET /v1/usage says.
usage() {
    request "$ATELIER/v1/usage"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    answer "$1"
}

# ask [MORE]: one picture for $0.04.
ask() {
    request --json "{\"model\": \"sandbox\", \"prompt\": \"one\", \"size\": \"64x64\"${1:-}}" "$ATELIER/v1/images/generations"
}

forget_everything() {
    systemctl --quiet stop 'atelier-*.service'
    rm -rf /var/lib/atelier/*
}

assert_sound() {
    ctl ledger verify
    assert_eq 0 "$STATUS" "$(err)"
}

# exhaust ROUNDS CONFIGURATION [COMMAND]: 25 of 1,000 that come at once are paid, so many times; COMMAND is of jobs.mjs.
exhaust() {
    local round rounds=$1 command=${3:-ask}
    # What sanitizers look for shows in the first round or never.
    ! is_sanitized || rounds=1
    configure "$PRETEND $2"
    for ((round = 1; round <= rounds; round++)); do
        forget_everything
        jobs "$command" $REQUESTS $REQUESTS >"$SCRATCH/statuses"
        assert_eq '25 200 975 429' "$(sort "$SCRATCH/statuses" | uniq -c | xargs)" "round $round"
        assert_eq '1000000 0 0 25' \
            "$(usage '[body.total.spent_micros, body.total.reserved_micros, body.total.unknown_micros, body.total.images].join(" ")')"
    done
    assert_sound
}

test_a_daily_budget_is_met_exactly() {
    exhaust 10 'worker = { daily_budget = "$1"; };'
}

test_a_daily_budget_without_the_pause_is_met_exactly() {
    exhaust $ROUNDS 'worker = { daily_budget = "$1"; budget_pause = false; };'
}

test_a_daily_budget_is_met_exactly_by_edits() {
    exhaust $ROUNDS 'worker = { daily_budget = "$1"; budget_pause = false; };' edit
}

test_a_monthly_budget_is_met_exactly() {
    exhaust $ROUNDS 'worker = { monthly_budget = "$1"; };'
}

test_a_total_budget_is_met_exactly() {
    exhaust $ROUNDS 'worker = { total_budget = "$1"; };'
}

test_a_models_budgets_are_met_exactly() {
    local period
    for period in daily monthly total; do
        exhaust $ROUNDS "models = ( { name = \"sandbox\"; ${period}_budget = \"\$1\"; } );"
    done
}

test_a_keys_budgets_are_met_exactly() {
    local period round rounds=$ROUNDS
    ! is_sanitized || rounds=1
    configure "$PRETEND"
    for period in daily monthly; do
        for ((round = 1; round <= rounds; round++)); do
            forget_everything
            TOKEN=$(atelierctl keys create spender --$period-budget=1)
            export TOKEN
            jobs ask $REQUESTS $REQUESTS >"$SCRATCH/statuses"
            assert_eq '25 200 975 429' "$(sort "$SCRATCH/statuses" | uniq -c | xargs)" "$period, round $round"
        done
    done
    request --header "Authorization: Bearer $TOKEN" "$ATELIER/v1/usage"
    assert_eq '1000000 key month 1000000' \
        "$(answer '[body.total.spent_micros, body.budgets[0].scope, body.budgets[0].period, body.budgets[0].used.spent_micros].join(" ")')"
    unset TOKEN
    assert_eq 'key_budget' "$(ctl usage --by=key && out | awk 'NR == 2 && $3 == "$1.00" { print "key_budget" }')"
    assert_sound
}

quote() {
    request --json '{"model": "sandbox", "prompt": "one", "size": "64x64"}' "$ATELIER/v1/images/quote"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    answer '[body.cost_micros, body.fits, body.left_micros].join(" ")'
}

test_a_quote_tells_what_the_budgets_say() {
    configure "$PRETEND worker = { daily_budget = \"\$0.1\"; budget_pause = false; };"
    assert_eq '40000 true 100000' "$(quote)"
    ask
    ask
    assert_eq '40000 false 20000' "$(quote)"
    configure "$PRETEND worker = { daily_budget = \"infinity\"; };"
    assert_eq '40000 true ' "$(quote)"
    ctl budget pause
    assert_eq '40000 false ' "$(quote)"
}

test_a_refusal_says_why_and_until_when() {
    configure "$PRETEND worker = { daily_budget = \"\$0.05\"; budget_pause = false; };"
    ask
    assert_eq 200 "$STATUS"
    ask
    assert_error 429 budget_exceeded
    assert_eq insufficient_quota "$(answer body.error.type)"
    assert_eq false "$(header x-should-retry)"
    assert_match '^The request may cost up to \$0\.04 and does not fit into the daily budget of \$0\.05, of which \$0\.04 are' \
        "$(answer body.error.message)"
    assert_match 'It starts again at 20[0-9-]*T00:00:00Z\.$' "$(answer body.error.message)"
    request "$ATELIER/v1/jobs"
    assert_eq 1 "$(answer body.data.length)"
}

test_what_costs_nothing_goes_on() {
    configure 'worker = { total_budget = "$0.01"; };'
    ask
    assert_eq 200 "$STATUS"
    assert_eq '0 0' "$(usage '[body.total.spent_micros, body.total.images].join(" ")')"
}

test_without_a_price_nothing_is_accepted() {
    configure "$PRETEND"
    request --json '{"model": "sandbox", "prompt": "one", "size": "128x128"}' "$ATELIER/v1/images/generations"
    assert_error 400 price_unknown
    assert_match 'expected a line "128x128 ' "$(answer body.error.message)"
    request "$ATELIER/v1/jobs"
    assert_eq 0 "$(answer body.data.length)"
}

test_the_daily_budgets_end_pauses_spending_until_it_is_resumed() {
    configure "$PRETEND worker = { daily_budget = \"\$0.05\"; };"
    ask
    ask
    assert_error 429 budget_exceeded
    systemctl restart atelier-worker
    ask
    assert_match '^Spending is paused since ' "$(answer body.error.message)"
    ctl budget show
    assert_match 'Spending is paused since .*: a request went past the daily budget' "$(out)"
    assert_match 'spending paused \(atelierctl budget resume\)' "$(systemctl show --value --property=StatusText atelier-worker)"
    ctl budget resume
    assert_eq 0 "$STATUS" "$(err)"
    ask
    assert_match '^The request may cost up to' "$(answer body.error.message)"
}

test_an_operator_stops_spending_over_restarts() {
    configure "$PRETEND"
    ctl budget pause 'the provider is not to be trusted'
    assert_eq 0 "$STATUS" "$(err)"
    systemctl kill --signal=KILL atelier-worker
    ask
    assert_error 429 budget_exceeded
    assert_match '^Spending is paused since [^:]*:[^:]*:[^:]*: the provider is not to be trusted\.$' "$(answer body.error.message)"
    ctl budget resume
    ask
    assert_eq 200 "$STATUS"
}

test_only_admins_stop_spending() {
    configure "$PRETEND"
    as atelier budget pause
    assert_eq 1 "$STATUS"
    assert_match 'be root or a member of group atelier-admin' "$(err)"
    as atelier budget show
    assert_eq 0 "$STATUS" "$(err)"
    as atelier,atelier-admin budget pause
    assert_eq 0 "$STATUS" "$(err)"
}

test_the_alert_is_told_once() {
    configure "$PRETEND worker = { daily_budget = \"\$0.1\"; budget_alert = \"40%\"; };"
    ask
    ask ', "n": 1'
    ctl --json alerts list
    assert_eq 'budget_alert warning $0.04 has gone, or may have, of the daily budget of $0.10 (worker.budget_alert)' \
        "$(json 'it.map(a => [a.name, a.severity, a.summary].join(" ")).join()')"
    assert_eq 1 "$(journal --unit=atelier-worker | grep -c '\$0.04 has gone, or may have, of the daily budget of \$0.10')"
}

# The provider's own bill is never more than what is booked, and that never more than the budget.
# kill_workers: as long as the client asks.
kill_workers() {
    local kill pid
    for ((kill = 0; kill < KILLS; kill++)); do
        sleep $KILL_PAUSE
        pid=$(systemctl show --value --property=MainPID atelier-worker)
        ((pid == 0)) || kill -KILL "$pid" || true
    done
}

# hold_under_kills WORKER-SETTINGS [CONFIGURATION]: of a budget of $0.4, which $TOKEN's may be.
hold_under_kills() {
    start_provider "worker = { $1 concurrency = 16; }; ${2:-}"
    [[ -z ${KEY_OPTION:-} ]] || TOKEN=$(atelierctl keys create spender "$KEY_OPTION")
    export TOKEN
    fake --json '{"rules": [{"act": "late=300"}]}' /_control
    jobs ask $REQUESTS 100 '{"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}' >"$SCRATCH/statuses" &
    local client=$!
    kill_workers
    wait "$client"
    local bill booked
    bill=$(charged)
    ctl --json usage
    booked=$(json 'it.total.spent_micros + it.total.unknown_micros')
    echo "charged $bill, booked $booked, $(json 'JSON.stringify(it.total)')"
    ((bill > 0 && bill <= booked && booked <= 400000)) || fail "charged $bill, booked $booked"
    assert_eq 0 "$(json it.total.reserved_micros)"
    assert_sound
}

test_a_daily_budget_holds_while_the_worker_is_killed() {
    hold_under_kills 'daily_budget = "$0.4"; budget_pause = false;'
}

test_a_monthly_budget_holds_while_the_worker_is_killed() {
    hold_under_kills 'monthly_budget = "$0.4";'
}

test_a_total_budget_holds_while_the_worker_is_killed() {
    hold_under_kills 'total_budget = "$0.4";'
}

test_a_models_budget_holds_while_the_worker_is_killed() {
    hold_under_kills '' 'models = ( { name = "gpt-image-2"; daily_budget = "$0.4"; } );'
}

test_a_keys_budget_holds_while_the_worker_is_killed() {
    KEY_OPTION=--monthly-budget=0.4 hold_under_kills ''
}

test_what_is_booked_is_what_the_provider_charges() {
    start_provider
    local size quality
    for quality in low medium high; do
        for size in 1024x1024 1536x1024 1024x1536 1024x640 auto; do
            request --json "{\"model\": \"gpt-image-2\", \"prompt\": \"$size $quality\", \"size\": \"$size\", \"quality\": \"$quality\"}" \
                "$ATELIER/v1/images/generations"
            assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
        done
    done
    assert_eq "$(charged)" "$(usage body.total.spent_micros)"
    assert_eq 15 "$(usage body.today.images)"
    ctl usage
    assert_match 'gpt-image-2 +\$[0-9.]+ +\$0\.00 +\$0\.00 +15' "$(out)"
    request "$ATELIER/metrics"
    assert_eq "$(usage 'body.total.spent_micros / 1e6')" \
        "$(request "$ATELIER/metrics" && sed -n 's/^genai_api_cost_total_dollars{model="gpt-image-2"} //p' "$SCRATCH/body")"
}


nothing_is_reserved() {
    [[ $(usage body.total.reserved_micros) == 0 ]]
}

# bill_mixed COUNT SEED: requests of every kind; then the ledger, every job and the receipts are held against the bill.
bill_mixed() {
    start_provider 'worker = { daily_budget = "infinity"; retry_min = "10ms"; retry_max = "20ms"; breaker_failures = 1000;
                               concurrency = 16; cache_ttl = "1h"; };'
    node "$CHECKOUT/tests/system/clients/mixed-requests.mjs" "$1" 16 "$2" | tee "$SCRATCH/seen"
    wait_until 60 nothing_is_reserved
    fake /_bill >"$SCRATCH/bill"
    echo "$(billed) requests, $(charged) micro-dollars"
    assert_eq "$(charged) 0" "$(usage 'body.total.spent_micros + " " + body.total.unknown_micros')"
    (($(charged) > 0)) || fail 'nothing was charged'
    assert_sound
    node "$CHECKOUT/tests/system/clients/audit-ledger.mjs" "$SCRATCH/bill" 10
    node "$CHECKOUT/tests/system/clients/audit-trail.mjs" "$(charged)" 0
    ctl audit verify
    assert_eq 0 "$STATUS" "$(err)"
}

test_the_ledger_is_the_bill_job_by_job() {
    local kind
    bill_mixed $MIXED_BY_JOB 11
    for kind in hit shared edit replay batch cancelled 'cancel 409'; do
        grep -q "\"$kind\":" "$SCRATCH/seen" || fail "no $kind among them"
    done
}

test_the_ledger_is_the_bill_over_mixed_requests() {
    local count=$MIXED
    ! is_sanitized || count=$MIXED_SANITIZED
    bill_mixed "$count" 7
}

test_a_restore_does_not_forget_what_was_spent() {
    configure "$PRETEND worker = { daily_budget = \"\$0.1\"; };"
    ask
    atelierctl task run backup
    request --json '{"model": "sandbox", "prompt": "since", "size": "64x64"}' "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS"
    ctl backup restore --yes
    assert_eq 0 "$STATUS" "$(err)"
    assert_eq '80000 2' "$(usage '[body.today.spent_micros, body.today.images].join(" ")')"
    ask
    assert_error 429 budget_exceeded
    assert_sound
    ctl budget pause 'not before Monday'
    ctl backup restore --yes
    ctl budget show
    assert_match 'Spending is paused .*: not before Monday' "$(out)"
    ctl ledger list
    assert_match 'adjust .* \$0\.04 .*carried over' "$(out)"
}

test_one_flipped_byte_is_found() {
    configure "$PRETEND"
    ask
    ask ', "n": 2'
    assert_sound
    ctl --json ledger list
    local hash
    hash=$(json 'it[2].hash')
    systemctl --quiet stop 'atelier-*.service'
    sed -i "s/$hash/$(tr 0-9a-f 1-9a-f0 <<<"${hash:0:1}")${hash:1}/" /var/lib/atelier/current/atelier.db
    ctl ledger verify
    assert_eq 1 "$STATUS"
    assert_match 'the ledger is not as it was written: entry 3' "$(err)"
}

test_entries_can_be_checked_by_hand() {
    configure "$PRETEND"
    ask
    ctl --json ledger list
    out >"$SCRATCH/entries"
    node --input-type=module - "$SCRATCH/entries" <<'NODE'
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
let previous = '0'.repeat(64);
for (const { hash, ...entry } of JSON.parse(readFileSync(process.argv[2]))) {
  if (entry.previous !== previous) throw new Error(`entry ${entry.number} does not follow`);
  if (createHash('sha256').update(JSON.stringify(entry)).digest('hex') !== hash) throw new Error(`entry ${entry.number}`);
  previous = hash;
}
NODE
}
