# shellcheck shell=bash
# A stored image over HTTP: whole, in part, not at all when it is known, and gone with its job.
source "$CHECKOUT/tests/system/rig/requests.sh"

# make_image: sets IMAGE (its address, unsigned), NAME (its hash) and SIZE; the bytes are in $SCRATCH/image.
make_image() {
    draw 'to be fetched'
    IMAGE=$(answer 'body.data[0].url.split("?")[0]')
    request "$IMAGE"
    assert_eq 200 "$STATUS"
    cp "$SCRATCH/body" "$SCRATCH/image"
    NAME=$(sha256sum "$SCRATCH/image" | cut -d' ' -f1)
    SIZE=$(stat --format=%s "$SCRATCH/image")
}

# assert_part START LENGTH: the last answer is that part.
assert_part() {
    assert_eq 206 "$STATUS"
    assert_eq "bytes $1-$(($1 + $2 - 1))/$SIZE" "$(header content-range)"
    assert_eq "$2" "$(header content-length)"
    cmp "$SCRATCH/body" <(tail --bytes=+$(($1 + 1)) "$SCRATCH/image" | head --bytes="$2")
}

assert_whole() {
    assert_eq 200 "$STATUS"
    cmp "$SCRATCH/body" "$SCRATCH/image"
}

test_whole_image_has_what_caches_need() {
    make_image
    assert_eq "$ATELIER/v1/images/$NAME.png" "$IMAGE"
    assert_eq "\"$NAME\"" "$(header etag)"
    assert_eq image/png "$(header content-type)"
    assert_eq "$SIZE" "$(header content-length)"
    assert_eq bytes "$(header accept-ranges)"
    assert_match 'max-age=31536000, immutable' "$(header cache-control)"
    assert_eq nosniff "$(header x-content-type-options)"
    assert_match '^[0-9a-f]{32}$' "$(header x-request-id)"
}

test_head_is_get_without_the_bytes() {
    make_image
    grep -iv '^\(date\|x-request-id\):' "$SCRATCH/head" >"$SCRATCH/head-of-get"
    request --head "$IMAGE"
    assert_eq 200 "$STATUS"
    assert_eq "$(<"$SCRATCH/head-of-get")" "$(grep -iv '^\(date\|x-request-id\):' "$SCRATCH/head")"
}

test_parts() {
    make_image
    request --range 0-0 "$IMAGE"
    assert_part 0 1
    request --range 10-29 "$IMAGE"
    assert_part 10 20
    request --range $((SIZE - 1))- "$IMAGE"
    assert_part $((SIZE - 1)) 1
    request --range -7 "$IMAGE"
    assert_part $((SIZE - 7)) 7
    request --range "5-$((SIZE * 2))" "$IMAGE"
    assert_part 5 $((SIZE - 5))
    request --range "-$((SIZE * 2))" "$IMAGE"
    assert_part 0 "$SIZE"
}

test_part_behind_the_end_is_refused() {
    make_image
    request --range "$SIZE-" "$IMAGE"
    assert_error 416 range_not_satisfiable
    assert_eq "bytes */$SIZE" "$(header content-range)"
}

test_ranges_that_are_not_served_give_the_whole() {
    local range
    make_image
    for range in 'bytes=0-1,3-4' 'bytes=5-2' 'bytes=x-y' 'lines=0-1' 'bytes=' 'bytes=99999999999999999999-'; do
        request --header "Range: $range" "$IMAGE"
        [[ $STATUS == 416 ]] || assert_whole
    done
}

test_interrupted_download_is_resumed() {
    make_image
    head --bytes=100 "$SCRATCH/image" >"$SCRATCH/partial"
    curl --fail --silent --max-time 10 --continue-at - --output "$SCRATCH/partial" "$IMAGE"
    cmp "$SCRATCH/partial" "$SCRATCH/image"
}

test_known_image_is_not_sent_again() {
    local known
    make_image
    for known in "\"$NAME\"" "W/\"$NAME\"" "\"other\", \"$NAME\"" '*'; do
        request --header "If-None-Match: $known" "$IMAGE"
        assert_eq 304 "$STATUS" "$known"
        assert_eq 0 "$(stat --format=%s "$SCRATCH/body")"
        assert_eq "\"$NAME\"" "$(header etag)"
    done
    request --header 'If-None-Match: "other"' "$IMAGE"
    assert_whole
}

test_part_of_another_image_is_not_mixed_in() {
    make_image
    request --range 5- --header "If-Range: \"$NAME\"" "$IMAGE"
    assert_part 5 $((SIZE - 5))
    request --range 5- --header 'If-Range: "other"' "$IMAGE"
    assert_whole
}

test_same_picture_has_the_same_name() {
    make_image
    local first=$IMAGE
    make_image
    assert_eq "$first" "$IMAGE"
}

test_image_goes_with_the_last_job_that_uses_it() {
    local jobs
    make_image
    make_image
    request "$ATELIER/v1/jobs"
    jobs=$(answer 'body.data.map((job) => job.id).join(" ")')
    # shellcheck disable=SC2086 # words are wanted
    set -- $jobs
    assert_eq 2 $#
    request --request DELETE "$ATELIER/v1/jobs/$1"
    assert_eq 200 "$STATUS"
    request "$IMAGE"
    assert_whole
    request --request DELETE "$ATELIER/v1/jobs/$2"
    assert_eq 200 "$STATUS"
    request "$IMAGE"
    assert_error 404 image_not_found
    assert_eq '' "$(find /var/lib/atelier/current/images -name "*$NAME*")"
}
