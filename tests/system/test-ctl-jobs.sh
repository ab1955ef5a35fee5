# shellcheck shell=bash
# atelierctl has images made, and looks after jobs.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

SMALL=(--model=sandbox --size=64x64)

# assert_picture FILE: a PNG of 64 x 64.
assert_picture() {
    assert_match 'PNG image data, 64 x 64' "$(file --brief "$1")"
}

# submit PROMPT: a job that is not waited for; prints its id.
submit() {
    request --header 'Prefer: respond-async' "$ATELIER/v1/images/generations" \
        --json "{\"model\": \"sandbox\", \"prompt\": \"$1\", \"size\": \"64x64\"}"
    header location | sed 's|.*/||'
}

status_of() {
    ctl --json jobs show "$1"
    json it.status
}

job_is() {
    [[ $(status_of "$1") == "$2" ]]
}

# first_id: of the newest job.
first_id() {
    ctl --json jobs list --limit=1
    json 'it[0].id'
}

test_generate_writes_an_image() {
    ctl generate 'a lighthouse' -o "$SCRATCH/x.png" "${SMALL[@]}"
    assert_said 0 "^$SCRATCH/x.png$"
    assert_picture "$SCRATCH/x.png"
    assert_eq 'completed a lighthouse' "$(status_of "$(first_id)") $(json it.request.prompt)"
    assert_eq "$(sha256sum "$SCRATCH/x.png" | cut -d' ' -f1)" "$(json 'it.images[0].sha256')"
}

test_generate_writes_several_images() {
    ctl generate x --output="$SCRATCH/x" --count=3 "${SMALL[@]}"
    assert_said 0 'x-1.png'
    assert_eq 'x-1.png x-2.png x-3.png' "$(cd "$SCRATCH" && echo x-*)"
    assert_picture "$SCRATCH/x-3.png"
}

test_generate_to_standard_output_and_from_standard_input() {
    STATUS=0
    atelierctl generate - -o - "${SMALL[@]}" <<<'typed in' >"$SCRATCH/out.png" 2>"$SCRATCH/err" || STATUS=$?
    assert_eq 0 "$STATUS" "$(err)"
    assert_picture "$SCRATCH/out.png"
    status_of "$(first_id)"
    assert_eq 'typed in' "$(json it.request.prompt)"
}

test_generate_as_json() {
    ctl --json generate x -o "$SCRATCH/x.png" "${SMALL[@]}"
    assert_eq 0 "$STATUS" "$(err)"
    assert_eq 'completed 1' "$(json '`${it.status} ${it.images.length}`')"
    assert_picture "$SCRATCH/x.png"
}

test_generate_writes_nothing_over() {
    echo precious >"$SCRATCH/x.png"
    ctl generate x -o "$SCRATCH/x.png" "${SMALL[@]}"
    assert_said 1 '' 'is there already; .*--force'
    assert_eq precious "$(cat "$SCRATCH/x.png")"
    ctl --json jobs list
    assert_eq '[]' "$(out)"
    ctl generate x -o "$SCRATCH/x.png" --force "${SMALL[@]}"
    assert_eq 0 "$STATUS" "$(err)"
    assert_picture "$SCRATCH/x.png"
}

test_generate_says_what_is_refused() {
    ctl generate x -o "$SCRATCH/x.png" --model=sandbox --size=1x1
    assert_said 1 '' 'the request is refused \(invalid_value\): Invalid size'
    ctl generate x -o "$SCRATCH/x.png" --model=none
    assert_said 1 '' 'refused .*none'
    ctl generate x -o "$SCRATCH/absent/x.png"
    assert_said 1 '' 'nothing can be written to folder .*absent: No such file'
    assert_eq '' "$(find "$SCRATCH" -name '*.png')"
}

