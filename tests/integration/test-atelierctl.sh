#!/bin/bash
#
# atelierctl beside daemons whose answers are written down here: every command as text, as JSON and in error, also the
# answers that real daemons give seldom. Prints TAP.
set -euo pipefail

TESTS=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${BUILD:-$TESTS/../build/plain}
ATELIERCTL=$(realpath "$BUILD/atelierctl")
FOLDER=$(mktemp -d)
export ATELIER_RUNTIME_DIRECTORY=$FOLDER

JOB='{"id": "job_1", "status": "queued", "model": "sandbox",
    "request": {"prompt": "a\u001b[31m tree", "size": "64x64"}, "created_at": 1700000000000000,
    "images": [], "attempts": []}'
FAILED='{"id": "job_1", "status": "failed", "model": "sandbox", "request": {"prompt": "x"},
    "created_at": 1, "images": [], "attempts": [{"number": 1, "provider": "openai", "outcome": "refused",
    "started_at": 1700000000000000, "cause": "quota"}],
    "failure": {"status": 429, "type": "t", "code": "quota", "message": "Your quota is used up."}}'
WAITING='{"id": "job_1", "status": "queued", "model": "sandbox", "request": {"prompt": "x"}, "created_at": 1,
    "retry_at": 1700000002500000, "images": [], "attempts": [{"number": 1, "provider": "openai", "outcome": "refused",
    "started_at": 1700000000000000, "cause": "HTTP 429", "retry_delay_usec": 2500000}]}'
RUN='{"id": "r1", "task": "backup", "result": "succeeded", "started_at": 1700000000000000,
    "ended_at": 1700000002500000, "message": "2 images, 27.0 MB"}'
RUNNING='{"id": "r1", "task": "backup", "result": "running", "started_at": 1700000000000000}'
BROKEN='{"id": "r2", "task": "backup", "result": "failed", "started_at": 1700000000000000,
    "message": "the disk is full"}'
ARCHIVE=atelier-20231114T221320Z-aa.tar.zst
ALERT='{"id": "a1", "name": "disk", "severity": "critical", "state": "firing", "source": "host", "summary": "full",
    "lines": [], "count": 3, "fired_at": 1700000000000000, "updated_at": 1, "deliveries": [{"receiver": "slack",
    "state": "failed", "attempts": 2, "error": "HTTP 404"}]}'
SENT='{"receiver": "hook", "state": "sent", "attempts": 1}'
UNSENT='{"receiver": "slack", "state": "failed", "attempts": 1, "error": "HTTP 404"}'

number=0 failed=0 said='' status=0

