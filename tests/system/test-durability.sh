# shellcheck shell=bash
# What was accepted is not lost and not paid twice, whoever is killed and when.
deadline=150
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

JOBS=200
CONNECTIONS=16
KILLS=30
KILL_PAUSE_MS_MIN=100
KILL_PAUSE_MS_MAX=300

jobs() {
    node "$CHECKOUT/tests/system/jobs.mjs" "$@"
}

all_ended() {
    jobs show >"$SCRATCH/shown"
    ! grep -qE '^(queued|in_progress)$' <(cut -f2 "$SCRATCH/shown")
}

# kill_daemon NAME...: each is dead afterwards; one that does not run is left alone.
kill_daemon() {
    local name pid
    for name in "$@"; do
        pid=$(systemctl show --value --property=MainPID "atelier-$name")
        ((pid == 0)) || kill -KILL "$pid" || [[ ! -e /proc/$pid ]]
    done
}

# worker, api and both in turn, with pauses of random length between.
kill_again_and_again() {
    local victims=(worker api 'worker api') number pause
    for ((number = 0; number < KILLS; number++)); do
        pause=$((KILL_PAUSE_MS_MIN + RANDOM % (KILL_PAUSE_MS_MAX - KILL_PAUSE_MS_MIN + 1)))
        sleep "0.$pause"
        # shellcheck disable=SC2086 # words are wanted
        kill_daemon ${victims[number % 3]}
    done
}

work_is_under_way() {
    grep -qx in_progress <(jobs show | cut -f2)
}

# The first kill meets work, however slow the machine is; what the others meet is left to chance.
submit_under_kills() {
    jobs submit $JOBS $CONNECTIONS "$@" >"$SCRATCH/accepted" &
    local submitter=$!
    wait_until 20 work_is_under_way
    kill_daemon worker
    kill_again_and_again
    wait "$submitter"
    assert_eq $JOBS "$(sort -u "$SCRATCH/accepted" | wc -l)"
    wait_until 60 all_ended
}

# accepted STATUS [CODE]: how many of the accepted jobs ended so.
accepted() {
    cut -f1,2,4 "$SCRATCH/shown" | grep -F -f "$SCRATCH/accepted" | grep -cP "\t$1\t${2:--}\$" || (($? == 1))
}

test_every_accepted_job_completes_where_it_may_be_repeated() {
    configure 'worker = { concurrency = 8; };
        providers = ( { name = "sandbox"; delay = "100ms"; } );'
    submit_under_kills
    assert_eq $JOBS "$(accepted completed)" "$(cut -f2,4 "$SCRATCH/shown" | sort | uniq -c)"

    # The kills have met work: attempts were cut short, and made again.
    (($(awk -F'\t' '$3 > 1' "$SCRATCH/shown" | wc -l) > 0)) || fail 'no attempt was interrupted'
}

test_a_paid_provider_is_never_asked_twice() {
    start_provider 'worker = { concurrency = 8; daily_budget = "infinity"; };'
    fake --json '{"rules": [{"act": "late=400"}]}' /_control
    submit_under_kills '{"model": "gpt-image-2", "size": "1024x640"}'

    local completed unknown
    completed=$(accepted completed)
    unknown=$(accepted failed provider_outcome_unknown)
    assert_eq $JOBS $((completed + unknown)) "$(cut -f2,4 "$SCRATCH/shown" | sort | uniq -c)"
    ((completed > 0 && unknown > 0)) || fail "$completed completed, $unknown unknown: the kills have met nothing"

    fake /_bill >"$SCRATCH/body"
    assert_eq '' "$(answer 'body.repeated.join()')" 'prompts that came twice'
    assert_eq '' "$(answer 'body.charged_twice.join()')"
    # What completed was paid for, and what was never accepted may have been as well.
    (($(answer body.count) >= completed)) || fail "fewer requests than images"
    fake /_violations >"$SCRATCH/body"
    answer 'body.violations.map(v => v.what).join("\n")' >"$SCRATCH/violations"
    # A request that was cut short by a kill is no mistake of its sender.
    assert_eq '' "$(grep -vE 'malformed HTTP|aborted' "$SCRATCH/violations" | xargs)"
}

job_is() {
    [[ $(jobs show | cut -f2) == "$1" ]]
}

