# shellcheck shell=bash
# Many requests under one id: accepted together or not at all, done and paid once each, whatever happens meanwhile.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"
deadline=120

ITEMS=200
BATCH_MAX=1000
KILL_PAUSE=0.2

# prompts N [PREFIX]: a list of them.
prompts() {
    node --print "JSON.stringify(Array.from({ length: $1 }, (_, i) => '${2:-picture} ' + (i + 1)))"
}

# batch MEMBERS [CURL-OPTION...]: submits {MEMBERS}.
batch() {
    printf '{%s}' "$1" >"$SCRATCH/request"
    request --header 'Content-Type: application/json' --header 'Expect:' --data-binary "@$SCRATCH/request" "${@:2}" \
        "$ATELIER/v1/batches"
}

# sandbox_batch N: sets BATCH.
sandbox_batch() {
    batch "\"model\": \"sandbox\", \"size\": \"64x64\", \"prompts\": $(prompts "$1")" "${@:2}"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    BATCH=$(answer body.id)
}

show() {
    request "$ATELIER/v1/batches/$BATCH"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

batch_is() {
    show
    [[ $(answer body.status) == "$1" ]]
}

# Many calls while the worker is killed: an answer of 503 is no end.
batch_ended() {
    request "$ATELIER/v1/batches/$BATCH"
    [[ $STATUS == 200 && $(answer body.progress) == 100 ]]
}

# all_items EXPRESSION: of `items`, all pages of them.
all_items() {
    local after=0 more=true
    : >"$SCRATCH/items"
    while [[ $more == true ]]; do
        request "$ATELIER/v1/batches/$BATCH/items?limit=100&after=$after"
        assert_eq 200 "$STATUS"
        answer 'body.data.map(JSON.stringify).join("\n")' >>"$SCRATCH/items"
        more=$(answer body.has_more)
        after=$(answer 'body.data.at(-1).number')
    done
    node --print "const items = require('fs').readFileSync('$SCRATCH/items', 'utf8').trim().split('\n').map(JSON.parse); $1"
}

no_jobs() {
    request "$ATELIER/v1/jobs"
    assert_eq 0 "$(answer body.data.length)"
}

test_each_item_has_a_picture_of_its_own() {
    batch '"model": "sandbox", "size": "64x64", "metadata": {"order": "7"}, "requests": [
        {"prompt": "one", "custom_id": "a"}, {"prompt": "two", "custom_id": "b", "size": "128x64"}, {"prompt": "three"}]'
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    BATCH=$(answer body.id)
    assert_eq "/v1/batches/$BATCH" "$(header location)"
    assert_eq '3 7 sandbox' "$(answer '`${body.counts.total} ${body.metadata.order} ${body.model}`')"
    wait_until 10 batch_is completed
    assert_eq '3 100 true' "$(answer '`${body.counts.completed} ${body.progress} ${body.finished_at >= body.created_at}`')"
    assert_eq '1:a:completed,2:b:completed,3::completed' \
        "$(all_items 'items.map(i => [i.number, i.custom_id, i.status].join(":")).join()')"
    assert_eq 3 "$(all_items 'new Set(items.map(i => i.result.data[0].url)).size')"
    curl --fail --silent --output "$SCRATCH/picture" "$(all_items 'items[1].result.data[0].url')"
    assert_match 'PNG image data, 128 x 64' "$(file "$SCRATCH/picture")"
    request "$ATELIER/v1/batches"
    assert_eq "$BATCH" "$(answer 'body.data.map(b => b.id).join()')"
}

test_items_come_in_pages() {
    sandbox_batch 25
    request "$ATELIER/v1/batches/$BATCH/items"
    assert_eq '20 true' "$(answer '`${body.data.length} ${body.has_more}`')"
    request "$ATELIER/v1/batches/$BATCH/items?after=20"
    assert_eq '21,22,23,24,25 false' "$(answer '`${body.data.map(i => i.number).join()} ${body.has_more}`')"
    wait_until 10 batch_is completed
}