# answers METHOD SCRIPT [METHOD SCRIPT...]: from now on, and the calls are forgotten.
answers() {
    local text='' method
    while (($# > 0)); do
        method=$1
        text+="${text:+, }\"io.atelier.$method\": $2"
        shift 2
    done
    echo "{$text}" >"$FOLDER/answers.json"
    : >"$FOLDER/calls"
}

# ctl ARGUMENT...: sets status; $FOLDER/out and $FOLDER/err have what it said.
ctl() {
    said="atelierctl $*"
    status=0
    timeout 20 "$ATELIERCTL" "$@" >"$FOLDER/out" 2>"$FOLDER/err" </dev/null || status=$?
}

# verdict WHAT COMMAND...: a line of TAP.
verdict() {
    number=$((number + 1))
    if "${@:2}"; then
        echo "ok $number - $1"
        return
    fi
    failed=1
    echo "not ok $number - $1"
    { echo "after: $said (status $status)" && cat "$FOLDER/out" "$FOLDER/err" "$FOLDER/calls"; } | sed 's/^/#   /'
}

# expect WHAT STATUS OUT ERR: what the last call returned, regular expressions for what it said; '' for nothing.
expect() {
    local good=no
    ! is_as_expected "${@:2}" || good=yes
    verdict "$1" test $good = yes
}

is_as_expected() {
    [[ $status == "$1" ]] && says "$FOLDER/out" "$2" && says "$FOLDER/err" "$3"
}

says() {
    if [[ -z $2 ]]; then [[ ! -s $1 ]]; else [[ $(cat "$1") =~ $2 ]]; fi
}

# expect_json WHAT EXPRESSION: true of the one document that was printed, which is `it`.
expect_json() {
    verdict "$1" node -e "const it = JSON.parse(require('fs').readFileSync('$FOLDER/out')); process.exit($2 ? 0 : 1)"
}

# expect_calls WHAT EXPRESSION: true of the calls, which are `calls`.
expect_calls() {
    verdict "$1" node -e "const text = require('fs').readFileSync('$FOLDER/calls', 'utf8');
        const calls = text.trim().split('\n').map(JSON.parse);
        process.exit($2 ? 0 : 1)"
}

# wait_for TEXT FILE: until it is in there, 10 s at most.
wait_for() {
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        ! grep -q "$1" "$2" || return 0
        sleep 0.02
    done
    echo "# not within 10 s: '$1' in $2"
    exit 1
}

: >"$FOLDER/ready"
node "$TESTS/fakes/daemons.mjs" "$FOLDER" >"$FOLDER/ready" &
DAEMONS=$!
trap 'kill "$DAEMONS"; rm -rf "$FOLDER"' EXIT
wait_for ready "$FOLDER/ready"

# ------------------------------------------------------------------ jobs

answers Queue.List "{\"replies\": [{\"jobs\": [$JOB], \"has_more\": true}]}"
ctl jobs list
expect 'jobs list is a table' 0 \
    $'^ID +STATUS +CREATED .*\njob_1  queued  2023-11-14T22:13:20Z  sandbox       0  a\\\\x1b\\[31m tree' ''
ctl jobs list --limit=1
expect 'jobs list tells that there are more' 0 'There are more' ''
ctl jobs list --json --limit=3
expect_json 'jobs list --json is an array, through its pages' 'it.length === 3 && it[2].id === "job_1"'
expect_calls 'each page goes on behind the one before' 'calls.at(-1).parameters.after === "job_1" &&
    calls.at(-1).parameters.limit === 1 && calls.at(-1).parameters.caller.origin === "member"'
ctl jobs list --status=held --limit=1 --bogus
expect 'an unknown option is named' 2 '' "jobs list has no option '--bogus'"
answers Queue.List '{"replies": [{"jobs": [], "has_more": false}]}'
ctl jobs list
expect 'no job' 0 'no job yet' ''
ctl --json jobs list
expect_json 'no job is an empty array' 'it.length === 0'
answers Queue.List '{"error": "org.varlink.service.PermissionDenied", "replies": [{}]}'
ctl jobs list
expect 'who may not is told which group may' 1 '' 'group atelier-admin'

answers Queue.Get "{\"replies\": [{\"job\": $FAILED}]}"
ctl jobs show job_1
expect 'jobs show' 0 \
    $'job_1\n +status +failed\n.*failure +429 quota: Your quota is used up.\n +attempt +1: refused by openai' ''
ctl jobs show job_1 --json
expect_json 'jobs show --json' 'it.failure.code === "quota"'
answers Queue.Get "{\"replies\": [{\"job\": $WAITING}]}"
ctl jobs show job_1
expect 'jobs show of one that is to be tried again' 0 \
    $'next try +2023-11-14T22:13:22Z\n.*: HTTP 429\n +again +after 2.5 s' ''
answers Queue.Get '{"error": "io.atelier.Queue.JobNotFound", "replies": [{"id": "job_9"}]}'
ctl jobs show job_9
expect 'jobs show of no job' 1 '' 'no job job_9; see: atelierctl jobs list'

answers Queue.Cancel "{\"replies\": [{\"job\": ${JOB/queued/cancelled}}]}"
ctl jobs cancel job_1
expect 'jobs cancel is silent' 0 '' ''
ctl jobs cancel job_1 --json
expect_json 'jobs cancel --json' 'it.status === "cancelled"'
answers Queue.Cancel "{\"replies\": [{\"job\": ${JOB/queued/completed}}]}"
ctl jobs cancel job_1
expect 'jobs cancel of what has ended' 1 '' 'is completed already; .*jobs delete job_1'
answers Queue.Cancel '{"error": "io.atelier.Queue.JobInProgress", "replies": [{"id": "job_1"}]}'
ctl jobs cancel job_1
expect 'jobs cancel of what is paid' 1 '' 'may be paid already'

answers Queue.Get "{\"replies\": [{\"job\": $FAILED}]}" Queue.Cancel "{\"replies\": [{\"job\": $FAILED}]}"
ctl jobs delete job_1
expect 'jobs delete is silent' 0 '' ''
expect_calls 'jobs delete deletes' 'calls.at(-1).parameters.delete === true'
answers Queue.Get "{\"replies\": [{\"job\": $JOB}]}" Queue.Cancel "{\"replies\": [{\"job\": $JOB}]}"
ctl jobs delete job_1
expect 'jobs delete of what waits' 1 '' 'first: atelierctl jobs cancel job_1'
expect_calls 'what waits is not cancelled by that' 'calls.length === 1'

HELD=${JOB/\"created_at\"/\"held\": true, \"created_at\"}
answers Queue.Release '{"replies": [{"released": 2}]}' \
    Queue.List "{\"replies\": [{\"jobs\": [$JOB, $HELD], \"has_more\": false}]}"
ctl jobs resume --all
expect 'jobs resume --all' 0 '^2 jobs go on' ''
expect_calls 'all means no names' 'calls[0].parameters.ids === undefined'
ctl jobs resume a b c
expect 'jobs resume of some' 0 '^2 of 3 jobs go on' ''
ctl jobs resume a b --json
expect_json 'jobs resume --json' 'it.released === 2'
expect_calls 'names are passed on' 'calls.at(-1).parameters.ids.join() === "a,b"'
ctl jobs resume
expect 'jobs resume of nothing says how many are held' 2 '' '1 job is held.*--all'
ctl jobs resume --all x
expect 'jobs resume --all takes no names' 2 '' 'without names'
ctl jobs list --status=held --json
expect_json 'held jobs are found among the queued' 'it.length === 1 && it[0].held'

# ------------------------------------------------------------------ generate

answers Queue.Submit "{\"replies\": [{\"job\": $JOB}, {\"job\": ${JOB/queued/in_progress}}, {\"job\": $FAILED}]}"
ctl generate 'a tree' -o "$FOLDER/x.png" -n 2 --size=64x64 --model=sandbox --quality=high
expect 'generate says why it failed' 1 '' 'job job_1 failed: Your quota is used up.'
expect_calls 'generate submits what was asked for' 'calls[0].parameters.caller.origin === "member" &&
    require("util").isDeepStrictEqual(calls[0].parameters.request,
        { prompt: "a tree", model: "sandbox", size: "64x64", quality: "high", n: 2 })'
ctl generate x -o "$FOLDER/x.png" --json
expect_json 'generate --json prints the job' 'it.status === "failed"'
answers Queue.Submit "{\"hangUps\": 2, \"replies\": [{\"job\": $FAILED}]}"
ctl generate x -o "$FOLDER/x.png"
expect 'a lost connection is asked again' 1 '' 'quota is used up'
expect_calls 'with the same request id' 'calls.length === 3 &&
    new Set(calls.map(call => call.parameters.request_id)).size === 1 &&
    /^[0-9a-f]{32}$/.test(calls[0].parameters.request_id)'
answers Queue.Submit "{\"replies\": [{\"job\": $JOB}, null]}"
ctl generate x -o "$FOLDER/x.png" --timeout=1s
expect 'a timeout tells how to go on' 1 '' 'the job goes on.*jobs show job_1.*jobs fetch job_1'
answers Queue.Submit '{"error": "io.atelier.Queue.Refused", "replies": [{"status": 400, "type": "t",
    "code": "invalid_value", "message": "Bad size."}]}'
