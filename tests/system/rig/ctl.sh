# shellcheck shell=bash
#
# ctl.sh: what the tests of atelierctl share. Sourced after requests.sh.

# ctl ARGUMENT...: sets STATUS, fills $SCRATCH/out and $SCRATCH/err.
ctl() {
    STATUS=0
    atelierctl "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" || STATUS=$?
}

# as GROUPS ARGUMENT...: the same as a user who is in those groups, divided by commas, and in no other.
as() {
    local group ids=()
    for group in ${1//,/ }; do
        ids+=("$(getent group "$group" | cut -d: -f3)")
    done
    STATUS=0
    setpriv --reuid=nobody --regid=nogroup --groups="$(IFS=, && echo "${ids[*]}")" \
        atelierctl "${@:2}" >"$SCRATCH/out" 2>"$SCRATCH/err" || STATUS=$?
}

out() {
    cat "$SCRATCH/out"
}

err() {
    cat "$SCRATCH/err"
}

# json EXPRESSION: prints what the expression makes of the one document that was printed, which is `it`.
json() {
    node --print "const it = JSON.parse(require('fs').readFileSync('$SCRATCH/out')); $1"
}

# assert_said STATUS OUT [ERR]: what the last call returned, and regular expressions for what it said.
assert_said() {
    assert_eq "$1" "$STATUS" "$(err)"
    assert_match "$2" "$(out)"
    assert_match "${3:-}" "$(err)"
}
