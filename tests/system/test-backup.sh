# shellcheck shell=bash
# The timer makes archives that are whole, beside the work, one at a time, and whatever is killed meanwhile.
deadline=180
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/backups.sh"

SUBMISSIONS=20000
CLIENTS=64
TRIES=6
KILLS=50

# stop_worker: a state exists, and nobody uses it.
stop_worker() {
    draw first
    systemctl stop 'atelier-*.service'
}

fire_the_timer_soon() {
    mkdir -p /run/systemd/system/atelier-backup.timer.d
    printf '[Timer]\nOnCalendar=\nOnActiveSec=1s\nAccuracySec=1ms\n' >/run/systemd/system/atelier-backup.timer.d/soon.conf
    systemctl daemon-reload
    systemctl restart atelier-backup.timer
}

p99_of_submissions() {
    node "$CHECKOUT/tests/system/submitters.mjs" $SUBMISSIONS $CLIENTS | sed -E 's/.* p99 ([0-9]+) us/\1/'
}

has_archives() {
    (($(archives | wc -l) >= $1))
}

task_ended() {
    [[ $(systemctl show --value --property=ExecMainExitTimestampMonotonic atelier-task@backup) != 0 ]] &&
        unit_is atelier-task@backup inactive
}

test_the_timer_makes_a_whole_archive() {
    draw one
    draw two
    fire_the_timer_soon
    wait_until 20 has_archives 1
    wait_until 10 task_ended
    assert_eq success "$(systemctl show --value --property=Result atelier-task@backup)"
    assert_whole "$(archives)"
    assert_eq "$(images)" "$(unpacked_images "$(archives)")"
    assert_match '^atelier-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{64}\.tar\.zst$' "$(archives)"
    assert_eq '640 atelier-scheduler atelier-admin' "$(stat --format='%a %U %G' "$BACKUPS/$(archives)")"
}

# unpacked_images ARCHIVE: as images() does of the state.
unpacked_images() {
    mkdir "$SCRATCH/by-hand"
    tar --zstd -xf "$BACKUPS/$1" -C "$SCRATCH/by-hand"
    (cd "$SCRATCH/by-hand/images" && find . -type f -print0 | xargs -0r sha256sum | sort -k2)
}

test_an_archive_holds_the_configuration_and_no_secret() {
    install -D -m 0600 /dev/stdin /etc/credstore/openai-api-key <<<sk-canary-0123456789
    configure 'trust_loopback = true; worker = { concurrency = 3; };'
    draw one
    atelierctl task run backup
    mkdir "$SCRATCH/all"
    tar --zstd -xf "$BACKUPS/$(archives)" -C "$SCRATCH/all"
    grep -rq 'concurrency = 3' "$SCRATCH/all/config"
    cmp /etc/atelier/models.conf "$SCRATCH/all/config/models.conf"
    assert_fails grep -rq canary "$SCRATCH/all"
}

# With the machine to themselves, then beside a backup of 300 MB: some noise is the machine's, so the best of a few.
test_submissions_go_on_beside_a_backup() {
    configure "worker = { queue_max = $((SUBMISSIONS * TRIES * 2 + 1)); };"
    stop_worker
    make_images 3000 100000
    atelierctl queue pause
    local try alone beside
    for ((try = 1; try <= TRIES; try++)); do
        alone=$(p99_of_submissions)
        fire_the_timer_soon
        wait_until 10 unit_is atelier-task@backup activating
        beside=$(p99_of_submissions)
        wait_until 60 has_archives "$try"
        echo "p99 alone $alone us, beside a backup $beside us"
        ((beside > 2 * alone)) || return 0
    done
    fail "p99 alone $alone us, beside a backup $beside us"
}

test_a_missed_run_is_caught_up_once() {
    draw one
    systemctl stop atelier-backup.timer
    touch --date='2 days ago' /var/lib/systemd/timers/stamp-atelier-backup.timer
    systemctl start atelier-backup.timer
    wait_until 20 has_archives 1
    wait_until 10 task_ended
    systemctl restart atelier-backup.timer
    assert_eq 1 "$(runs)"
    assert_eq 1 "$(archives | wc -l)"
}

backup_is_running() {
    [[ $(last_run 2>/dev/null) == running ]]
}

# A worker that stands still keeps the first run from ending.
test_two_runs_never_overlap() {
    draw one
    kill -STOP "$(main_pid worker)"
    atelierctl task run backup >"$SCRATCH/first" 2>&1 &
    local first=$! said
    wait_until 10 backup_is_running
    said=$(assert_fails atelierctl task run backup 2>&1)
    assert_match 'running' "$said"
    kill -CONT "$(main_pid worker)"
    wait "$first"
    assert_eq 1 "$(runs)"
    assert_eq 1 "$(archives | wc -l)"
}

has_alert() {
    atelierctl --json alerts list --all >"$SCRATCH/body" 2>/dev/null &&
        [[ $(answer "body.filter(a => a.source === '$1').length") == 1 ]]
}

test_a_failing_backup_alerts() {
    draw one
    mount -t tmpfs -o size=1k,ro none $BACKUPS
    systemctl restart atelier-scheduler
    assert_fails systemctl start atelier-task@backup
    umount $BACKUPS
    assert_eq failed "$(last_run)"
    wait_until 15 has_alert atelier-task@backup.service
    assert_match 'Read-only' "$(atelierctl --json alerts list --all)"
}

# In the midst of it the worker stands still, so that there is time to look.
test_progress_is_seen_in_status() {
    stop_worker
    make_images 3000 100000
    systemctl start --no-block atelier-task@backup
    wait_until 20 archive_grows
    kill -STOP "$(main_pid worker)"
    wait_until 10 status_text_of_task_matches '[0-9] MB'
    kill -CONT "$(main_pid worker)"
    wait_until 60 task_ended
}

archive_grows() {
    [[ -n $(find $BACKUPS -name '*.partial' -size +1M) ]]
}

status_text_of_task_matches() {
    [[ $(systemctl show --value --property=StatusText atelier-task@backup) =~ $1 ]]
}

runs_now() {
    (($(main_pid "$1") > 0))
}

# kill_after_a_while NAME: at a moment that nobody chose.
kill_after_a_while() {
    local pid
    wait_until 10 runs_now "$1"
    sleep "0.$(printf %03d $((RANDOM % 300)))"
    pid=$(main_pid "$1")
    ((pid == 0)) || kill -KILL "$pid" || [[ ! -e /proc/$pid ]]
}

# What is there after each is whole; what a run has left, the next one removes.
test_kills_leave_no_archive_that_only_looks_whole() {
    stop_worker
    make_images 200 400000
    configure ''
    local number archive cut=0
    for ((number = 0; number < KILLS; number++)); do
        systemctl stop atelier-scheduler atelier-worker
        atelierctl task run backup >"$SCRATCH/said" 2>&1 &
        local run=$!
        kill_after_a_while "$( ((number % 2)) && echo worker || echo scheduler)"
        wait "$run" || cut=$((cut + 1))
        for archive in $(archives); do
            assert_whole "$archive"
            rm "$BACKUPS/$archive"
        done
    done
    echo "$cut of $KILLS runs were cut off"
    ((cut >= KILLS / 4)) || fail "only $cut of $KILLS runs were cut off"

    atelierctl task run backup
    assert_eq '' "$(leftovers)"
    assert_whole "$(archives)"
    # Each run that died with the scheduler has been found.
    assert_match 'interrupted' "$(atelierctl task history backup)"
    assert_fails grep -q '"result":"running"' <(atelierctl --json task history backup)
}