ctl generate x -o "$FOLDER/x.png" --size=1x1
expect 'what is refused says why' 1 '' 'refused \(invalid_value\): Bad size.'
touch "$FOLDER/there.png" "$FOLDER/calls"
: >"$FOLDER/calls"
ctl generate x -o "$FOLDER/there.png"
expect 'nothing is written over' 1 '' 'is there already.*--force'
verdict 'and nothing was asked for' test ! -s "$FOLDER/calls"

answers Queue.Submit "{\"replies\": [{\"job\": $JOB}, null]}"
said='atelierctl generate, interrupted' status=0
"$ATELIERCTL" generate x -o "$FOLDER/x.png" --timeout=20s >"$FOLDER/out" 2>"$FOLDER/err" &
wait_for 'job_1: queued' "$FOLDER/err"
kill -TERM $!
wait $! || status=$?
verdict 'interrupted it tells how to go on' grep -q 'jobs fetch job_1' "$FOLDER/err"
verdict 'and ends by the signal' test "$status" = 143

# ------------------------------------------------------------------ tasks

answers Tasks.List "{\"replies\": [{\"tasks\": [{\"name\": \"backup\",
    \"description\": \"All of it\", \"last\": $RUN}]}]}"
ctl task list
expect 'task list' 0 'backup +2023-11-14T22:13:20Z +succeeded +All of it' ''
ctl task list --json
expect_json 'task list --json' 'it[0].last.result === "succeeded"'
answers Tasks.Run "{\"replies\": [{\"run\": $RUNNING, \"done\": 500000, \"total\": 1000000}, {\"run\": $RUN}]}"
ctl task run backup
expect 'task run' 0 '^2 images, 27.0 MB' 'backup: 50 %, 500.0 kB of 1.0 MB'
ctl task run backup --json
expect_json 'task run --json' 'it.id === "r1"'
answers Tasks.Run "{\"replies\": [{\"run\": $BROKEN}]}"
ctl task run backup
expect 'task run has the status of the run' 1 '' 'task backup failed: the disk is full'
answers Tasks.Run "{\"error\": \"io.atelier.Tasks.TaskRunning\", \"replies\": [{\"run\": $RUNNING}]}"
ctl task run backup
expect 'a task that runs says since when' 1 '' 'running already, since 2023-11-14T22:13:20Z'
answers Tasks.Run '{"error": "io.atelier.Tasks.TaskNotFound", "replies": [{"task": "x"}]}'
ctl task run x
expect 'no such task' 1 '' "no task 'x'; see: atelierctl task list"
answers Tasks.History "{\"replies\": [{\"runs\": [$BROKEN, $RUN]}]}"
ctl task history
expect 'task history' 0 \
    $'backup  2023-11-14T22:13:20Z      -  failed     the disk is full\nbackup .* 2.5 s  succeeded' ''
