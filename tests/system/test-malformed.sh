# shellcheck shell=bash
# A peer that has gone mad does not take the worker with it.
deadline=180
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

MESSAGES=1000000
MESSAGES_SANITIZED=50000
GROWTH_KB_MAX=8192

rss() {
    awk '/^RssAnon:/ { print $2 }' "/proc/$(systemctl show --property=MainPID --value atelier-worker)/status"
}

test_a_million_malformed_messages_leave_the_worker_serving() {
    local messages=$MESSAGES pid before
    ! is_sanitized || messages=$MESSAGES_SANITIZED
    configure ''
    draw 'before'
    pid=$(systemctl show --property=MainPID --value atelier-worker)
    before=$(rss)
    # As the api, which may call most.
    setpriv --reuid=atelier-api --regid=atelier-api --groups="$(getent group atelier | cut -d: -f3)" \
        node "$CHECKOUT/tests/system/clients/malformed-calls.mjs" /run/atelier/io.atelier.Worker "$messages" | tee "$SCRATCH/said"
    (($(cut -d" " -f1 "$SCRATCH/said") >= messages)) || fail "$(cat "$SCRATCH/said")"
    assert_eq "$pid" "$(systemctl show --property=MainPID --value atelier-worker)"
    draw 'afterwards'
    is_sanitized || (($(rss) - before < GROWTH_KB_MAX)) || fail "it grew from $before kB to $(rss) kB"
    ctl audit verify
    assert_said 0 'as they were written'
}
