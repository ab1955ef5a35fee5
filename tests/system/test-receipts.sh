# shellcheck shell=bash
# A receipt says what an image was made from, for whom and by whom, and its lines sum up to what was charged.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

MODEL=gpt-image-2.6-flare

# picture [CURL-OPTION...]: has one made; sets IMAGE to its hash.
picture() {
    request --json "{\"model\": \"$MODEL\", \"prompt\": \"a receipt\", \"response_format\": \"url\"}" "$@" \
        "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    IMAGE=$(answer 'body.data[0].url.match(/images\/([0-9a-f]{64})/)[1]')
}

receipt() {
    request "$@" "$ATELIER/v1/images/$IMAGE/receipt"
}

# Sum of the items of the first receipt, rounded up once.
SUM='Math.ceil(body.data[0].items.reduce((sum, item) => sum + item.count * item.price_micros / item.per, 0))'

test_items_sum_up_to_the_charge() {
    start_provider 'worker = { daily_budget = "$5"; };'
    picture
    receipt
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq "$(charged)" "$(answer 'body.data[0].charged_micros')"
    assert_eq "$(charged)" "$(answer "$SUM")"
    assert_eq 'a receipt openai false' \
        "$(answer '[body.data[0].request.prompt, body.data[0].provider, body.has_more].join(" ")')"
    assert_match '^req_' "$(answer 'body.data[0].provider_request_id')"
    assert_eq 'reserve settle' "$(answer 'body.data[0].entries.map(entry => entry.kind).join(" ")')"
    assert_eq 'all day 5000000' "$(answer 'Object.values(body.data[0].budgets[0]).join(" ")')"
    # As the ledger has them, which is as they were written.
    ctl --json ledger list
    assert_eq "$(json 'it.map(entry => entry.hash).join()')" "$(answer 'body.data[0].entries.map(entry => entry.hash).join()')"
    ctl ledger verify
    assert_eq 0 "$STATUS" "$(err)"
}

test_only_who_may_see_the_job_gets_its_receipt() {
    start_provider
    local mine other
    ctl --json keys create mine
    mine=$(json it.token)
    ctl --json keys create other
    other=$(json it.token)
    picture --header "Authorization: Bearer $mine"
    receipt --header "Authorization: Bearer $mine"
    assert_eq 'mine' "$(answer 'body.data[0].key_name')"
    receipt --header "Authorization: Bearer $other"
    assert_error 404 image_not_found
    receipt
    assert_error 401 invalid_api_key
    ctl images receipt "$IMAGE"
    assert_said 0 '\(mine\)'
}

test_each_job_with_the_same_image_has_its_receipt() {
    configure ''
    draw same
    draw same
    IMAGE=$(answer 'body.data[0].url.match(/images\/([0-9a-f]{64})/)[1]')
    receipt
    assert_eq '2 0' "$(answer '[body.data.length, body.data[0].charged_micros].join(" ")')"
    ctl images receipt "$IMAGE"
    assert_said 0 'charged +\$0.00'
    IMAGE=${IMAGE//[0-9]/a}
    receipt
    assert_error 404 image_not_found
    ctl images receipt "$IMAGE"
    assert_said 1 '' 'no job has the image'
}