ctl task history backup --limit=2 --json
expect_json 'task history --json' 'it.length === 2 && it[0].id === "r2"'
expect_calls 'task history passes on what was asked for' \
    'calls.at(-1).parameters.limit === 2 && calls.at(-1).parameters.task === "backup"'
ctl task history --limit=many
expect 'task history takes a number' 2 '' '--limit takes a number'

# ------------------------------------------------------------------ backups

answers Backups.List "{\"replies\": [{\"backups\": [{\"name\": \"$ARCHIVE\", \"created_at\": 1700000000000000,
    \"size_bytes\": 27000000}]}]}"
ctl backup list
expect 'backup list' 0 "2023-11-14T22:13:20Z  27.0 MB  $ARCHIVE" ''
ctl backup list --json
expect_json 'backup list --json' "it[0].name === '$ARCHIVE'"
answers Backups.Verify "{\"replies\": [{\"name\": \"$ARCHIVE\", \"done\": 1, \"total\": 4},
    {\"name\": \"$ARCHIVE\", \"done\": 4, \"total\": 4, \"members\": 7, \"bytes\": 1000}]}"
ctl backup verify
expect 'backup verify' 0 "^$ARCHIVE is sound: 7 members, 1.0 kB" 'verifying: 25 %'
ctl backup verify x --json
expect_json 'backup verify --json' 'it.members === 7'
expect_calls 'the name is passed on' 'calls.at(-1).parameters.name === "x" && calls[0].parameters.name === undefined'
answers Backups.Verify "{\"error\": \"io.atelier.Backups.BackupRefused\", \"replies\": [{\"name\": \"$ARCHIVE\",
    \"reason\": \"atelier.db: hash differs\"}]}"
ctl backup verify
expect 'a bad archive is named, with the reason' 1 '' "$ARCHIVE is refused: atelier.db: hash differs"
answers Backups.Restore "{\"replies\": [{\"name\": \"$ARCHIVE\", \"done\": 4, \"total\": 4,
    \"jobs\": 5, \"images\": 4, \"held\": 3, \"missing\": 1, \"former\": \"former-1\"}]}"
ctl backup restore --yes
expect 'backup restore says how to go on' 0 \
    'is restored: 5 jobs, 4 images.*1 image was missing.*3 unfinished.*jobs resume --all.*former-1.*backup discard' ''
ctl backup restore --yes --json
expect_json 'backup restore --json' 'it.held === 3'
ctl backup restore
expect 'without a terminal nothing is restored' 2 '' '--yes'
answers Backups.Restore \
    '{"error": "io.atelier.Backups.Busy", "replies": [{"task": "backup", "started_at": 1700000000000000}]}'
ctl backup restore --yes
expect 'a restore beside a backup' 1 '' 'task backup is running, since 2023-11-14T22:13:20Z; .*task history backup'
answers Store.DiscardFormer '{"replies": [{"removed": ["former-1"]}]}'
ctl backup discard --yes
expect 'backup discard' 0 '^former-1 is removed' ''
ctl backup discard --yes --json
expect_json 'backup discard --json' 'it[0] === "former-1"'
ctl backup discard
expect 'without a terminal nothing is discarded' 2 '' '--yes'

# ------------------------------------------------------------------ alerts

answers Alerts.List "{\"replies\": [{\"alerts\": [$ALERT]}]}"
ctl alerts list
expect 'alerts list' 0 'a1  critical  firing  2023-11-14T22:13:20Z +3  host +disk  full +slack: failed \(HTTP 404\)' ''
ctl alerts list --all --json
expect_json 'alerts list --json' 'it[0].count === 3'
expect_calls 'without --all what is firing' \
    'calls[0].parameters.state === "firing" && calls[1].parameters.state === undefined'
answers Alerts.Fire "{\"replies\": [{\"alert\": $ALERT}]}"
ctl alerts fire disk --severity=critical --source=host --key=k
expect 'alerts fire tells the id' 0 '^a1$' ''
expect_calls 'alerts fire passes all on' 'require("util").isDeepStrictEqual(calls[0].parameters,
    { key: "k", name: "disk", severity: "critical", source: "host", summary: "disk" })'
