# shellcheck shell=bash
# atelierctl raises alerts, shows them, and tries the receivers.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

fire() {
    ctl alerts fire "$1" --severity=warning --source=test --summary="$1 is full" "${@:2}"
}

test_alerts_are_fired_and_listed() {
    ctl alerts list
    assert_said 0 '^Nothing is firing'
    fire disk
    assert_said 0 '^[^ ]+$'
    ctl alerts list
    assert_said 0 $'^ID +SEVERITY +STATE .*\n[^ ]+ +warning +firing +20[0-9-]+T[0-9:]+Z +1  test +disk  disk is full'
    ctl --json alerts list
    assert_eq 'disk,test,warning,firing,disk is full' \
        "$(json '["name", "source", "severity", "state", "summary"].map(name => it[0][name]).join()')"
}

test_the_same_key_is_the_same_alert() {
    fire disk --key=k --json
    local id
    id=$(json it.id)
    fire disk --key=k --json
    assert_eq "$id 2" "$(json '`${it.id} ${it.count}`')"
}

test_an_alert_is_resolved() {
    local id
    fire disk
    id=$(out)
    ctl alerts resolve "$id"
    assert_said 0 '^$' '^$'
    ctl alerts list
    assert_said 0 '^Nothing is firing'
    ctl alerts list --all
    assert_said 0 "$id +warning +resolved"
    ctl --json alerts resolve "$id"
    assert_eq resolved "$(json it.state)"
    ctl alerts resolve none
    assert_said 1 '' 'there is no alert none; see: atelierctl alerts list --all'
}

test_alerts_are_fired_by_admins() {
    as atelier alerts fire x --severity=info --source=test
    assert_said 1 '' 'group atelier-admin'
    as atelier,atelier-admin alerts fire x --severity=info --source=test
    assert_eq 0 "$STATUS" "$(err)"
}

test_a_receiver_that_is_not_there() {
    ctl alerts test nobody
    assert_said 1 '' "there is no receiver 'nobody'"
}

# receive: a receiver that answers 200 at /good and 404 elsewhere.
receive() {
    node -e 'require("http").createServer((request, answer) => {
        request.resume().on("end", () => answer.writeHead(request.url === "/good" ? 200 : 404).end());
    }).listen(18100, "127.0.0.1", () => console.log("ready"))' >"$SCRATCH/receiver" &
    wait_until 10 grep -q ready "$SCRATCH/receiver"
}

test_receivers_are_tried() {
    receive
    echo http://127.0.0.1:18100/good >/etc/atelier/good.url
    echo http://127.0.0.1:18100/bad >/etc/atelier/bad.url
    configure 'receivers = (
        { name = "good"; kind = "webhook"; url = "file:/etc/atelier/good.url"; },
        { name = "bad"; kind = "webhook"; url = "file:/etc/atelier/bad.url"; } );'
    ctl alerts test good
    assert_said 0 'good +sent'
    ctl alerts test
    assert_said 1 'bad +failed +.*404' 'could not be told'
    ctl --json alerts test
    assert_eq failed "$(json 'it.find(told => told.receiver === "bad").state')"
    assert_eq sent "$(json 'it.find(told => told.receiver === "good").state')"
}

# Whoever names a receiver expects that it is told. Those that are shipped wait for their credential, and count for
# nothing.
test_receivers_that_cannot_be_told_are_failures() {
    configure ''
    ctl alerts test
    assert_said 0 'journald +sent'
    assert_fails grep -qE 'slack|webhook' "$SCRATCH/out"

    echo nonsense >/etc/atelier/bad.url
    configure 'receivers = (
        { name = "slack"; severity = "warning"; },
        { name = "pager"; url = "file:/etc/atelier/bad.url"; } );'
    ctl alerts test
    assert_said 1 'slack +failed +no url' '2 of 3 receivers could not be told'
    assert_said 1 'pager +failed +bad url'
    assert_fails grep -q webhook "$SCRATCH/out"
}

# As the documentation has it: also where the alerter runs already, or has gone since it had nothing to do.
test_a_slack_receiver_is_set_up_by_a_restart() {
    configure 'receivers = ( { name = "slack"; kind = "slack"; url = "credential:slack-webhook-url"; } );'
    ctl alerts test slack
    assert_said 1 'slack +failed +no url'
    receive
    echo http://127.0.0.1:18100/good >/etc/credstore/slack-webhook-url
    systemctl restart atelier-alerter
    ctl alerts test slack
    assert_said 0 'slack +sent'
}

test_an_instance_that_is_none_is_refused() {
    ctl alerts fire --unit=/
    assert_said 2 '' '--unit= takes UNIT'
}
