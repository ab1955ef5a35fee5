# shellcheck shell=bash
# Pictures that come with a request: who sees them, how much of them is taken, and that they last as long as their job.
deadline=90
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/provider.sh"

IMAGES=/var/lib/atelier/current/images
MB=1000000

# picture FILE [WIDTH]: a PNG.
picture() {
    node --input-type=module --eval "
        import { drawImage } from '$CHECKOUT/tests/fakes/image.mjs';
        import { writeFileSync } from 'node:fs';
        writeFileSync('$1', drawImage({ width: ${2:-64}, height: 64, seed: '$1' }));"
}

# edit MODEL FILE PROMPT [CURL-OPTION...]
edit() {
    request --form "image=@$2" --form "prompt=$3" --form "model=$1" --form size=1024x1024 "${@:4}" \
        "$ATELIER/v1/images/edits"
}

stored() {
    [[ -e $IMAGES/${1:0:2}/$1.png ]]
}

is_gone() {
    ! stored "$1"
}

job_is() {
    request "$ATELIER/v1/jobs/$1"
    [[ $(answer body.status) == "$2" ]]
}

kill_worker() {
    systemctl kill --signal=KILL --kill-whom=main atelier-worker
}

# What the provider was sent of the only request.
heard_sha256() {
    fake /_bill | node --print 'JSON.parse(require("fs").readFileSync(0)).requests.map(one => one.uploads[0].sha256).join()'
}

# The first job is held by the provider, so that the second one waits with its picture.
test_waiting_edit_outlives_kills_and_is_paid_once() {
    local job sum
    start_provider 'worker = { concurrency = 1; };'
    picture "$SCRATCH/held.png"
    picture "$SCRATCH/waiting.png"
    sum=$(sha256sum "$SCRATCH/waiting.png" | cut -d' ' -f1)

    edit gpt-image-2 "$SCRATCH/held.png" 'first [fake:hold]' --header 'Prefer: respond-async'
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    fake '/_bill?requests=1' >/dev/null
    edit gpt-image-2 "$SCRATCH/waiting.png" second --header 'Prefer: respond-async'
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    job=$(answer body.id)
    stored "$sum"

    # The one that was sent is of unknown outcome and not sent again; the other one goes on with its picture.
    kill_worker
    wait_until 20 job_is "$job" completed
    assert_eq 2 "$(billed)"
    assert_match "$sum\$" "$(heard_sha256)"
    assert_eq '{"violations":[]}' "$(fake /_violations)"
    wait_until 10 is_gone "$sum"
}

# bill_of PROMPT, cost_of PROMPT: in micro-dollars, as the provider has it and as the job does.
bill_of() {
    fake /_bill | node --print "JSON.parse(require('fs').readFileSync(0)).requests.find(one => one.prompt === '$1').cost_micros"
}

cost_of() {
    request "$ATELIER/v1/jobs"
    answer "body.data.find(job => job.request.prompt === '$1').cost.charged_micros"
}

# By the provider's own count of tokens, those of the pictures included.
test_edits_cost_what_the_provider_bills() {
    start_provider
    picture "$SCRATCH/a.png"
    picture "$SCRATCH/b.png" 700
    edit gpt-image-2 "$SCRATCH/a.png" one --form quality=low
    assert_eq 200 "$STATUS"
    edit gpt-image-2 "$SCRATCH/b.png" two --form "image=@$SCRATCH/a.png" --form n=2
    assert_eq 200 "$STATUS"
    edit gpt-image-2 "$SCRATCH/b.png" 'three [fake:usage=none]'
    assert_eq 200 "$STATUS"
    edit gpt-image-2 "$SCRATCH/b.png" 'four [fake:status=moderation_blocked]'
    assert_eq 400 "$STATUS"
    request "$ATELIER/v1/usage"
    assert_eq 0 "$(answer 'body.today.reserved_micros')"
    # Where the provider tells nothing it is booked at its most: never less than the bill.
    (($(answer 'body.today.spent_micros') >= $(charged))) || fail "$(cat "$SCRATCH/body") is less than $(charged)"
    for prompt in one two; do
        assert_eq "$(bill_of $prompt)" "$(cost_of $prompt)"
    done
}

