# shellcheck shell=bash
# What is wrong with a reply that was charged: the picture is delivered where it is one, the defect is recorded with the charge
# and listed for a claim, whatever becomes of the job.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

# ask ACT [MEMBERS]: a picture that comes as the act says.
ask() {
    request "$ATELIER/v1/images/generations" \
        --json "{\"model\": \"gpt-image-2\", \"size\": \"1024x1024\", \"prompt\": \"a [fake:$1]\"${2:+, $2}}"
}

# defects EXPRESSION: of the list.
defects() {
    ctl --json ledger defects
    assert_eq 0 "$STATUS" "$(err)"
    json "$1"
}

# The latest job.
job() {
    request "$ATELIER/v1/jobs?limit=1"
    answer "$1"
}

test_a_picture_of_one_colour_is_delivered_and_listed() {
    start_provider
    ask image=flat '"n": 2'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 2 "$(answer body.data.length)"
    assert_eq '1:single_colour,2:single_colour,2:duplicate_image' "$(defects 'it.map(d => `${d.image}:${d.kind}`).join()')"
    assert_eq "$(job 'body.data[0].id')" "$(defects 'it[0].job')"
    # Each image's share of the charge, and the provider's own name of the request.
    assert_eq "$(($(charged) / 2)) 0" "$(defects '`${it[0].charged_micros} ${it[0].unknown_micros}`')"
    assert_match '^req_' "$(defects 'it[0].provider_request_id')"
    assert_match 'image 1 is of a single colour; and 2 more' "$(job 'JSON.stringify(body.data[0].attempts)')"
    curl --fail --silent "$ATELIER/metrics" >"$SCRATCH/metrics"
    assert_match 'genai_image_defects_total\{provider="openai",kind="single_colour"\} 2' "$(cat "$SCRATCH/metrics")"
    assert_match 'completed: image 1 is of a single colour' "$(journal --unit=atelier-worker --priority=warning --output=cat)"
    atelierctl ledger verify
}

test_a_job_and_a_receipt_tell_what_was_wrong() {
    local id sha256
    start_provider
    ask image=flat '"n": 2'
    id=$(job 'body.data[0].id')
    assert_eq undefined "$(job 'body.data[0].defects')"
    request "$ATELIER/v1/jobs/$id"
    assert_eq '1:single_colour,2:single_colour,2:duplicate_image' "$(answer 'body.defects.map(d => `${d.image}:${d.kind}`).join()')"
    assert_eq "$(($(charged) / 2))" "$(answer 'body.defects[2].charged_micros')"
    sha256=$(answer 'body.defects[0].sha256')
    request "$ATELIER/v1/images/$sha256/receipt"
    assert_eq "$id single_colour 3" \
        "$(answer '`${body.data[0].job} ${body.data[0].defects[0].kind} ${body.data[0].defects.length}`')"
    ctl images receipt "$sha256"
    assert_said 0 'defect .*image 2 is image 1 again'
    ctl jobs show "$id"
    assert_said 0 'defect .*image 2 is image 1 again'
    ask times=0
    request "$ATELIER/v1/jobs/$(job 'body.data[0].id')"
    assert_eq 'completed undefined' "$(answer '`${body.status} ${body.defects}`')"
}

test_a_receipt_is_of_its_own_image() {
    local id flat good
    start_provider
    ask image=first_flat '"n": 2'
    id=$(job 'body.data[0].id')
    request "$ATELIER/v1/jobs/$id"
    assert_eq '1:single_colour' "$(answer 'body.defects.map(d => `${d.image}:${d.kind}`).join()')"
    flat=$(answer 'body.result.data[0].url.match(/images\/([0-9a-f]{64})/)[1]')
    good=$(answer 'body.result.data[1].url.match(/images\/([0-9a-f]{64})/)[1]')
    request "$ATELIER/v1/images/$flat/receipt"
    assert_eq "$id 1" "$(answer '`${body.data[0].job} ${body.data[0].defects.length}`')"
    request "$ATELIER/v1/images/$good/receipt"
    assert_eq "$id undefined" "$(answer '`${body.data[0].job} ${body.data[0].defects}`')"
}

test_the_same_picture_twice_is_listed_once() {
    start_provider
    ask image=same '"n": 3'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq '2:image 2 is image 1 again,3:image 3 is image 1 again' "$(defects 'it.map(d => `${d.image}:${d.detail}`).join()')"
}

test_another_format_than_asked_for_is_listed() {
    start_provider
    ask image=wrong_format '"output_format": "png"'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 'other_format: image 1 is jpeg, which was not asked for' "$(defects '`${it[0].kind}: ${it[0].detail}`')"
    ask image=wrong_format
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 1 "$(defects it.length)"
}

test_a_reply_without_a_usable_picture_is_listed_with_what_it_may_have_cost() {
    local reserved
    start_provider
    for act in image=truncated image=wrong_size fewer=1 body=truncated; do
        ask $act '"n": 2'
        assert_error 502 provider_bad_reply
    done
    assert_eq 'unusable_reply 4' "$(defects '`${[...new Set(it.map(d => d.kind))]} ${it.length}`')"
    assert_match 'bad reply: .*cut short.*bad reply: an image of another size than asked for.*bad reply: another number of images than asked for.*bad reply: ' \
        "$(defects 'it.map(d => d.detail).join("; ")')"
    request "$ATELIER/v1/usage"
    reserved=$(answer body.total.unknown_micros)
    assert_eq "$reserved 0" "$(defects '`${it.reduce((sum, d) => sum + d.unknown_micros, 0)} ${it.reduce((sum, d) => sum + d.charged_micros, 0)}`')"
    ((reserved > 0)) || fail 'nothing was booked'
}

test_defects_outlive_their_job_and_the_worker() {
    local id
    start_provider
    ask image=flat
    id=$(job 'body.data[0].id')
    request --request DELETE "$ATELIER/v1/jobs/$id"
    assert_eq 200 "$STATUS"
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
    ctl ledger defects
    assert_said 0 "openai .*gpt-image-2 .* $id +image 1 is of a single colour"
}

test_good_pictures_are_not_listed() {
    start_provider
    for format in png jpeg webp; do
        ask times=0 "\"output_format\": \"$format\", \"n\": 3"
        assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    done
    request --json '{"model": "sandbox", "prompt": "x", "size": "64x64", "n": 4}' "$ATELIER/v1/images/generations"
    ctl ledger defects
    assert_said 0 '^There is no such defect.$'
}

test_a_list_begins_at_a_time() {
    start_provider
    ask image=flat
    for since in 1970-01-01 "$(date -u -d yesterday +%F)" 1h; do
        ctl ledger defects "--since=$since"
        assert_said 0 'image 1 is of a single colour'
    done
    ctl ledger defects --since="$(date -u -d tomorrow +%F)"
    assert_said 0 '^There is no such defect.$'
    for since in yesterday -1 infinity 2026-02-30 ''; do
        ctl ledger defects "--since=$since"
        assert_eq 2 "$STATUS" "$since"
    done
}

test_lists_come_in_pages() {
    start_provider
    ask image=same '"n": 6'
    ctl ledger defects --limit=3
    assert_said 0 'There are more: atelierctl ledger defects --after=3$'
    ctl --json ledger defects --after=3
    assert_eq '4,5' "$(json 'it.map(d => d.number).join()')"
    ctl ledger defects --limit=1001
    assert_eq 2 "$STATUS"
}
