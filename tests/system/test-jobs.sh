# shellcheck shell=bash
# Jobs as they are listed: to whom, and never more than a message holds.
source "$CHECKOUT/tests/system/rig/requests.sh"

LIST_JOBS=40
DATABASE=/var/lib/atelier/current/atelier.db

test_long_list_ends_early_instead_of_failing() {
    local seen=0 after='' shown
    configure 'worker = { storage_free_min = 0; };'
    node -e 'process.stdout.write(JSON.stringify(
        { model: "sandbox", size: "64x64", prompt: "\u0001".repeat(32000) }))' >"$SCRATCH/large"
    for ((i = 0; i < LIST_JOBS; i++)); do
        curl --fail --silent --output /dev/null --header 'Prefer: respond-async' \
            --json "@$SCRATCH/large" "$ATELIER/v1/images/generations"
    done

    # Page by page all of them are there.
    while true; do
        curl --fail --silent "$ATELIER/v1/jobs?limit=100$after" >"$SCRATCH/body"
        shown=$(answer 'body.data.length')
        ((shown > 0)) || fail 'an empty page'
        seen=$((seen + shown))
        [[ $(answer 'body.has_more') == true ]] || break
        after="&after=$(answer 'body.data.at(-1).id')"
    done
    assert_eq $LIST_JOBS $seen
}

# A key that has gone missing must not open what it paid for to every local client.
test_paid_history_stays_closed_without_its_key() {
    draw 'the first, so that there is a database'
    systemctl stop atelier-worker.service
    sqlite3 $DATABASE "INSERT INTO attempt (job, number, provider, outcome, started_at)
        SELECT sequence, 2, 'openai', 1, 1 FROM job LIMIT 1"

    curl --silent "$ATELIER/v1/jobs" >"$SCRATCH/body"
    assert_eq caller_not_trusted "$(answer 'body.error.code')"
    curl --fail --silent --unix-socket /run/atelier/api.sock http://localhost/v1/jobs >"$SCRATCH/body"
    assert_eq 1 "$(answer 'body.data.length')"
    draw 'the sandbox still draws for everybody'
}
