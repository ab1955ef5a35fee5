# shellcheck shell=bash
# The audit trail: who did what, and that nothing vanishes from it.
deadline=240
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

DATABASE=/var/lib/atelier/current/atelier.db
RESTLESS=10000
RESTLESS_SANITIZED=1000
RESTLESS_CONNECTIONS=16

# records EXPRESSION: prints what the expression makes of all records, which are `all`.
records() {
    atelierctl audit export >"$SCRATCH/records"
    node --print "const all = require('fs').readFileSync('$SCRATCH/records', 'utf8').split('\n').filter(Boolean).map(JSON.parse); $1"
}

# of_object ID: what was recorded of it, with the outcomes.
of_object() {
    records "all.filter(r => r.object == '$1').map(r => r.action + ' ' + r.outcome).join()"
}

test_a_job_leaves_its_trail_with_who_asked_for_it() {
    configure 'require_key = "always";'
    local key id
    key=$(atelierctl keys create reader)
    id=$(atelierctl keys list --json | node --print 'JSON.parse(require("fs").readFileSync(0))[0].id')
    draw 'for the trail' --header "Authorization: Bearer $key"
    request --header "Authorization: Bearer $key" "$ATELIER/v1/jobs"
    local job
    job=$(answer 'body.data[0].id')
    assert_eq 'job.accepted ok,job.completed ok' "$(of_object "$job")"
    assert_eq 'key.created ok' "$(of_object "$id" | sed 's/,.*//')"
    assert_eq "$id sandbox" "$(records "all.filter(r => r.object == '$job').map(r => r.key + ' ' + r.model)[0]")"
    request --header "Authorization: Bearer $key" --request DELETE "$ATELIER/v1/jobs/$job"
    assert_eq 200 "$STATUS"
    assert_eq 'job.accepted ok,job.completed ok,io.atelier.Queue.Get ok,job.deleted ok,io.atelier.Queue.Cancel ok' "$(of_object "$job")"
    assert_eq "$id loopback 127.0.0.1" \
        "$(records "all.filter(r => r.action == 'io.atelier.Queue.List').map(r => [r.key, r.origin, r.address].join(' '))[0]")"
    ctl audit show --key="$id" --json
    assert_eq "$id" "$(json '[...new Set(it.map(r => r.key))].join()')"
    ctl audit show --limit=3
    assert_match "key $id from 127.0.0.1 +io.atelier.Queue.Cancel +ok" "$(out)"
    ctl audit verify
    assert_said 0 'records are as they were written; the journal has [1-9][0-9]* of them'
}

test_refusals_name_nobody_and_are_counted_together() {
    configure 'require_key = "always";'
    atelierctl keys create somebody >/dev/null
    local i id
    id=$(atelierctl keys list --json | node --print 'JSON.parse(require("fs").readFileSync(0)).pop().id')
    for ((i = 0; i < 5; i++)); do
        request --header "Authorization: Bearer atl_${id}wrong" "$ATELIER/v1/models"
        assert_error 401 invalid_api_key
    done
    systemctl stop atelier-worker # which closes what is still being counted
    assert_eq '1 undefined,4 undefined' "$(records "all.filter(r => r.action == 'io.atelier.Queue.ListModels' &&
        r.outcome == 'invalid_api_key').slice(-2).map(r => r.count + ' ' + r.key).join()")"
}

test_what_admins_do_is_recorded_with_their_uid() {
    configure ''
    atelierctl keys create short-lived >/dev/null
    local id
    id=$(atelierctl keys list --json | node --print 'JSON.parse(require("fs").readFileSync(0)).pop().id')
    atelierctl keys rotate "$id" >/dev/null
    ctl keys revoke "$id"
    assert_said 0 ''
    assert_eq 'key.created ok,key.rotated ok,key.revoked ok' "$(of_object "$id")"
    assert_eq 0 "$(records "all.find(r => r.object == '$id').uid")"
    as atelier queue pause
    assert_eq "$(id -u nobody) io.atelier.Queue.Pause PermissionDenied" \
        "$(records "all.slice(-2).map(r => [r.uid, r.action, r.outcome].join(' ')).find(t => t.includes('Pause'))")"
    atelierctl reload worker
    assert_eq 'io.atelier.Daemon.Reload ok' "$(records "all.slice(-2).map(r => r.action + ' ' + r.outcome).find(t => t.includes('Reload'))")"
    echo 'nonsense = 1;' >/etc/atelier/atelier.conf.d/60-bad.conf
    ctl reload worker
    rm /etc/atelier/atelier.conf.d/60-bad.conf
    assert_eq 1 "$STATUS"
    assert_match 'io.atelier.Daemon.Reload [A-Z]' "$(records "all.slice(-2).map(r => r.action + ' ' + r.outcome).join()")"
}

