# shellcheck shell=bash
# A failure reaches the receivers: with what is known of it, without secrets, once, whoever is down or killed meanwhile.
deadline=60
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

RECEIVER_PORT=18100
# How long the receiver is down while alerts are fired and the alerter is killed. A minute shows the same, with more
# pauses: set it to 60, and the deadline to 180.
DOWN_SECONDS=4
ALERTS=8
KILLS=5

# ------------------------------------------------------------------ the receiver

start_receiver() {
    node "$CHECKOUT/tests/fakes/receiver.mjs" --log "$SCRATCH/log" --port $RECEIVER_PORT --mode "${1:-ok}" \
        >"$SCRATCH/receiver" &
    wait_until 10 grep -q . "$SCRATCH/receiver"
}

set_mode() {
    curl --silent --show-error --fail --output /dev/null --request PUT --data "$1" http://127.0.0.1:$RECEIVER_PORT/_mode
}

# use_receivers KIND...: the receivers slack and webhook as shipped, with their URLs in the credential store.
use_receivers() {
    local kind
    for kind in slack webhook; do
        [[ " $* " != *" $kind "* ]] && continue
        echo "http://127.0.0.1:$RECEIVER_PORT/$kind" >/etc/credstore/"$(credential_of $kind)"
    done
    configure "alerter = { retry_min = \"50ms\"; retry_max = \"300ms\"; };
        receivers = ( { name = \"webhook\"; timeout = \"500ms\"; } );"
    systemctl start atelier-alerter
}

credential_of() {
    case $1 in
        slack) echo slack-webhook-url ;;
        webhook) echo alert-webhook-url ;;
    esac
}

# deliveries EXPRESSION: prints what the expression makes of the deliveries, which are `all`, and of those of the webhook
# and of Slack, `hooks` and `slacks`.
deliveries() {
    node --print "const all = require('fs').readFileSync('$SCRATCH/log', 'utf8').split('\n').filter(Boolean).map(JSON.parse);
        const [hooks, slacks] = ['/webhook', '/slack'].map(path => all.filter(it => it.path === path).map(it => it.body)); $1"
}

delivered() {
    (($(wc -l <"$SCRATCH/log") >= $1))
}

# ------------------------------------------------------------------ the alerter

fire() {
    atelierctl alerts fire "$1" --severity=warning --source="$2" --summary="$1 of $2" "${@:3}" >/dev/null
}

main_pid() {
    systemctl show --value --property=MainPID "atelier-$1"
}

# kill_daemon NAME [SIGNAL]: kills the process that runs now, and waits until it has gone.
kill_daemon() {
    local pid
    pid=$(main_pid "$1")
    ((pid == 0)) || kill "-${2:-KILL}" "$pid"
    wait_until 10 is_gone "$1" "$pid"
}

is_gone() {
    [[ $(main_pid "$1") != "$2" || $2 == 0 ]]
}

# set_alerter LINE...: a drop-in for [Service].
set_alerter() {
    mkdir -p /run/systemd/system/atelier-alerter.service.d
    printf '%s\n' '[Service]' "$@" >/run/systemd/system/atelier-alerter.service.d/50-test.conf
    systemctl daemon-reload
}

fact() {
    atelierctl status alerter | sed -n "s/^ *$1: //p"
}

nothing_to_send() {
    [[ $(fact pending) == 0 ]]
}

alerts() {
    atelierctl --json alerts list >"$SCRATCH/out"
    json "$1"
}

# ------------------------------------------------------------------ failed units