# On a terminal, where progress is a line that is written over.
test_generate_on_a_terminal() {
    local command="stty columns 60; atelierctl generate x -o $SCRATCH/x.png ${SMALL[*]}"
    script --quiet --return --command "$command" /dev/null >"$SCRATCH/terminal"
    assert_picture "$SCRATCH/x.png"
    assert_match $'\r.*job_[0-9a-f]{32}: ' "$(cat "$SCRATCH/terminal")"
    STATUS=0
    script --quiet --return --command 'atelierctl generate x -o -' /dev/null >"$SCRATCH/terminal" || STATUS=$?
    assert_eq 2 "$STATUS"
    assert_match 'not for a terminal' "$(cat "$SCRATCH/terminal")"
}

test_an_interrupted_wait_leaves_the_job() {
    local pid id
    atelierctl queue pause
    STATUS=0
    atelierctl generate x -o "$SCRATCH/x.png" "${SMALL[@]}" >"$SCRATCH/out" 2>"$SCRATCH/err" &
    pid=$!
    wait_until 10 grep -q ': queued' "$SCRATCH/err"
    kill -TERM $pid
    wait $pid || STATUS=$?
    assert_eq 143 "$STATUS"
    id=$(sed -nE 's/.*atelierctl jobs fetch ([^ ]+) .*/\1/p' "$SCRATCH/err")
    assert_eq "$(first_id)" "$id"

    ctl jobs fetch "$id" -o "$SCRATCH/late.png" & # waits for it
    atelierctl queue resume
    wait $!
    assert_picture "$SCRATCH/late.png"
    assert_fails test -e "$SCRATCH/x.png"
}

# The worker's end takes the connection along; the same request id finds the same job.
test_a_killed_worker_does_not_make_a_second_job() {
    local pid
    atelierctl queue pause
    atelierctl generate x -o "$SCRATCH/x.png" "${SMALL[@]}" >"$SCRATCH/said" 2>&1 &
    pid=$!
    wait_until 10 grep -q ': queued' "$SCRATCH/said"
    systemctl kill --signal=SIGKILL --kill-whom=main atelier-worker
    wait $pid || fail "$(cat "$SCRATCH/said")"
    assert_picture "$SCRATCH/x.png"
    ctl --json jobs list
    assert_eq 1 "$(json it.length)"
}

test_a_timeout_leaves_the_job() {
    atelierctl queue pause
    ctl generate x -o "$SCRATCH/x.png" --timeout=1s "${SMALL[@]}"
    assert_said 1 '' 'the job goes on'
    cp "$SCRATCH/err" "$SCRATCH/timeout"
    grep -q "jobs show $(first_id)$" "$SCRATCH/timeout"
}

test_jobs_are_listed_newest_first() {
    draw one
    draw two
    ctl jobs list
    assert_said 0 $'^ID +STATUS +CREATED +MODEL +IMAGES +PROMPT\njob_[0-9a-f]{32}  completed .* sandbox +1  two\n.*one'
    ctl jobs list --limit=1
    assert_said 0 'There are more'
    ctl jobs list --json
    assert_eq 'two one' "$(json 'it.map(job => job.request.prompt).join(" ")')"
    ctl jobs list --status=failed
    assert_said 0 '^There is no such job'
}

test_headings_stand_out_on_a_terminal_alone() {
    draw one
    script --quiet --return --command 'atelierctl jobs list' /dev/null >"$SCRATCH/terminal"
    assert_match $'^\e\\[1mID .*PROMPT\r?\n\e\\[0mjob_' "$(cat "$SCRATCH/terminal")"
    script --quiet --return --command 'NO_COLOR=1 atelierctl jobs list' /dev/null >"$SCRATCH/terminal"
    assert_match '^ID ' "$(cat "$SCRATCH/terminal")"
}