# has_ended COUNT: whether so many jobs have.
has_ended() {
    (($(records "all.filter(r => ['job.completed', 'job.failed'].includes(r.action)).length") >= $1))
}

# What was accepted before an end without warning is in the trail exactly once, and in the journal at least once.
test_the_trail_survives_kills_and_goes_to_the_journal_in_order() {
    configure ''
    local i answers=0
    rm -f "$SCRATCH/accepted"
    for ((i = 0; i < 60; i++)); do
        request --max-time 5 --header 'Prefer: respond-async' --json \
            "{\"model\": \"sandbox\", \"prompt\": \"kill $i\", \"size\": \"64x64\"}" "$ATELIER/v1/images/generations" || true
        [[ $STATUS != 202 ]] || answer body.id >>"$SCRATCH/accepted"
        ((i % 6 != 5)) || systemctl kill --signal=KILL "atelier-$(printf '%s\n' worker api alerter worker scheduler | sed -n "$((i / 6 % 5 + 1))p")" || true
    done
    answers=$(wc -l <"$SCRATCH/accepted")
    ((answers >= 50)) || fail "only $answers were accepted"
    wait_until 30 has_ended "$answers"
    assert_eq "$answers" "$(records "
        const accepted = require('fs').readFileSync('$SCRATCH/accepted', 'utf8').split('\n').filter(Boolean)
        accepted.filter(id => all.filter(r => r.object == id && r.action == 'job.accepted').length == 1 &&
            all.filter(r => r.object == id && ['job.completed', 'job.failed'].includes(r.action)).length == 1).length")"
    ctl audit verify
    assert_said 0 'as they were written'
    journalctl --sync
    # Each begins where the last one ended or before: after a kill some come again, and none is left out.
    journalctl --output=json --output-fields=ATELIER_AUDIT_NUMBER,ATELIER_AUDIT_CHAIN ATELIER_AUDIT=1 >"$SCRATCH/journal"
    assert_eq whole "$(node --print "
        const lines = require('fs').readFileSync('$SCRATCH/journal', 'utf8').split('\n').filter(Boolean).map(JSON.parse)
        const chain = lines.at(-1).ATELIER_AUDIT_CHAIN
        let last = 0, gap = ''
        for (const line of lines.filter(l => l.ATELIER_AUDIT_CHAIN == chain)) {
            const number = Number(line.ATELIER_AUDIT_NUMBER)
            if (number > last + 1) gap ||= 'a gap behind ' + last
            last = Math.max(last, number)
        }
        gap || 'whole'")"
}

# kill_all_the_time: one daemon after the other, until it is ended itself.
kill_all_the_time() {
    local number daemons=(worker api scheduler worker alerter api)
    for ((number = 0; ; number++)); do
        sleep "0.$((200 + RANDOM % 300))"
        systemctl kill --kill-who=main --signal=KILL "atelier-${daemons[number % 6]}" 2>/dev/null || true
    done
}

all_have_ended() {
    [[ $(atelierctl --json jobs list --all | node --print \
        'JSON.parse(require("fs").readFileSync(0)).filter(job => ["queued", "in_progress"].includes(job.status)).length') == 0 ]]
}

of_seen() {
    node --print "JSON.parse(require('fs').readFileSync('$SCRATCH/seen')).$1"
}

# Each request that was to become a job is one, accepted once and ended once in the trail, though all daemons were killed all the time.
test_ten_thousand_requests_under_kills_are_accounted_for() {
    local count=$RESTLESS killer token
    ! is_sanitized || count=$RESTLESS_SANITIZED
    configure 'api = { refused_keys_per_minute = 0; };'
    token=$(atelierctl keys create restless)
    systemctl start atelier-{api,worker,scheduler,alerter}
    kill_all_the_time &
    killer=$!
    TOKEN=$token node "$CHECKOUT/tests/system/clients/restless-requests.mjs" "$count" $RESTLESS_CONNECTIONS >"$SCRATCH/seen"
    kill $killer
    wait_until 60 all_have_ended
    node "$CHECKOUT/tests/system/clients/audit-trail.mjs" 0 0
    assert_eq "$(of_seen jobs)" \
        "$(records "all.filter(r => r.action == 'job.accepted').length")"
    (($(of_seen again) > 0)) || fail 'the kills have met nothing'
    # What was refused is counted, where calls repeat themselves by one record for many.
    (($(records "all.filter(r => r.outcome != 'ok').reduce((n, r) => n + r.count, 0)") > 0)) || fail 'no refusal is recorded'
    ctl audit verify
    assert_said 0 'as they were written'
}

