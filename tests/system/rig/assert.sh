# shellcheck shell=bash
#
# assert.sh: what the functions of tests/system/test-*.sh are written with. Sourced for them by run-test.

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# The build under test carries sanitizers: it is slower and larger, and its sandbox lets the leak check in.
is_sanitized() {
    [[ -e /usr/lib/systemd/system/atelier-.service.d/90-sanitizer.conf ]]
}

skip() {
    echo "SKIPPED: $*"
    exit 77
}

assert_eq() {
    [[ $1 == "$2" ]] || fail "${3:-values differ}: wanted '$1', got '$2'"
}

# assert_match REGEX GOT
assert_match() {
    [[ $2 =~ $1 ]] || fail "wanted a match of '$1', got '$2'"
}

assert_fails() {
    ! "$@" || fail "succeeded, but must not: $*"
}

# wait_until SECONDS COMMAND...: the command succeeds before the seconds are over, or the test fails.
wait_until() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    until "${@:2}"; do
        ((${EPOCHREALTIME/[.,]/} < deadline)) || fail "not within $1 s: ${*:2}"
        sleep 0.02
    done
}

# unit_is UNIT STATE: active, inactive, failed, activating, ...
unit_is() {
    [[ $(systemctl show --value --property=ActiveState "$1") == "$2" ]]
}

# journal [OPTION...]: what journalctl shows of the time since this test began. (Not by --after-cursor=, which drops
# the first record where the cursor's own does not match the options.)
journal() {
    journalctl --sync
    journalctl --quiet --no-pager --cursor="$JOURNAL_CURSOR" "$@"
}

# reset: the machine as it was when it had just been installed and booted. Runs before each test; a file whose tests
# build on one another defines its own.
reset() {
    # Frozen or hung daemons, which some tests make, do not stop by asking. Those killed are reported, and a report
    # that starts cancels the stop of the alerter's socket: once more, then.
    timeout 10 systemctl stop 'atelier*' || {
        systemctl kill --signal=SIGKILL 'atelier-*.service'
        wait_until 10 systemctl stop 'atelier*'
    }
    rm -rf /var/lib/atelier* /var/backups/atelier /run/atelier* /etc/atelier /etc/credstore/* \
        /etc/systemd/system/atelier*.d /run/systemd/system/atelier*.d
    cp -a "$INSTALLED/etc-atelier" /etc/atelier
    systemd-tmpfiles --create atelier.conf
    systemctl daemon-reload
    systemctl reset-failed
    systemctl start atelier.target
    # Its hour may come in the middle of a test; those that are about it start it.
    systemctl stop atelier-backup.timer
}