ctl alerts fire disk --severity=critical --source=host --summary=full --json
expect_json 'alerts fire --json' 'it.id === "a1"'
ctl alerts fire disk --severity=critcal --source=host
expect 'a severity that is almost right' 2 '' 'did you mean --severity=critical'
ctl alerts fire --unit=x --source=host
expect 'alerts fire --unit goes alone' 2 '' 'goes alone'
answers Alerts.Resolve "{\"replies\": [{\"alert\": ${ALERT/firing/resolved}}]}"
ctl alerts resolve a1
expect 'alerts resolve is silent' 0 '' ''
ctl alerts resolve a1 --json
expect_json 'alerts resolve --json' 'it.state === "resolved"'
answers Alerts.Resolve '{"error": "io.atelier.Alerts.AlertNotFound", "replies": [{"id": "a9"}]}'
ctl alerts resolve a9
expect 'no such alert' 1 '' 'no alert a9; see: atelierctl alerts list --all'
answers Alerts.TestReceiver "{\"replies\": [{\"deliveries\": [$SENT]}]}"
ctl alerts test hook
expect 'alerts test' 0 'hook +sent' ''
answers Alerts.TestReceiver "{\"replies\": [{\"deliveries\": [$SENT, $UNSENT]}]}"
ctl alerts test
expect 'alerts test fails when one receiver does' 1 'slack +failed +HTTP 404' '1 of 2 receivers could not be told'
ctl alerts test --json
expect_json 'alerts test --json' 'it[1].state === "failed"'
answers Alerts.TestReceiver '{"error": "io.atelier.Alerts.ReceiverNotFound", "replies": [{"receiver": "x"}]}'
ctl alerts test x
expect 'no such receiver' 1 '' "no receiver 'x'"

# ------------------------------------------------------------------ daemons

answers Daemon.GetStatus '{"replies": [{"daemon": "worker", "version": "1", "pid": 7, "started_at": 1700000000000000,
    "status": "1 running", "environment": "test", "facts": [{"name": "a", "value": "\u001b[2J"}]}]}'
ctl status worker
expect 'status' 0 $'^atelier-worker +1 running\n  7 since 2023-11-14T22:13:20Z, test, version 1\n  a: \\\\x1b\\[2J' ''
answers Daemon.GetStatus '{"replies": []}'
ctl status worker
expect 'a daemon that hangs is given up' 1 '' 'atelier-worker does not answer; see: journalctl -u atelier-worker'
answers Queue.Pause '{}'
ctl queue pause --json
expect_json 'queue pause --json' 'Object.keys(it).length === 0'
ctl queue resume
expect 'a method that is not there' 1 '' 'does not know io.atelier.Queue.Resume: .*different versions'
ctl --version
expect 'the version' 0 '^atelier [0-9]' ''
ctl jobs list --help
expect 'help of a command' 0 '^atelierctl jobs list .*--status=STATUS' ''
said='atelierctl --version >/dev/full' status=0
"$ATELIERCTL" --version >/dev/full 2>"$FOLDER/err" || status=$?
: >"$FOLDER/out"
expect 'what could not be written is no success' 1 '' 'not all could be written'
ctl job list
expect 'the nearest command is named' 2 '' 'did you mean: atelierctl jobs'

echo "1..$number"
exit $failed