test_a_record_that_is_altered_or_removed_is_named() {
    configure ''
    local i last
    for ((i = 0; i < 5; i++)); do
        draw "tampered with $i"
    done
    ctl audit verify
    assert_said 0 'as they were written'
    systemctl --quiet stop atelier-worker
    cp "$DATABASE" "$SCRATCH/good.db"
    last=$(sqlite3 "$DATABASE" 'SELECT number FROM audit_head')
    local change said
    while IFS='|' read -r change said; do
        systemctl --quiet stop atelier-worker
        sqlite3 "$DATABASE" "${change//LAST/$last}"
        ctl audit verify
        assert_said 1 '' "${said//LAST/$last}"
        systemctl --quiet stop atelier-worker
        install --mode=0600 --owner=atelier-worker --group=atelier-worker "$SCRATCH/good.db" "$DATABASE"
        rm -f "$DATABASE"-wal
    done <<'TABLE'
UPDATE audit SET key = 'other' WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET at = at + 1 WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET outcome = 'ok2' WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET cost = cost + 1 WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET count = 2 WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET uid = uid + 1 WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET object = NULL WHERE number = LAST - 3|record [0-9]+ was altered
UPDATE audit SET hash = replace(hash, '1', '2') WHERE number = LAST - 3|record [0-9]+ was altered
DELETE FROM audit WHERE number = LAST - 3|record [0-9]+ was removed
DELETE FROM audit WHERE number > LAST - 3|records [0-9]+ to LAST were removed from the end
DELETE FROM audit WHERE number > LAST - 3; UPDATE audit_head SET (number, hash) = (SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1)|in the journal
DELETE FROM audit; UPDATE audit_head SET number = 0, hash = '0000000000000000000000000000000000000000000000000000000000000000'|in the journal
TABLE
}

test_export_is_json_lines_or_csv() {
    configure ''
    draw 'to be exported'
    ctl audit export --csv
    assert_said 0 '^number,at,action,outcome,key,origin'
    assert_eq "$(records all.length)" "$(($(atelierctl audit export --csv | wc -l) - 1))"
    # What its hashes are made of is all there: anybody can compute them again.
    atelierctl audit export >"$SCRATCH/records"
    assert_eq whole "$(node --print "
        let previous = '0'.repeat(64), broken = ''
        for (const line of require('fs').readFileSync('$SCRATCH/records', 'utf8').split('\n').filter(Boolean)) {
            const record = JSON.parse(line), hash = record.hash
            delete record.hash
            record.previous = previous
            if (require('crypto').createHash('sha256').update(JSON.stringify(record)).digest('hex') != hash)
                broken ||= 'record ' + record.number
            previous = hash
        }
        broken || 'whole'")"
}

# call_as USER METHOD PARAMETERS: what the worker answers that user, who is let in to the socket.
call_as() {
    setpriv --reuid="$1" --regid="$(id -g "$1")" --groups="$(getent group atelier | cut -d: -f3)" node --eval "
        const socket = require('net').connect('/run/atelier/io.atelier.Worker')
        socket.write(JSON.stringify({ method: process.argv[1], parameters: JSON.parse(process.argv[2]) }) + '\0')
        socket.once('data', answer => { console.log(answer.toString().replace('\0', '')); socket.destroy() })
    " "$2" "$3"
}

# Neither names of methods that there are not, nor what is wrong in a call, make records without end.
test_nonsense_is_counted_and_kept_short() {
    configure ''
    local i
    for ((i = 0; i < 4; i++)); do
        assert_match NotFound "$(call_as nobody "io.atelier.Nothing$i.$(printf 'A%.0s' {1..2000})" '{}')"
        assert_match InvalidParameter "$(call_as atelier-api io.atelier.Queue.Get \
            "{\"id\": 1, \"caller\": {\"origin\": \"member\", \"address\": \"$(printf 'a%.0s' {1..9000})\"}}")"
    done
    systemctl --quiet stop atelier-worker
    assert_eq 'InterfaceNotFound 1,InterfaceNotFound 3' "$(records "all.filter(r => r.action == 'unknown.method')
        .map(r => r.outcome + ' ' + r.count).join()")"
    assert_eq true "$(records "all.every(r => Object.values(r).every(value => Buffer.byteLength(String(value)) <= 512))")"
    ctl audit verify
    assert_said 0 'as they were written'
}

# append_as USER ACTION: the same of io.atelier.Audit.Append.
append_as() {
    call_as "$1" io.atelier.Audit.Append "{\"action\": \"$2\", \"outcome\": \"ok\"}"
}