test_killed_worker_reaches_both_receivers() {
    start_receiver
    use_receivers slack webhook
    systemctl start atelier-worker
    kill_daemon worker ABRT
    wait_until 10 delivered 2

    local hook='hooks[0].alert'
    assert_eq 'UnitFailed critical atelier-worker.service signal' \
        "$(deliveries "(({ name, severity, source, result }) => [name, severity, source, result].join(' '))($hook)")"
    assert_eq 'atelier-worker.service failed: signal (killed by ABRT)' "$(deliveries "$hook.summary")"
    assert_match 'Main process exited, code=killed, status=6/ABRT' "$(deliveries "$hook.lines.join('\n')")"
    assert_match "Failed with result 'signal'" "$(deliveries "$hook.lines.join('\n')")"
    assert_match 'failed: signal \(killed by ABRT\).*Main process exited' \
        "$(deliveries 'slacks[0].attachments[0].text.replaceAll("\n", " ")')"
    wait_until 10 unit_is atelier-worker active
}

test_hung_worker_is_reported_with_its_result() {
    start_receiver
    use_receivers webhook
    mkdir -p /run/systemd/system/atelier-worker.service.d
    printf '%s\n' '[Service]' WatchdogSec=1s >/run/systemd/system/atelier-worker.service.d/50-test.conf
    systemctl daemon-reload
    systemctl restart atelier-worker
    kill -STOP "$(main_pid worker)"
    wait_until 15 delivered 1
    assert_eq watchdog "$(deliveries 'all[0].body.alert.result')"
}

test_alerter_that_is_killed_reports_itself() {
    start_receiver
    use_receivers webhook
    kill_daemon alerter
    wait_until 10 delivered 1
    assert_eq 'atelier-alerter.service failed: signal (killed by KILL)' "$(deliveries 'hooks[0].alert.summary')"
}

# fail_task COMMAND: a task that runs this instead of what it should.
fail_task() {
    mkdir -p /run/systemd/system/atelier-task@.service.d
    printf '%s\n' '[Service]' ExecStart= "ExecStart=/bin/sh -c '$1'" \
        >/run/systemd/system/atelier-task@.service.d/50-test.conf
    systemctl daemon-reload
    assert_fails systemctl start atelier-task@sample
}

# Both triggers fire, since the unit ends failed: it is one alert, and its secrets stay here.
test_failed_task_is_one_alert_without_its_secrets() {
    start_receiver
    use_receivers slack webhook
    local canary=c4N4ryAbCdEf0123456789GhIjKlMnOpQrStUvWxYz01 secrets
    secrets="echo Authorization: Bearer $canary; echo api_key: $canary; echo sk-$canary"
    secrets+="; echo https://u:$canary@host; echo https://hooks.slack.com/services/T/B/$canary"
    fail_task "$secrets; echo the disk is on fire; exit 3"
    wait_until 10 delivered 2
    wait_until 10 count_is 2
    assert_eq 'atelier-task@sample.service failed: exit-code (exit status 3)' "$(alerts 'it[0].summary')"
    assert_eq 1 "$(alerts it.length)"
    assert_eq 2 "$(deliveries all.length)"
    grep -q 'the disk is on fire' "$SCRATCH/log"
    grep -q "$canary" <(journal --unit=atelier-task@sample) || fail 'the journal had no secret'
    assert_fails grep -q c4N4ry "$SCRATCH/log"
    assert_fails grep -rq c4N4ry /var/lib/atelier-alerter
}

count_is() {
    [[ $(alerts 'it[0].count') == "$1" ]]
}

# Nobody else's lines, be they about the same unit, travel along.
test_only_the_lines_of_the_failed_invocation_travel() {
    start_receiver
    use_receivers webhook
    fail_task 'echo former; exit 1'
    wait_until 10 delivered 1
    logger --id=1 --journald <<<$'MESSAGE=forged\nUNIT=atelier-task@sample.service\nSYSLOG_IDENTIFIER=systemd'
    fail_task 'echo latter; exit 1'
    wait_until 10 delivered 2
    assert_match latter "$(deliveries 'all[1].body.alert.lines.join()')"
    assert_fails grep -qE 'former|forged' <(deliveries 'all[1].body.alert.lines.join()')
}

