# shellcheck shell=bash
# atelierctl runs tasks, and looks after backups.
deadline=90
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/backups.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

test_tasks_are_listed() {
    ctl task list
    assert_said 0 $'^TASK +LAST RUN +RESULT +DESCRIPTION\nbackup +- +- '
    ctl task list --json
    assert_eq backup "$(json 'it[0].name')"
}

test_a_task_is_run() {
    draw one
    ctl task run backup
    assert_said 0 '.'
    assert_whole "$(archives)"
    draw two
    ctl --json task run backup
    assert_eq 'backup succeeded' "$(json '`${it.task} ${it.result}`')"
    ctl task list
    assert_match 'succeeded' "$(out)"
}

test_runs_are_remembered() {
    ctl task history
    assert_said 0 'no run yet'
    draw one
    ctl task run backup
    draw two
    ctl task run backup
    ctl task history backup --limit=1
    assert_eq 2 "$(wc -l <"$SCRATCH/out")"
    assert_match $'^TASK +STARTED +TOOK +RESULT +MESSAGE\nbackup  20[0-9-]+T[0-9:]+Z +[0-9.]+ s  succeeded' "$(out)"
    ctl task history --json
    assert_eq 'succeeded,succeeded' "$(json 'it.map(run => run.result).join()')"
}

test_a_failed_run_says_why() {
    draw one
    systemctl stop atelier-scheduler
    mount -t tmpfs -o ro none $BACKUPS
    ctl task run backup
    umount $BACKUPS
    assert_said 1 '' 'task backup failed: .*Read-only'
    ctl task history
    assert_match 'failed' "$(out)"
}

test_tasks_that_are_not_there() {
    ctl task run dance
    assert_said 1 '' "there is no task 'dance'; see: atelierctl task list"
}

test_tasks_are_for_admins() {
    as atelier task run backup
    assert_said 1 '' 'group atelier-admin'
    draw one
    as atelier,atelier-admin task run backup
    assert_eq 0 "$STATUS" "$(err)"
}

test_backups_are_listed() {
    ctl backup list
    assert_said 0 'There is no backup yet; make one with: atelierctl task run backup'
    draw one
    atelierctl task run backup
    ctl backup list
    assert_said 0 $'^CREATED +SIZE  NAME\n20[0-9-]+T[0-9:]+Z +[0-9.]+ k?B  '"$(archives)"
    ctl --json backup list
    assert_eq "$(archives)" "$(json 'it[0].name')"
    assert_eq "$(stat --format=%s "$BACKUPS/$(archives)")" "$(json 'it[0].size_bytes')"
}

test_backups_are_verified() {
    ctl backup verify
    assert_said 1 '' 'there is no backup; see: atelierctl backup list'
    draw one
    atelierctl task run backup
    ctl backup verify
    assert_said 0 "^$(archives) is sound: [0-9]+ members"
    ctl --json backup verify "$(archives)"
    assert_eq "$(archives)" "$(json it.name)"
    ctl backup verify none
    assert_said 1 '' 'there is no backup none'
    printf x >>"$BACKUPS/$(archives)"
    ctl backup verify
    assert_said 1 '' "$(archives) is refused: "
}

test_a_restore_says_how_to_go_on() {
    draw one
    atelierctl queue pause
    node "$CHECKOUT/tests/system/jobs.mjs" submit 2 1 >"$SCRATCH/waiting"
    atelierctl task run backup
    ctl backup restore --yes
    assert_said 0 'is restored: 3 jobs, 1 images'
    assert_match '2 unfinished jobs are held.*atelierctl jobs resume --all' "$(out)"
    assert_match 'kept as former-.*atelierctl backup discard' "$(out)"
    ctl jobs resume
    assert_said 2 '' '2 jobs are held'
    ctl backup discard --yes
    assert_said 0 '^former-.* is removed'
    ctl backup discard --yes --json
    assert_eq '[]' "$(out)"
}

# answer_typed ANSWER COMMAND: at a terminal.
answer_typed() {
    STATUS=0
    script --quiet --return --command "$2" /dev/null <<<"$1" >"$SCRATCH/out" || STATUS=$?
}

test_a_restore_asks_before() {
    draw one
    atelierctl task run backup
    draw two
    answer_typed n 'atelierctl backup restore'
    assert_eq 1 "$STATUS" "$(out)"
    assert_match "Put $(archives) in the place of .*nothing was done" "$(out)"
    ctl --json jobs list
    assert_eq 2 "$(json it.length)"
    answer_typed y 'atelierctl backup restore'
    assert_eq 0 "$STATUS" "$(out)"
    ctl --json jobs list
    assert_eq 1 "$(json it.length)"
    answer_typed '' 'atelierctl backup discard'
    assert_eq 1 "$STATUS" "$(out)"
    answer_typed yes 'atelierctl backup discard'
    assert_match 'is removed' "$(out)"
}