test_the_greatest_batch_is_taken_and_one_more_is_not() {
    configure 'providers = ( { name = "sandbox"; } );'
    batch "\"model\": \"sandbox\", \"size\": \"64x64\", \"prompts\": $(prompts $((BATCH_MAX + 1)))"
    assert_error 400 invalid_batch_size
    no_jobs
    atelierctl queue pause
    sandbox_batch $BATCH_MAX
    assert_eq "$BATCH_MAX queued" "$(answer '`${body.counts.queued} ${body.status}`')"
    request --request POST "$ATELIER/v1/batches/$BATCH/cancel"
    assert_eq "200 $BATCH_MAX cancelled" "$STATUS $(answer '`${body.counts.cancelled} ${body.status}`')"
    atelierctl queue resume
}

test_wrong_batches_are_refused_whole() {
    node "$CHECKOUT/tests/system/clients/bad-batches.mjs"
    no_jobs
    request "$ATELIER/v1/batches"
    assert_eq 0 "$(answer body.data.length)"
}

test_the_same_key_is_the_same_batch() {
    local first
    sandbox_batch 3 --header 'Idempotency-Key: one'
    first=$BATCH
    sandbox_batch 3 --header 'Idempotency-Key: one'
    assert_eq "$first" "$BATCH"
    batch '"model": "sandbox", "size": "64x64", "prompts": ["another"]' --header 'Idempotency-Key: one'
    assert_error 409 idempotency_key_reused
    wait_until 10 batch_is completed
    request "$ATELIER/v1/jobs"
    assert_eq 3 "$(answer body.data.length)"
}

test_over_budget_nothing_is_accepted() {
    start_provider 'worker = { daily_budget = "$0.1"; budget_pause = false; };'
    batch "\"model\": \"gpt-image-2\", \"size\": \"1024x1024\", \"quality\": \"high\", \"prompts\": $(prompts 50)"
    assert_error 429 budget_exceeded
    assert_match "^Of the batch's 50 items only the first [0-9]+ fit, and nothing was accepted\. .*daily budget" \
        "$(answer body.error.message)"
    no_jobs
    request "$ATELIER/v1/usage"
    assert_eq '0 0' "$(answer '`${body.total.reserved_micros} ${body.total.spent_micros}`')"
    assert_eq 0 "$(billed)"
}

test_over_budget_some_may_wait() {
    start_provider 'worker = { daily_budget = "$0.5"; budget_pause = false; over_budget = "hold"; };'
    batch "\"model\": \"gpt-image-2\", \"size\": \"1024x1024\", \"quality\": \"high\", \"prompts\": $(prompts 5)"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    BATCH=$(answer body.id)
    wait_until 10 some_completed
    request --request POST "$ATELIER/v1/batches/$BATCH/cancel"
    assert_eq 'cancelled 5 0' \
        "$(answer '`${body.status} ${body.counts.completed + body.counts.cancelled} ${body.cost.reserved_micros}`')"
    assert_eq "$(charged)" "$(answer body.cost.charged_micros)"
    atelierctl status worker | assert_fails grep --quiet 'budget'
}

# The rest does not fit.
some_completed() {
    show
    [[ $(answer '`${body.counts.completed > 0 && body.counts.queued > 0} ${body.counts.in_progress}`') == 'true 0' ]]
}