test_unit_that_stops_cleanly_fires_nothing() {
    systemctl start atelier-worker atelier-scheduler atelier-api
    systemctl restart atelier-worker
    systemctl stop atelier-worker atelier-scheduler atelier-api
    assert_fails grep -q 'report of a failure' <(journal --output=cat _PID=1)
    assert_eq 0 "$(alerts it.length)"
}

# ------------------------------------------------------------------ nothing is lost

# Fires while the receiver is down and the alerter is killed again and again. fire() itself may meet a killed alerter: it
# then says so, and whoever fires does it again, by the same key.
fire_under_kills() {
    local number end=$((SECONDS + DOWN_SECONDS))
    for ((number = 0; number < ALERTS; number++)); do
        wait_until 10 fire disk "host-$number" --key="key-$number" 2>/dev/null
        ((number % (ALERTS / KILLS + 1))) || kill_daemon alerter
        sleep $((DOWN_SECONDS / ALERTS)).$((DOWN_SECONDS * 10 / ALERTS % 10))
    done
    while ((SECONDS < end)); do sleep 0.1; done
}

# The alerter's own failures are alerts as well; those that were fired here come from hosts.
assert_none_lost() {
    wait_until 30 nothing_to_send
    deliveries 'all.map(({ body }) => body.alert.source).filter(source => source.startsWith("host-")).join("\n")' \
        >"$SCRATCH/hosts"
    assert_eq $ALERTS "$(sort -u "$SCRATCH/hosts" | wc -l)"
    local most
    most=$(sort "$SCRATCH/hosts" | uniq -c | sort -rn | awk 'NR == 1 { print $1 }')
    ((most <= $1)) || fail "an alert came $most times"
}

test_none_is_lost_while_the_receiver_is_down_and_the_alerter_killed() {
    start_receiver 500
    use_receivers webhook
    fire_under_kills
    assert_eq 0 "$(deliveries all.length)"
    set_mode ok
    assert_none_lost 1
}

# Each alerter dies right after the answer to its third notice, before that is written down.
test_none_is_lost_and_none_comes_thrice_when_it_dies_before_it_records() {
    start_receiver drop
    set_alerter Environment=ATELIER_TEST_CRASH_AFTER_SEND=3 RestartSec=100ms
    use_receivers webhook
    fire_under_kills
    set_mode ok
    assert_none_lost 2
    (($(wc -l <"$SCRATCH/hosts") > ALERTS)) || fail 'no alerter died between sending and recording'
}

test_receiver_that_hangs_or_asks_for_patience_is_told_in_the_end() {
    start_receiver hang
    use_receivers webhook
    fire disk host
    wait_until 10 logged 'receiver webhook could not be told'
    set_mode 429
    assert_eq 1 "$(fact pending)"
    set_mode ok
    wait_until 10 delivered 1
    wait_until 10 nothing_to_send
    assert_eq 1 "$(deliveries all.length)"
}

logged() {
    grep -q -- "$1" <(journal --unit=atelier-alerter --output=cat)
}

test_refusal_is_said_everywhere() {
    start_receiver 404
    use_receivers webhook
    fire disk host
    wait_until 10 logged 'receiver webhook could not be told, which is given up.*HTTP 404: as told'
    assert_match 'webhook: failed \(HTTP 404: as told\)' "$(atelierctl alerts list)"
    assert_match '0 to send, 1 failed' "$(atelierctl status alerter)"
    journal --unit=atelier-alerter --output=json --grep 'given up' >"$SCRATCH/out"
    assert_eq 3 "$(json it.PRIORITY)"
}

# It stays while something is to be sent, and leaves when all is told.
test_alerter_stays_while_something_is_to_be_sent() {
    start_receiver 500
    use_receivers webhook
    echo 'alerter = { idle_timeout = "200ms"; };' >/etc/atelier/atelier.conf.d/60-test.conf
    systemctl restart atelier-alerter
    fire disk host
    local alerter
    alerter=$(main_pid alerter)
    sleep 1 # five times the idle timeout
    assert_eq "$alerter" "$(main_pid alerter)"
    set_mode ok
    wait_until 10 delivered 1
    wait_until 10 unit_is atelier-alerter inactive
}