test_other_daemons_speak_of_their_own_alone() {
    configure ''
    local action
    assert_match '"number":[0-9]+' "$(append_as atelier-scheduler backup.made)"
    for action in job.accepted key.created io.atelier.Queue.Submit '' 'backup.\u0007' "backup.$(printf 'a%.0s' {1..58})"; do
        assert_match InvalidParameter "$(append_as atelier-scheduler "$action")"
    done
    assert_match '"number":[0-9]+' "$(append_as atelier-scheduler "backup.$(printf 'a%.0s' {1..57})")"
    assert_match PermissionDenied "$(append_as nobody backup.made)"
    assert_eq 2 "$(records "all.filter(r => r.uid == $(id -u atelier-scheduler) && r.action.startsWith('backup.')).length")"
    as atelier audit show
    assert_said 1 '' 'io.atelier.Audit.List: not allowed'
}

# The trail goes on over a restore: what was recorded since the backup is in the restored state too.
test_a_restore_takes_nothing_from_the_trail() {
    configure ''
    draw 'before the backup'
    atelierctl task run backup
    local since
    draw 'since the backup'
    request "$ATELIER/v1/jobs"
    since=$(answer 'body.data[0].id')
    atelierctl backup restore --yes
    request "$ATELIER/v1/jobs/$since"
    assert_eq 404 "$STATUS"
    assert_match '^job.accepted ok,job.completed ok' "$(of_object "$since")"
    assert_eq 1 "$(records "all.filter(r => r.action == 'state.restored' && !r.detail).length")"
    ctl audit verify
    assert_said 0 'as they were written'
    # Another state altogether: the trail that stops is named in the one that begins.
    systemctl --quiet stop 'atelier-*.service'
    rm -rf /var/lib/atelier/current /var/lib/atelier/former*
    draw 'of a new state'
    atelierctl backup restore --yes
    assert_match '^in the place of a state whose trail [0-9a-f]{32} ends with record [0-9]+, hash [0-9a-f]{64}$' \
        "$(records "all.at(-1).action == 'state.restored' ? all.at(-1).detail : all.filter(r => r.action == 'state.restored').at(-1).detail")"
    ctl audit verify
    assert_said 0 'as they were written.*
It also has [0-9]+ of another trail'
}

test_journalctl_explains_each_record() {
    configure ''
    draw 'to be explained'
    request "$ATELIER/v1/jobs"
    journalctl --update-catalog
    local id
    for id in $(grep -ohE '"[0-9a-f]{32}"' "$CHECKOUT/daemons/worker/audit/audit-record.c" | tr -d '"'); do
        assert_match 'Subject: .' "$(journalctl --dump-catalog "$id")"
    done
    journalctl --sync
    assert_match 'Subject: Job job_[0-9a-f]{32} was completed' "$(journal --catalog ATELIER_AUDIT_ACTION=job.completed)"
}

# Everything about a key: what it asked for, what came of it, and what admins did with it.
test_a_keys_day_is_one_question_to_the_journal() {
    configure 'require_key = "always";'
    local key id
    key=$(atelierctl keys create busy 2>/dev/null)
    id=$(atelierctl keys list --json | node --print 'JSON.parse(require("fs").readFileSync(0)).pop().id')
    draw 'one' --header "Authorization: Bearer $key"
    draw 'two' --header "Authorization: Bearer $key"
    request --header "Authorization: Bearer $key" "$ATELIER/v1/usage"
    wait_until 5 eval '[[ $(journal ATELIER_KEY='"$id"' ATELIER_AUDIT=1 | grep -c .) == 5 ]]'
    assert_eq '2 2 1' "$(journal ATELIER_KEY="$id" ATELIER_AUDIT=1 >"$SCRATCH/day"
        for what in job.accepted job.completed GetUsage; do grep -c "$what" "$SCRATCH/day"; done | paste -sd ' ')"
}

test_backups_and_alerts_are_in_the_trail() {
    configure ''
    draw 'to be kept'
    atelierctl task run backup
    ctl alerts fire TrailTest --source=test --severity=warning --summary='seen in the trail'
    assert_said 0 ''
    wait_until 10 eval '[[ $(records "all.filter(r => r.action == \"alert.fired\" && r.detail == \"seen in the trail\").length") == 1 ]]'
    assert_eq "$(id -u atelier-scheduler) ok" \
        "$(records "all.filter(r => r.action == 'backup.made').map(r => r.uid + ' ' + r.outcome).at(-1)")"
    assert_eq "$(id -u atelier-alerter)" "$(records "all.findLast(r => r.action == 'alert.fired').uid")"
}
