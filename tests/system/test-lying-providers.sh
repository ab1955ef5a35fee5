# shellcheck shell=bash
# A provider that lies, in every way of lying.mjs: what its clients, the ledger and the circuits make of it, and that
# nothing stays behind.
source "$CHECKOUT/tests/system/rig/requests.sh"

KEY=sk-liar-0123456789abcdef
LIES_MIN=40
WORKER_KIB_MAX=98304

worker_pid() {
    systemctl show -P MainPID atelier-worker
}

# Files that the worker has open and that are to be gone by now, and connections to providers.
open_leftovers() {
    find "/proc/$(worker_pid)/fd" -lname '*images/tmp/*' -o -lname '*(deleted)'
    ss --no-header --tcp --processes state established state close-wait | grep "pid=$(worker_pid)," || (($? == 1))
}

nothing_is_open() {
    [[ -z $(open_leftovers) ]]
}

# What sanitizers keep of what was freed is no measure.
assert_memory_bounded() {
    local peak
    peak=$(sed -nE 's/^VmHWM:\s+([0-9]+) kB/\1/p' "/proc/$(worker_pid)/status")
    ((peak < WORKER_KIB_MAX)) || fail "the worker took $peak KiB"
}

# The key, which the liar repeats wherever it can, is in no answer, no history, no journal and no file.
assert_key_nowhere() {
    grep -q 'Incorrect API key provided: \*\*\*' "$SCRATCH/tap"
    assert_fails grep -q "$KEY" "$SCRATCH/tap"
    assert_fails grep -q "$KEY" <(journal --output=export)
    systemctl stop atelier-worker
    assert_fails grep -rq "$KEY" /var/lib/atelier
}

test_every_lie_ends_as_the_table_says_and_leaves_nothing() {
    node "$CHECKOUT/tests/fakes/liar.mjs" >"$SCRATCH/port" &
    wait_until 10 grep -q . "$SCRATCH/port"
    install -m 0600 -o atelier-worker <(printf %s "$KEY") /run/liar-key
    configure "$(node "$CHECKOUT/tests/system/lying.mjs" configure "$(cat "$SCRATCH/port")")"
    node "$CHECKOUT/tests/system/lying.mjs" ask >"$SCRATCH/tap"
    rm -f /run/liar-key

    grep -v '^# [mf]-' "$SCRATCH/tap"
    assert_fails grep -q '^not ok' "$SCRATCH/tap"
    (($(grep -c '^ok' "$SCRATCH/tap") >= LIES_MIN)) || fail "fewer than $LIES_MIN lies"

    assert_eq '' "$(find /var/lib/atelier/current/images/tmp -type f)"
    wait_until 5 nothing_is_open
    is_sanitized || assert_memory_bounded
    atelierctl ledger verify
    assert_match 'provider.quota: no good key, key 1 of 1 out of quota' "$(atelierctl status worker)"
    assert_match 'The provider unauthorized refuses key 1 of 1' "$(journal --unit=atelier-worker --output=cat)"
    assert_key_nowhere
}