# ------------------------------------------------------------------ what is told

test_what_is_over_is_told_to_whom_was_told() {
    start_receiver
    use_receivers slack webhook
    fire disk host
    wait_until 10 delivered 2
    atelierctl alerts resolve "$(alerts 'it[0].id')"
    wait_until 10 delivered 4
    assert_eq 'firing resolved' "$(deliveries 'hooks.map(({ status }) => status).join(" ")')"
    assert_match RESOLVED "$(deliveries 'slacks[1].attachments[0].title')"
}

test_storm_is_folded_into_the_last() {
    start_receiver
    use_receivers webhook
    local number
    for number in {1..10}; do
        fire disk host --key="key-$number"
    done
    wait_until 10 nothing_to_send
    assert_eq 6 "$(deliveries all.length)"
    assert_eq '5 1 1 1 1 1' "$(alerts 'it.map(({ count }) => count).join(" ")')"
    # Written down as well.
    kill_daemon alerter
    assert_eq 5 "$(alerts 'it.filter(({ source }) => source === "host")[0].count')"
}

test_severity_decides_who_is_told() {
    start_receiver
    use_receivers slack webhook
    configure "receivers = ( { name = \"slack\"; severity = \"critical\"; } );"
    fire disk host
    wait_until 10 nothing_to_send
    assert_eq /webhook "$(deliveries 'all.map(({ path }) => path).join()')"
}

test_reload_takes_receivers_over() {
    start_receiver
    configure ''
    systemctl start atelier-alerter
    assert_eq 'no url' "$(fact receiver.webhook)"
    echo "http://127.0.0.1:$RECEIVER_PORT/webhook" >"$SCRATCH/url"
    install -o atelier-alerter -m 0400 "$SCRATCH/url" /etc/atelier/hook.url
    echo 'receivers = ( { name = "webhook"; url = "file:/etc/atelier/hook.url"; } );' \
        >/etc/atelier/atelier.conf.d/60-test.conf
    systemctl reload atelier-alerter
    assert_eq ready "$(fact receiver.webhook)"
    ctl alerts test webhook
    assert_said 0 'webhook +sent'
}

# ------------------------------------------------------------------ the last resort

test_unreachable_alerter_leaves_it_to_the_journal() {
    configure ''
    systemctl start atelier-worker atelier-alerter
    kill -STOP "$(main_pid alerter)"
    kill_daemon worker
    wait_until 20 told_the_journal
    # From systemd 254 on OnFailure= comes before a restart as well: then two reports of the one failure say so.
    journal --output=json PRIORITY=2 | sed -n 1p >"$SCRATCH/out"
    assert_eq 'signal critical atelier-worker.service' \
        "$(json '[it.ATELIER_ALERT_RESULT, it.ATELIER_ALERT_SEVERITY, it.ATELIER_UNIT].join(" ")')"
    kill -CONT "$(main_pid alerter)"
}

told_the_journal() {
    grep -q 'atelier-worker.service failed: signal (killed by KILL); nobody was told' <(journal --output=cat PRIORITY=2)
}

# as_reporter ARGUMENT...: atelierctl as the user of atelier-alert@.service.
as_reporter() {
    STATUS=0
    setpriv --reuid=atelier-alert --regid=atelier-alert --groups="$(getent group atelier | cut -d: -f3)" \
        atelierctl "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || STATUS=$?
}

test_reporter_may_fire_and_nothing_else() {
    configure ''
    as_reporter alerts fire x --severity=info --source=test
    assert_eq 0 "$STATUS" "$(err)"
    as_reporter alerts list
    assert_said 1 '' 'permission|may not|group'
    as_reporter jobs list
    assert_said 1 '' 'permission|may not|group'
}