test_what_headers_say_is_said_of_each_item() {
    local wanted
    configure 'providers = ( { name = "sandbox"; } ); webhooks = ( { name = "shop"; url = "http://127.0.0.1:9/"; secrets = [ "credential:none" ]; } );'
    batch '"model": "sandbox", "size": "64x64", "prompts": ["x"]' --header 'x-atelier-webhook: nobody'
    assert_error 400 invalid_webhook
    batch '"model": "sandbox", "size": "64x64", "prompts": ["x"]' --header 'x-atelier-priority: urgent'
    assert_error 400 invalid_priority
    no_jobs
    sandbox_batch 3 --header 'x-atelier-priority: low' --header 'x-atelier-webhook: shop'
    wanted='low low low'
    request "$ATELIER/v1/jobs"
    assert_eq "$wanted" "$(answer 'body.data.map(j => j.priority).join(" ")')"
    wait_until 10 batch_is completed
    ctl --json webhooks list
    assert_eq 3 "$(json 'it.endpoints[0].pending')"
}

test_an_operator_looks_at_batches_and_cancels_them() {
    atelierctl queue pause
    batch '"model": "sandbox", "size": "64x64", "requests": [{"prompt": "one", "custom_id": "a"}, {"prompt": "two"}]'
    BATCH=$(answer body.id)
    ctl batches list
    assert_said 0 "$BATCH +queued .* 2 +2 +0 +0 "
    ctl batches show "$BATCH"
    assert_said 0 '1 +a +job_[0-9a-f]{32} +queued +0 +one'
    ctl batches cancel "$BATCH"
    assert_said 0 '2 of 2 are cancelled, 0 go on'
    ctl --json batches show "$BATCH"
    assert_eq 'cancelled cancelled,cancelled' "$(json '`${it.batch.status} ${it.items.map(i => i.job.status).join()}`')"
    ctl batches show batch_0
    assert_eq "1 atelierctl: there is no batch batch_0; see: atelierctl batches list" "$STATUS $(err)"
    atelierctl queue resume
}

test_cancelling_ends_what_waits_and_releases_it() {
    start_provider 'worker = { concurrency = 2; daily_budget = "infinity"; };'
    fake --json '{"rules": [{"act": "late=1000"}]}' /_control
    batch "\"model\": \"gpt-image-2\", \"size\": \"1024x640\", \"prompts\": $(prompts 20)"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    BATCH=$(answer body.id)
    wait_until 5 runs 2
    request --request POST "$ATELIER/v1/batches/$BATCH/cancel"
    assert_eq '200 cancelling 2 18' \
        "$STATUS $(answer '`${body.status} ${body.counts.in_progress} ${body.counts.cancelled}`')"
    wait_until 10 batch_is cancelled
    assert_eq '2 18 0' "$(answer '`${body.counts.completed} ${body.counts.cancelled} ${body.cost.reserved_micros}`')"
    assert_eq "$(charged)" "$(answer body.cost.charged_micros)"
    assert_eq 2 "$(billed)"
}

runs() {
    show
    [[ $(answer body.counts.in_progress) == "$1" ]]
}

test_nothing_of_a_cancelled_batch_is_tried_again() {
    start_provider 'worker = { daily_budget = "infinity"; retry_min = "10ms"; retry_max = "20ms"; };'
    fake --json '{"rules": [{"act": "late=700 status=503"}]}' /_control
    batch '"model": "gpt-image-2", "size": "1024x640", "prompts": ["one"]'
    BATCH=$(answer body.id)
    wait_until 5 runs 1
    request --request POST "$ATELIER/v1/batches/$BATCH/cancel"
    assert_eq cancelling "$(answer body.status)"
    wait_until 5 batch_is cancelled
    assert_eq '0 0' "$(answer '`${body.cost.reserved_micros} ${body.cost.charged_micros}`')"
    assert_eq 1 "$(all_items 'items.length')"
}