test_other_users_cannot_read_an_upload() {
    local pid sum
    configure 'providers = ( { name = "sandbox"; delay = "2s"; } );'
    picture "$SCRATCH/private.png"
    sum=$(sha256sum "$SCRATCH/private.png" | cut -d' ' -f1)
    request --form "image=@$SCRATCH/private.png" --form prompt=mine --form model=sandbox --form size=64x64 \
        --header 'Prefer: respond-async' "$ATELIER/v1/images/edits"
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    stored "$sum"
    pid=$(systemctl show --value --property=MainPID atelier-api)
    for path in "$IMAGES/${sum:0:2}/$sum.png" /var/lib/atelier "/proc/$pid/fd" "/proc/$pid/root/var/tmp"; do
        assert_fails setpriv --reuid=nobody --regid=nogroup --clear-groups ls "$path"
    done
    # Nor over HTTP: it is no image of the gateway's.
    request "$ATELIER/v1/images/$sum.png"
    assert_error 404 image_not_found
    wait_until 10 is_gone "$sum"
}

# rss DAEMON: in kB.
rss() {
    sed -nE 's/^VmHWM:[[:space:]]*([0-9]+) kB$/\1/p' "/proc/$(systemctl show --value --property=MainPID "atelier-$1")/status"
}

test_200_mb_are_refused_before_they_are_sent() {
    truncate --size=$((200 * MB)) "$SCRATCH/huge"
    edit sandbox "$SCRATCH/huge" 'too much' --header 'Expect:' --write-out '%{http_code} %{size_upload}'
    assert_match '^413 ' "$STATUS"
    ((${STATUS#413 } < 20 * MB)) || fail "${STATUS#413 } bytes were sent"
    STATUS=413
    assert_error 413 body_too_large
}

test_pictures_do_not_stand_in_memory() {
    ! is_sanitized || skip "a build with sanitizers is larger"
    truncate --size=$((48 * MB)) "$SCRATCH/one"
    edit sandbox "$SCRATCH/one" 'no picture' --form "image=@$SCRATCH/one"
    assert_error 400 invalid_image
    (($(rss api) <= 32 * 1024)) || fail "atelier-api reached $(rss api) kB"
    (($(rss worker) <= 48 * 1024)) || fail "atelier-worker reached $(rss worker) kB"

    node --eval "const fs = require('fs'), bytes = Buffer.alloc(36 * $MB).toString('base64');
        fs.writeFileSync('$SCRATCH/json', JSON.stringify({ prompt: 'p', model: 'sandbox',
            images: [1, 2].map(() => ({ image_url: 'data:image/png;base64,' + bytes })) }));"
    request --header 'Content-Type: application/json' --header 'Expect:' --upload-file "$SCRATCH/json" --request POST \
        "$ATELIER/v1/images/edits"
    assert_error 400 invalid_image
    (($(rss api) <= 32 * 1024)) || fail "atelier-api reached $(rss api) kB by JSON"
}

# A client that has announced as much as may be under way, and sends none of it, holds the place until it goes.
test_uploads_in_flight_are_bounded() {
    local holder
    configure 'api = { uploads_in_flight_max = "1M"; };'
    picture "$SCRATCH/small.png"
    exec {holder}<>/dev/tcp/127.0.0.1/8080
    printf 'POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n\r\n' \
        $((1024 * 1024)) >&$holder
    wait_until 10 is_full
    assert_error 503 too_many_uploads
    assert_eq 2 "$(header retry-after)"
    exec {holder}>&-
    wait_until 10 is_not_full
    assert_eq 200 "$STATUS"
}

small_edit() {
    request --form "image=@$SCRATCH/small.png" --form prompt=p --form model=sandbox --form size=64x64 \
        "$ATELIER/v1/images/edits"
}

is_full() {
    small_edit
    [[ $STATUS == 503 ]]
}

is_not_full() {
    small_edit
    [[ $STATUS != 503 ]]
}