# More than a page.
test_all_jobs_are_listed_through_the_pages() {
    atelierctl queue pause
    node "$CHECKOUT/tests/system/jobs.mjs" submit 230 4 >"$SCRATCH/submitted"
    ctl jobs list --all --json
    assert_eq 230 "$(json it.length)"
    assert_eq "$(sort "$SCRATCH/submitted")" "$(json 'it.map(job => job.id).sort().join("\n")')"
    ctl jobs list --all --status=queued
    assert_eq 231 "$(wc -l <"$SCRATCH/out")"
    ctl jobs list --limit=150 --json
    assert_eq 150 "$(json it.length)"
    ctl jobs list
    assert_eq 22 "$(wc -l <"$SCRATCH/out")"
}

test_a_job_is_shown() {
    draw 'three trees'
    ctl jobs show "$(first_id)"
    assert_said 0 $'^job_[0-9a-f]+\n +status +completed\n +model +sandbox\n.*prompt +three trees\n'
    assert_match 'image +[0-9a-f]{64}\.png, 64x64, ' "$(out)"
    ctl jobs show job_00000000000000000000000000000000
    assert_said 1 '' 'there is no job job_0+; see: atelierctl jobs list'
}

test_a_job_is_fetched() {
    local id
    draw one
    id=$(first_id)
    ctl jobs fetch "$id" -o "$SCRATCH/again.png"
    assert_said 0 "^$SCRATCH/again.png"
    assert_picture "$SCRATCH/again.png"
    ctl jobs fetch "$id" -o "$SCRATCH/again.png"
    assert_said 1 '' 'is there already'
    ctl --json jobs fetch "$id" -o "$SCRATCH/json.png"
    assert_eq "$id" "$(json it.id)"
    ctl jobs fetch job_1 -o "$SCRATCH/none.png"
    assert_said 1 '' 'no job job_1'
}

test_a_job_is_cancelled_and_deleted() {
    local id
    atelierctl queue pause
    id=$(submit x)
    ctl jobs delete "$id"
    assert_said 1 '' "first: atelierctl jobs cancel $id"
    assert_eq queued "$(status_of "$id")"
    ctl jobs cancel "$id"
    assert_said 0 '^$' '^$'
    assert_eq cancelled "$(status_of "$id")"
    ctl jobs cancel "$id" --json
    assert_eq cancelled "$(json it.status)"
    ctl jobs fetch "$id" -o "$SCRATCH/x.png"
    assert_said 1 '' "job $id is cancelled"
    ctl jobs delete "$id" --json
    assert_eq "$id" "$(json it.id)"
    ctl jobs show "$id"
    assert_said 1 '' "no job $id"
    ctl jobs cancel "$id"
    assert_said 1 '' "no job $id"
}

test_what_has_ended_is_not_cancelled() {
    draw one
    ctl jobs cancel "$(first_id)"
    assert_said 1 '' 'is completed already'
}

test_jobs_are_for_admins() {
    as atelier jobs list
    assert_said 1 '' 'not allowed; be root or a member of group atelier-admin'
    as atelier,atelier-admin jobs list
    assert_eq 0 "$STATUS" "$(err)"
    as nogroup generate x -o /tmp/x.png
    assert_said 1 '' 'permission denied; be root or a member of group atelier'
}

# As a restore leaves them.
test_held_jobs_are_resumed() {
    local first second
    atelierctl queue pause
    first=$(submit one)
    second=$(submit two)
    systemctl --quiet stop atelier-worker
    sqlite3 /var/lib/atelier/current/atelier.db 'UPDATE job SET held = 1'
    ctl jobs resume
    assert_said 2 '' '2 jobs are held; .*jobs resume --all'
    ctl jobs list --status=held
    assert_said 0 "$first  held"
    ctl jobs resume "$first"
    assert_said 0 '^1 job goes on'
    wait_until 10 job_is "$first" completed
    assert_eq queued "$(status_of "$second")"
    ctl --json jobs resume --all
    assert_eq 1 "$(json it.released)"
    wait_until 10 job_is "$second" completed
    ctl jobs resume
    assert_said 2 '' 'no job is held'
}