test_another_clients_batch_is_not_there() {
    local mine other
    configure 'require_key = "always"; providers = ( { name = "sandbox"; } );'
    mine=$(atelierctl keys create mine)
    other=$(atelierctl keys create other)
    sandbox_batch 2 --header "Authorization: Bearer $mine"
    for path in "$BATCH" "$BATCH/items"; do
        request --header "Authorization: Bearer $other" "$ATELIER/v1/batches/$path"
        assert_error 404 batch_not_found
        request --header "Authorization: Bearer $mine" "$ATELIER/v1/batches/$path"
        assert_eq 200 "$STATUS"
    done
    request --header "Authorization: Bearer $other" --request POST "$ATELIER/v1/batches/$BATCH/cancel"
    assert_error 404 batch_not_found
    request --header "Authorization: Bearer $other" "$ATELIER/v1/batches"
    assert_eq 0 "$(answer body.data.length)"
    request --header "Authorization: Bearer $mine" "$ATELIER/v1/batches"
    assert_eq 1 "$(answer body.data.length)"
}

test_a_deleted_job_is_said_to_be_deleted() {
    sandbox_batch 2
    wait_until 10 batch_is completed
    request --request DELETE "$ATELIER/v1/jobs/$(all_items 'items[0].job')"
    assert_eq 200 "$STATUS"
    show
    assert_eq 'completed 1 1' "$(answer '`${body.status} ${body.counts.completed} ${body.counts.deleted}`')"
    assert_eq 'deleted,completed' "$(all_items 'items.map(i => i.status).join()')"
}

# kill_until_it_ends: from its submission on, every KILL_PAUSE seconds.
kill_until_it_ends() {
    local kills=0 pid
    until batch_ended; do
        sleep $KILL_PAUSE
        pid=$(systemctl show --value --property=MainPID atelier-worker)
        if ((pid != 0)) && kill -KILL "$pid" 2>/dev/null; then kills=$((kills + 1)); fi
    done
    echo "$kills kills"
    ((kills > 2)) || fail 'it was over too soon'
}

test_every_item_completes_under_kills_where_it_may_be_repeated() {
    configure 'worker = { concurrency = 32; interruptions_max = 100; };
        providers = ( { name = "sandbox"; delay = "100ms"; concurrency = 8; } );'
    sandbox_batch $ITEMS
    kill_until_it_ends
    assert_eq "$ITEMS completed" "$(answer '`${body.counts.completed} ${body.status}`')"
    assert_eq "$ITEMS $ITEMS" "$(all_items '`${items.length} ${new Set(items.map(i => i.job)).size}`')"
}

test_no_item_is_paid_twice_under_kills() {
    start_provider 'worker = { concurrency = 16; daily_budget = "infinity"; };'
    fake --json '{"rules": [{"act": "late=100"}]}' /_control
    batch "\"model\": \"gpt-image-2\", \"size\": \"1024x640\", \"prompts\": $(prompts $ITEMS)"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    BATCH=$(answer body.id)
    kill_until_it_ends
    show
    cp "$SCRATCH/body" "$SCRATCH/batch"
    assert_eq "$ITEMS 0" "$(answer '`${body.counts.completed + body.counts.failed} ${body.cost.reserved_micros}`')"
    echo "$(answer 'JSON.stringify(body.counts)') $(answer 'JSON.stringify(body.cost)'), charged $(charged)"
    # What failed is what was cut short, and nothing else.
    assert_eq '' "$(all_items 'items.filter(i => i.status == "failed" && i.error.code != "provider_outcome_unknown").join()')"
    fake /_bill >"$SCRATCH/body"
    assert_eq '|' "$(answer '`${body.repeated.join()}|${body.charged_twice.join()}`')"
    request "$ATELIER/v1/usage"
    assert_eq "$(answer '`${body.total.spent_micros} ${body.total.unknown_micros} ${body.total.reserved_micros}`')" \
        "$(cp "$SCRATCH/batch" "$SCRATCH/body" &&
            answer '`${body.cost.charged_micros} ${body.cost.unknown_micros} ${body.cost.reserved_micros}`')"
    (($(charged) >= $(answer body.cost.charged_micros))) || fail 'more was booked than charged'
    (($(charged) <= $(answer 'body.cost.charged_micros + body.cost.unknown_micros'))) || fail 'more was charged than booked'
    atelierctl ledger verify
}
