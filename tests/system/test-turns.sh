# shellcheck shell=bash
# Who goes first where more waits than may start.
source "$CHECKOUT/tests/system/rig/requests.sh"

MANY=200

one_at_a_time() {
    configure 'require_key = "always"; providers = ( { name = "sandbox"; concurrency = 1; delay = "20ms"; } );'
}

# submit KEY TAG [CURL-OPTION...]: a job; prints its id.
submit() {
    curl --fail --silent --show-error --header "Authorization: Bearer $1" --header 'Prefer: respond-async' "${@:3}" \
        --json "{\"model\": \"sandbox\", \"prompt\": \"$2\", \"size\": \"64x64\"}" "$ATELIER/v1/images/generations" |
        node --print 'JSON.parse(require("fs").readFileSync(0)).id'
}

# completed KEY: how many of its jobs are.
completed() {
    curl --fail --silent --header "Authorization: Bearer $1" "$ATELIER/v1/jobs?status=completed&limit=100" |
        node --print 'JSON.parse(require("fs").readFileSync(0)).data.length'
}

job_is() {
    request --header "Authorization: Bearer $1" "$ATELIER/v1/jobs/$2"
    [[ $(answer body.status) == "$3" ]]
}

test_one_picture_does_not_wait_for_another_clients_hundreds() {
    local greedy modest id
    one_at_a_time
    greedy=$(atelierctl keys create greedy)
    modest=$(atelierctl keys create modest)
    atelierctl queue pause
    submit_many "$greedy"
    id=$(submit "$modest" one)
    atelierctl queue resume
    wait_until 5 job_is "$modest" "$id" completed
    (($(completed "$greedy") < MANY / 10)) || fail 'it has waited for the others'
}

submit_many() {
    seq $MANY | xargs -P 8 -I{} curl --fail --silent --output /dev/null --header "Authorization: Bearer $1" \
        --header 'Prefer: respond-async' --json '{"model": "sandbox", "prompt": "{}", "size": "64x64"}' \
        "$ATELIER/v1/images/generations"
}

test_a_client_puts_its_own_jobs_first() {
    local key low
    one_at_a_time
    key=$(atelierctl keys create shop)
    atelierctl queue pause
    low=$(submit "$key" low --header 'x-atelier-priority: low')
    submit "$key" normal >/dev/null
    submit "$key" high --header 'x-atelier-priority: high' >/dev/null
    atelierctl queue resume
    wait_until 5 job_is "$key" "$low" completed
    assert_eq low "$(answer body.priority)"
    atelierctl --json jobs list >"$SCRATCH/body"
    assert_eq 'high,normal,low' "$(answer 'body.sort((a, b) => a.started_at - b.started_at)
        .map(job => job.request.prompt).join()')"
}

test_a_priority_that_is_none_is_refused() {
    request --header 'x-atelier-priority: urgent' --json '{"prompt": "a"}' "$ATELIER/v1/images/generations"
    assert_error 400 invalid_priority
}
