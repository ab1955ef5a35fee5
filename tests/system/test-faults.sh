# shellcheck shell=bash
# What a full and a failing disk do to a submission, and how many submissions share one write to a good one.
deadline=60
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/sync-fault.sh"

STATE=/var/lib/atelier
SYNC_DELAY_MS=5
SUBMITTERS=64
SUBMISSIONS=3200
SUBMISSIONS_A_SYNC_MIN=32
# The submitters must come back within one sync: a busy machine gets more than one try.
TRIES=3

jobs() {
    node "$CHECKOUT/tests/system/jobs.mjs" "$@"
}

worker_pid() {
    systemctl show --value --property=MainPID atelier-worker
}

submit_one() {
    request --json "{\"model\": \"sandbox\", \"prompt\": \"$1\", \"size\": \"64x64\"}" \
        --header 'Prefer: respond-async' "$ATELIER/v1/images/generations"
}

statuses() {
    jobs show | cut -f2 | sort | uniq -c | xargs
}

job_statuses_are() {
    [[ $(statuses) == "$1" ]]
}

# ------------------------------------------------------------------ a full disk

# A disk of its own for the state, so small that it is soon full. The mount goes with the test's machine, or here.
mount_small_disk() {
    systemctl stop 'atelier*'
    install -d -m 0700 $STATE
    mount -t tmpfs -o "size=4M,mode=0700" small $STATE
    trap 'systemctl stop "atelier*"; umount $STATE; rm -rf "$SCRATCH"' EXIT
    systemctl start atelier.target
}

fill_disk() {
    assert_fails dd if=/dev/zero of=$STATE/filler bs=4k status=none
}

test_full_disk_is_said_and_heals_by_itself() {
    mount_small_disk
    configure 'worker = { storage_free_min = "0"; };'
    submit_one first
    assert_eq 202 "$STATUS"
    wait_until 10 job_statuses_are '1 completed'
    local worker
    worker=$(worker_pid)

    fill_disk
    submit_one refused
    assert_error 503 storage_full
    assert_match 'disk.*full' "$(answer body.error.message)"
    assert_eq '1 completed' "$(statuses)" 'half a job'

    rm $STATE/filler
    submit_one second
    assert_eq 202 "$STATUS"
    wait_until 10 job_statuses_are '2 completed'
    assert_eq "$worker" "$(worker_pid)" 'the worker was restarted'
}

test_disk_that_is_nearly_full_is_not_filled_up() {
    mount_small_disk
    configure 'worker = { storage_free_min = "1G"; };'
    submit_one refused
    assert_error 503 storage_full
    assert_eq '' "$(statuses)"
}

# The image is there, its job can't be written: it is tried until it can.
test_what_was_paid_for_is_kept_until_the_disk_has_room() {
    mount_small_disk
    configure 'worker = { storage_free_min = "0"; concurrency = 1; };
        providers = ( { name = "sandbox"; delay = "500ms"; } );'
    # Enough of them to need a new page of the log at every step.
    jobs submit 8 8 >"$SCRATCH/accepted"
    fill_disk
    sleep_until_logged "can't be"
    rm $STATE/filler
    wait_until 20 nothing_waits
    # What could not be stored has failed and says so; nothing is lost, nothing hangs.
    assert_eq 8 "$(jobs show | grep -cP '\t(completed\t1\t-|failed\t\d+\tstorage_(full|unavailable))$')" "$(jobs show)"
}

sleep_until_logged() {
    wait_until 20 logged "$1"
}

logged() {
    grep -q -- "$1" <(journal --unit=atelier-worker --output=cat)
}

nothing_waits() {
    jobs show >"$SCRATCH/shown" || return 1
    ! grep -qE '^(queued|in_progress)$' <(cut -f2 "$SCRATCH/shown")
}

# ------------------------------------------------------------------ a failing disk

syncs() {
    stat --format=%s $FAULT/count
}

test_failed_fsync_refuses_and_what_it_refused_never_runs() {
    install_sync_fault
    configure ''
    submit_one first
    assert_eq 202 "$STATUS"
    wait_until 10 job_statuses_are '1 completed'
    local worker
    worker=$(worker_pid)

    touch $FAULT/fail
    submit_one doubtful &
    local client=$!
    wait_until 10 logged 'a commit failed'
    # With the store closed, others are refused at once.
    submit_one refused
    assert_error 503 storage_unavailable
    kill -0 "$client"

    rm $FAULT/fail
    wait_until 10 logged 'the store is open again'
    wait "$client"
    assert_eq '1 cancelled 1 completed' "$(statuses)"

    submit_one second
    assert_eq 202 "$STATUS"
    wait_until 10 job_statuses_are '1 cancelled 2 completed'
    assert_eq "$worker" "$(worker_pid)" 'the worker was restarted'
    assert_eq 2 "$(journal --unit=atelier-worker --output=cat | grep -c 'attempt 1 at sandbox completed')"
}

test_client_in_doubt_is_told_when_doubt_is_settled() {
    install_sync_fault
    configure ''
    atelierctl queue pause
    submit_one first
    touch $FAULT/fail
    (submit_one doubtful && assert_error 503 storage_unavailable) &
    local client=$!
    wait_until 10 logged 'a commit failed'
    kill -0 "$client"
    rm $FAULT/fail
    wait "$client"
    assert_eq '1 cancelled 1 queued' "$(statuses)"
}

# Nobody was told anything: who asks again after the crash finds the job, and it runs.
test_worker_killed_in_doubt_has_refused_nothing() {
    install_sync_fault
    configure ''
    submit_one first
    wait_until 10 job_statuses_are '1 completed'
    touch $FAULT/fail
    (submit_one doubtful && assert_eq 202 "$STATUS") &
    local client=$!
    wait_until 10 logged 'a commit failed'
    kill -KILL "$(worker_pid)"
    rm $FAULT/fail
    wait "$client"
    wait_until 10 job_statuses_are '2 completed'
}

# ------------------------------------------------------------------ a slow disk

test_many_submitters_share_a_sync() {
    install_sync_fault
    configure ''
    atelierctl queue pause
    submit_one first
    echo $SYNC_DELAY_MS >$FAULT/delay
    local try before submissions_a_sync
    for ((try = 0; try < TRIES; try++)); do
        before=$(syncs)
        node "$CHECKOUT/tests/system/submitters.mjs" $SUBMISSIONS $SUBMITTERS
        submissions_a_sync=$((SUBMISSIONS / ($(syncs) - before)))
        echo "$submissions_a_sync submissions a sync"
        ((submissions_a_sync < SUBMISSIONS_A_SYNC_MIN)) || return 0
    done
    fail "at most $submissions_a_sync submissions a sync"
}

test_one_submitter_waits_for_one_sync() {
    install_sync_fault
    configure ''
    atelierctl queue pause
    submit_one first
    local before
    before=$(syncs)
    jobs submit 100 1 >"$SCRATCH/accepted"
    assert_eq 100 $(($(syncs) - before)) 'syncs'
}