test_a_waiting_client_gets_its_image_over_the_same_connection() {
    configure 'providers = ( { name = "sandbox"; delay = "1s"; } );'
    curl --silent --show-error --output "$SCRATCH/body" --write-out '%{http_code} %{num_connects}' \
        --json '{"model": "sandbox", "prompt": "patience", "size": "64x64", "response_format": "b64_json"}' \
        "$ATELIER/v1/images/generations" >"$SCRATCH/said" &
    local client=$!
    wait_until 10 job_is in_progress
    kill_daemon worker
    wait "$client"
    assert_eq '200 1' "$(<"$SCRATCH/said")" "$(<"$SCRATCH/body")"
    answer 'body.data[0].b64_json' | base64 --decode >"$SCRATCH/picture.png"
    assert_match 'PNG image data, 64 x 64' "$(file "$SCRATCH/picture.png")"
    assert_eq 2 "$(jobs show | cut -f3)" 'attempts'
}

test_a_client_that_submits_again_gets_the_same_job() {
    local id=0123456789abcdef0123456789abcdef number
    for number in 1 2; do
        varlinkctl_call io.atelier.Queue.Submit "{\"request_id\": \"$id\", \"caller\": {\"origin\": \"member\"},
            \"request\": {\"model\": \"sandbox\", \"prompt\": \"once\", \"size\": \"64x64\"}}" >"$SCRATCH/$number"
    done
    assert_eq "job_$id" "$(jobs show | cut -f1)"
}

# varlinkctl_call METHOD PARAMETERS: Debian 12 has no varlinkctl.
varlinkctl_call() {
    node -e '
        const [method, parameters] = process.argv.slice(1);
        const socket = require("net").connect("/run/atelier/io.atelier.Worker");
        let got = "";
        socket.setEncoding("utf8").on("data", chunk => {
            got += chunk;
            if (got.endsWith("\0")) { console.log(got.slice(0, -1)); socket.end(); }
        });
        socket.write(JSON.stringify({ method, parameters: JSON.parse(parameters) }) + "\0");' "$@"
}

test_a_poison_job_is_given_up() {
    configure 'worker = { interruptions_max = 3; };
        providers = ( { name = "sandbox"; delay = "10s"; } );'
    jobs submit 1 1 >"$SCRATCH/accepted"
    local attempt
    for attempt in 1 2 3; do
        wait_until 10 attempt_runs $attempt
        kill_daemon worker
    done
    wait_until 10 job_is failed
    assert_eq 3 "$(jobs show | cut -f3)"
    assert_eq provider_outcome_unknown "$(jobs show | cut -f4)"
}

attempt_runs() {
    [[ $(jobs show | cut -f2,3) == in_progress$'\t'$1 ]]
}

completed_in_journal() {
    (($(machine in journalctl --quiet --boot --unit=atelier-worker --output=cat |
        grep -oP 'Job \Kjob_[0-9a-f]+(?=: attempt \d+ at sandbox completed)' | sort -u | wc -l) >= $1))
}

# Nobody asks: the journal tells.
machine_test_finishes_after_a_power_cut_with_no_request_made() {
    machine boot
    machine in tee /etc/atelier/atelier.conf.d/50-test.conf >/dev/null <<<'worker = { concurrency = 4; };
        providers = ( { name = "sandbox"; delay = "200ms"; } );'
    machine in systemctl restart atelier-worker
    # shellcheck disable=SC2016 # expanded in the machine
    machine in sh -c 'node "$CHECKOUT/tests/system/jobs.mjs" submit 50 50' >"$SCRATCH/accepted"
    machine kill
    assert_eq 50 "$(sort -u "$SCRATCH/accepted" | wc -l)"

    machine boot
    wait_until 30 idle_again
    assert_eq '' "$(machine in systemctl show --value --property=ExecMainStartTimestamp atelier-api)" 'api was started'
    # shellcheck disable=SC2016 # expanded in the machine
    machine in sh -c 'node "$CHECKOUT/tests/system/jobs.mjs" show' >"$SCRATCH/shown"
    assert_eq 50 "$(accepted completed)" "$(cut -f2,4 "$SCRATCH/shown" | sort | uniq -c)"
}

idle_again() {
    [[ $(machine in systemctl show --value --property=StatusText atelier-worker) == '0 running, 0 queued'* ]]
}
