# shellcheck shell=bash
# Signed links: they open one image, without a key, until they expire, are revoked, or the image is gone.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

SECRET=/var/lib/atelier/image-link-secret

# behind_keys: from here on clients must show one, which is KEY.
behind_keys() {
    KEY=$(atelierctl keys create client)
    KEY_ID=${KEY:4:16}
    AUTHORIZATION="Authorization: Bearer $KEY"
}

# make_image: by KEY; sets LINK (signed), IMAGE (unsigned), NAME (its hash) and SIZE; the bytes are in $SCRATCH/image.
make_image() {
    draw 'to be shown around' --header "$AUTHORIZATION"
    LINK=$(answer 'body.data[0].url')
    IMAGE=${LINK%%\?*}
    NAME=${IMAGE##*/}
    NAME=${NAME%.png}
    request --header "$AUTHORIZATION" "$IMAGE"
    assert_eq 200 "$STATUS"
    cp "$SCRATCH/body" "$SCRATCH/image"
    SIZE=$(stat --format=%s "$SCRATCH/image")
}

# assert_opens LINK: it is the image, for anybody.
assert_opens() {
    request "$1"
    assert_eq 200 "$STATUS" "$(head --bytes=500 "$SCRATCH/body")"
    cmp "$SCRATCH/body" "$SCRATCH/image"
    assert_eq "$NAME" "$(sha256sum "$SCRATCH/body" | cut -d' ' -f1)"
}

# signed EXPIRES: a link made as the documentation has it, by another program than ours, with the secret on the disk.
signed() {
    node --print "'$IMAGE?expires=$1&signature=' + require('crypto')
        .createHmac('sha256', require('fs').readFileSync('$SECRET'))
        .update('atelier-image-link-1\n/v1/images/$NAME.png\n$1\n').digest('hex')"
}

# ask_link SHA256 [CURL-OPTION...]
ask_link() {
    request --request POST "${@:2}" "$ATELIER/v1/images/$1/link"
}

test_response_by_url_opens_without_a_key_for_an_hour() {
    local left
    behind_keys
    make_image
    request "$IMAGE"
    assert_error 401 invalid_api_key
    assert_opens "$LINK"
    assert_eq image/png "$(header content-type)"
    assert_eq nosniff "$(header x-content-type-options)"
    assert_match '^private, max-age=[0-9]+, immutable$' "$(header cache-control)"
    left=$(header cache-control | sed -E 's/.*max-age=([0-9]+).*/\1/')
    ((left <= 3600 && left > 3500))
    left=$(($(sed -E 's/.*expires=([0-9]+)&.*/\1/' <<<"$LINK") - $(date +%s)))
    ((left <= 3601 && left > 3500))
}

test_head_parts_and_known_images() {
    behind_keys
    make_image
    request --head "$LINK"
    assert_eq "200 $SIZE" "$STATUS $(header content-length)"
    request --range 10-29 "$LINK"
    assert_eq "206 bytes 10-29/$SIZE" "$STATUS $(header content-range)"
    cmp "$SCRATCH/body" <(tail --bytes=+11 "$SCRATCH/image" | head --bytes=20)
    request --range "$SIZE-" "$LINK"
    assert_error 416 range_not_satisfiable
    request --header "If-None-Match: \"$NAME\"" "$LINK"
    assert_eq 304 "$STATUS"
    [[ $(header cache-control) != *31536000* ]]
    request --header "If-None-Match: \"$NAME\"" "${LINK%?}x"
    assert_error 403 link_invalid
}

# assert_wrong LINK: refused, in the one way in which all wrong links are.
assert_wrong() {
    request "$1"
    assert_error 403 link_invalid
    cat "$SCRATCH/body" >>"$SCRATCH/refusals"
    echo >>"$SCRATCH/refusals"
}

test_wrong_links_are_refused_alike() {
    local expires signature missing
    behind_keys
    make_image
    : >"$SCRATCH/refusals"
    expires=$(sed -E 's/.*expires=([0-9]+)&.*/\1/' <<<"$LINK")
    signature=${LINK##*=}
    missing=$ATELIER/v1/images/$(printf '0%.0s' {1..64}).png
    assert_wrong "$IMAGE?expires=$((expires + 1))&signature=$signature"
    assert_wrong "$IMAGE?expires=$((expires - 1))&signature=$signature"
    assert_wrong "$IMAGE?expires=0$expires&signature=$signature"
    assert_wrong "$IMAGE?expires=&signature=$signature"
    assert_wrong "$IMAGE?expires=$expires&signature=${signature^^}"
    assert_wrong "$IMAGE?expires=$expires&signature=${signature%?}"
    assert_wrong "$IMAGE?expires=$expires&signature=${signature}0"
    assert_wrong "$IMAGE?expires=$expires&signature="
    assert_wrong "$IMAGE?expires=$expires"
    assert_wrong "$IMAGE?signature=$signature"
    assert_wrong "$IMAGE?expires=1&signature=$signature"
    # Another image, one that nobody made, and another format.
    assert_wrong "$missing?expires=$expires&signature=$signature"
    assert_wrong "${IMAGE%.png}.webp?expires=$expires&signature=$signature"
    assert_eq 1 "$(sort --unique "$SCRATCH/refusals" | wc -l)"
    # A key does not make it good.
    request --header "$AUTHORIZATION" "$IMAGE?expires=$expires&signature=x"
    assert_error 403 link_invalid
    request "$LINK&signature=$signature"
    assert_error 400 invalid_target
    request "$LINK&more=1"
    assert_error 400 unknown_parameter
    # In whatever order.
    assert_opens "$IMAGE?signature=$signature&expires=$expires"
}

test_link_opens_nothing_but_its_image() {
    local query job
    behind_keys
    make_image
    query=${LINK#*\?}
    request --header "$AUTHORIZATION" "$ATELIER/v1/jobs"
    job=$(answer 'body.data[0].id')
    for path in "images/$NAME/receipt" "jobs/$job" jobs models usage; do
        request "$ATELIER/v1/$path?$query"
        assert_error 400 unknown_parameter
    done
    request --request DELETE "$LINK"
    assert_error 405 method_not_allowed
    request --request POST "$ATELIER/v1/images/$NAME/link?$query"
    assert_error 400 unknown_parameter
    assert_opens "$LINK"
}

test_link_expires() {
    local now short
    behind_keys
    make_image
    now=$(date +%s)
    assert_opens "$(signed $((now + 1000)))"
    short=$(signed $((now + 2)))
    assert_opens "$short"
    assert_match 'max-age=[012],' "$(header cache-control)"
    link_is_refused() {
        request "$short"
        [[ $STATUS == 403 ]]
    }
    wait_until 5 link_is_refused
    assert_error 403 link_expired
    (($(date +%s) >= now + 2))
    request --head "$short"
    assert_eq 403 "$STATUS"
}

test_links_outlive_restarts_backups_and_keys() {
    behind_keys
    make_image
    systemctl stop 'atelier-*.service'
    assert_opens "$LINK"
    atelierctl task run backup
    atelierctl backup restore --yes
    assert_opens "$LINK"
    atelierctl keys revoke "$KEY_ID"
    request --header "$AUTHORIZATION" "$IMAGE"
    assert_error 401 invalid_api_key
    assert_opens "$LINK"
}

test_link_to_a_deleted_image() {
    behind_keys
    make_image
    request --header "$AUTHORIZATION" "$ATELIER/v1/jobs"
    request --header "$AUTHORIZATION" --request DELETE "$ATELIER/v1/jobs/$(answer 'body.data[0].id')"
    assert_eq 200 "$STATUS"
    request "$LINK"
    assert_error 404 image_not_found
    request "${LINK%?}x"
    assert_error 403 link_invalid
    ask_link "$NAME" --header "$AUTHORIZATION"
    assert_error 404 image_not_found
}

# assert_link_for SECONDS: the last answer is a link that is good for so long.
assert_link_for() {
    local left
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 'object,url,expires_at' "$(answer 'Object.keys(body).join()')"
    assert_eq no-store "$(header cache-control)"
    left=$(($(answer body.expires_at) - $(date +%s)))
    ((left <= $1 + 1 && left > $1 - 20))
    assert_opens "$(answer body.url)"
}

test_links_are_given_to_who_may_see_the_image() {
    behind_keys
    make_image
    ask_link "$NAME"
    assert_error 401 invalid_api_key
    ask_link "$NAME" --header "$AUTHORIZATION"
    assert_link_for 3600
    ask_link "$NAME" --header "$AUTHORIZATION" --json '{}'
    assert_link_for 3600
    ask_link "$NAME" --header "$AUTHORIZATION" --json '{"expires_in": null}'
    assert_link_for 3600
    ask_link "$NAME" --header "$AUTHORIZATION" --json '{"expires_in": 60}'
    assert_link_for 60
    ask_link "$NAME" --header "$AUTHORIZATION" --json '{"expires_in": 604800}'
    assert_link_for 604800
    request --request POST --unix-socket /run/atelier/api.sock "http://localhost:8080/v1/images/$NAME/link"
    assert_link_for 3600
}

test_bad_wishes_are_refused() {
    local body
    behind_keys
    make_image
    for body in 59 604801 0 -60; do
        ask_link "$NAME" --header "$AUTHORIZATION" --json "{\"expires_in\": $body}"
        assert_error 400 invalid_value
        assert_eq expires_in "$(answer body.error.param)"
    done
    for body in '"60"' 60.5 true '[60]' 1e300; do
        ask_link "$NAME" --header "$AUTHORIZATION" --json "{\"expires_in\": $body}"
        assert_error 400 invalid_type
    done
    ask_link "$NAME" --header "$AUTHORIZATION" --json '{"expires": 60}'
    assert_error 400 unknown_parameter
    ask_link "$NAME" --header "$AUTHORIZATION" --json '[]'
    assert_eq 400 "$STATUS"
    ask_link "$NAME" --header "$AUTHORIZATION" --header 'Content-Type: text/plain' --data 60
    assert_error 415 unsupported_content_type
    ask_link x --header "$AUTHORIZATION"
    assert_error 404 image_not_found
    ask_link "${NAME//[0-9]/a}" --header "$AUTHORIZATION"
    assert_error 404 image_not_found
    request --header "$AUTHORIZATION" "$ATELIER/v1/images/$NAME/link"
    assert_error 405 method_not_allowed
}

test_links_begin_with_the_public_url_or_a_host_that_is_ours() {
    behind_keys
    make_image
    ask_link "$NAME" --header "$AUTHORIZATION" --header 'Host: localhost'
    assert_match '^http://localhost/v1/images/' "$(answer body.url)"
    ask_link "$NAME" --header "$AUTHORIZATION" --header 'Host: evil.example'
    assert_error 421 unknown_host
    ask_link "$NAME" --header "$AUTHORIZATION" --header 'Host: localhost:8080/@evil.example'
    assert_error 421 unknown_host
    ctl images link "$NAME"
    assert_said 0 '^/v1/images/' 'api.public_url'
    configure 'api = { public_url = "https://images.example.org/a/"; };'
    ask_link "$NAME" --header "$AUTHORIZATION"
    assert_match '^https://images.example.org/a/v1/images/' "$(answer body.url)"
    ctl images link "$NAME"
    assert_said 0 '^https://images.example.org/a/v1/images/' '^$'
}

test_operator_makes_and_revokes_links() {
    local path
    behind_keys
    make_image
    ctl images link "$NAME"
    path=$(out)
    assert_opens "$ATELIER$path"
    ctl --json images link "$NAME" --expires-in=7d
    assert_opens "$ATELIER$(json it.path)"
    (($(json it.expires_at) / 1000000 - $(date +%s) > 604000))
    ctl images link "$NAME" --expires-in=8d
    assert_said 1 '^$' '604800'
    ctl images link "$NAME" --expires-in=59s
    assert_said 1 '^$' '60 to'
    ctl images link "$NAME" --expires-in=soon
    assert_said 2 '^$' 'duration'
    ctl images link "${NAME//[0-9]/a}"
    assert_said 1 '^$' 'no job has the image'

    as atelier images revoke-links
    assert_said 1 '^$' 'not allowed'
    assert_opens "$LINK"
    ctl images revoke-links
    assert_said 0 'revoked'
    for path in "$LINK" "$ATELIER$path"; do
        request "$path"
        assert_error 403 link_invalid
    done
    systemctl stop 'atelier-*.service'
    request "$LINK"
    assert_error 403 link_invalid
    ctl images link "$NAME"
    assert_opens "$ATELIER$(out)"
    assert_match 'every link' "$(journal --unit=atelier-worker --output=cat)"
}

test_secret_and_signatures_show_nowhere() {
    local secret
    configure 'log_level = "debug";'
    behind_keys
    make_image
    assert_opens "$LINK"
    request "${LINK%?}x"
    assert_error 403 link_invalid
    secret=$(od --address-radix=n --format=x1 "$SECRET" | tr -d ' \n')
    assert_eq 64 "${#secret}"
    assert_eq '600 atelier-worker' "$(stat --format='%a %U' "$SECRET")"
    atelierctl task run backup
    mkdir "$SCRATCH/backup"
    tar --zstd -xf /var/backups/atelier/atelier-*.tar.zst -C "$SCRATCH/backup"
    assert_eq '' "$(find "$SCRATCH/backup" -name '*secret*')"
    journal --output=export >"$SCRATCH/journal"
    assert_match 'GET /v1/images/' "$(grep --max-count=1 --text 'GET /v1/images/' "$SCRATCH/journal")"
    assert_fails grep --quiet --text --ignore-case "$secret" "$SCRATCH/journal"
    assert_fails grep --quiet --text "${LINK: -20}" "$SCRATCH/journal"
}
