# shellcheck shell=bash
# Each method as each user: what docs/permissions.md says, and nothing else.
source "$CHECKOUT/tests/system/rig/requests.sh"

DOCUMENT=$CHECKOUT/docs/permissions.md

# calls COLUMN USER GROUP...: makes all calls as that user, with these groups beside its own.
calls() {
    local ids=() group
    for group in "${@:3}"; do
        ids+=("$(getent group "$group" | cut -d: -f3)")
    done
    setpriv --reuid="$2" --regid="$(id -g "$2")" --groups="$(IFS=, && echo "${ids[*]}")" \
        node "$CHECKOUT/tests/system/clients/permissions.mjs" "$DOCUMENT" "$1"
}

test_each_method_is_for_whom_the_document_says() {
    configure ''
    local methods user
    methods=$(grep -c '^| `io' "$DOCUMENT")
    ((methods > 70)) || fail "the document has $methods methods"
    calls atelier nobody atelier
    calls atelier-admin nobody atelier atelier-admin
    for user in api worker scheduler alerter alert; do
        calls atelier-$user atelier-$user atelier
    done
}

# Wrong parameters are found before anything is done.
test_what_is_let_through_does_nothing() {
    configure ''
    draw before
    atelierctl --json budget show >"$SCRATCH/before"
    calls atelier-admin nobody atelier atelier-admin
    atelierctl --json budget show | diff "$SCRATCH/before" -
    draw after
}

test_others_are_not_let_in() {
    local socket
    configure ''
    draw 'all daemons'
    for socket in /run/atelier/io.atelier.{Api,Worker,Scheduler,Alerter}; do
        [[ -S $socket ]] || fail "no $socket"
        assert_fails setpriv --reuid=nobody --regid=nogroup --clear-groups \
            node --eval "require('net').connect('$socket').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"
    done
}
