# shellcheck shell=bash
# Which web pages may ask from a browser, and what a browser is told.
source "$CHECKOUT/tests/system/rig/requests.sh"

PEERS=$CHECKOUT/build/peers/test
PAGE=https://app.example.com
ALLOWED="api = { cors_origins = [ \"$PAGE\", \"http://localhost:3000\" ]; cors_max_age = \"10min\"; };"

# preflight ORIGIN METHOD PATH
preflight() {
    request --request OPTIONS --header "Origin: $1" --header "Access-Control-Request-Method: $2" \
        --header 'Access-Control-Request-Headers: authorization,content-type' "$ATELIER$3"
}

test_a_browser_is_told_what_an_allowed_page_may_do() {
    configure "require_key = \"always\"; $ALLOWED"
    preflight "$PAGE" POST /v1/images/generations
    assert_eq "204 $PAGE 600 Origin" \
        "$STATUS $(header access-control-allow-origin) $(header access-control-max-age) $(header vary)"
    assert_eq POST "$(header access-control-allow-methods)"
    assert_match 'Authorization, Content-Type, .*Idempotency-Key' "$(header access-control-allow-headers)"
    assert_eq '' "$(header access-control-allow-credentials)"
    preflight http://localhost:3000 GET /v1/jobs/job_00000000000000000000000000000000
    assert_eq '204 GET, HEAD, DELETE' "$STATUS $(header access-control-allow-methods)"
    preflight "$PAGE" GET /v1/nothing
    assert_eq "404 $PAGE" "$STATUS $(header access-control-allow-origin)"
}

test_no_other_page_is_told_anything() {
    configure "$ALLOWED"
    local origin
    for origin in https://evil.example.com "$PAGE.evil.example.com" "$PAGE:443" "$PAGE/" HTTPS://APP.EXAMPLE.COM null '*' \
        http://app.example.com https://sub.app.example.com; do
        preflight "$origin" POST /v1/images/generations
        assert_error 403 cors_origin_not_allowed
        assert_eq ' Origin' "$(header access-control-allow-origin) $(header vary)" "$origin"
        request --header "Origin: $origin" "$ATELIER/v1/models"
        assert_eq '200  Origin' "$STATUS $(header access-control-allow-origin) $(header vary)" "$origin"
    done
}

test_every_answer_may_be_read_by_the_page() {
    local url
    configure "require_key = \"always\"; $ALLOWED"
    request --header "Origin: $PAGE" "$ATELIER/v1/models"
    assert_eq "401 $PAGE" "$STATUS $(header access-control-allow-origin)"
    KEY=$(atelierctl keys create page --requests-per-minute=10)
    ask() {
        request --header "Origin: $PAGE" --header "Authorization: Bearer $KEY" "${@:2}" "$ATELIER/v1/images/generations" \
            --json "{\"model\": \"sandbox\", \"size\": \"64x64\", \"prompt\": \"x\"$1}"
    }
    ask ''
    assert_eq "200 $PAGE Origin" "$STATUS $(header access-control-allow-origin) $(header vary)"
    assert_match 'x-request-id.*Location.*x-ratelimit-remaining-requests' "$(header access-control-expose-headers)"
    url=$(answer 'body.data[0].url')
    ask ', "stream": true'
    assert_eq "200 $PAGE" "$STATUS $(header access-control-allow-origin)"
    ask ', "nonsense": 1'
    assert_eq "400 $PAGE" "$STATUS $(header access-control-allow-origin)"
    request --header "Origin: $PAGE" "$url"
    assert_eq "200 $PAGE" "$STATUS $(header access-control-allow-origin)"
    request "$ATELIER/health"
    assert_eq ' Origin' "$(header access-control-allow-origin) $(header vary)"
}

test_without_the_setting_nothing_is_said() {
    preflight "$PAGE" POST /v1/images/generations
    assert_error 405 method_not_allowed
    request --header "Origin: $PAGE" "$ATELIER/v1/models"
    assert_eq '200  ' "$STATUS $(header access-control-allow-origin) $(header vary)"
}

# security_headers PATH: what every answer has, once each.
security_headers() {
    request "$ATELIER$1"
    grep -icE '^(x-content-type-options: nosniff|x-frame-options: deny|referrer-policy: no-referrer|cache-control: )' \
        "$SCRATCH/head"
}

test_every_answer_is_safe_in_a_browser() {
    local path
    draw 'to be linked'
    for path in /health /health/live /metrics /v1/models /v1/jobs /nothing "$(answer 'new URL(body.data[0].url).pathname + new URL(body.data[0].url).search')"; do
        assert_eq 4 "$(security_headers "$path")" "$path: $(cat "$SCRATCH/head")"
    done
    assert_match 'private, max-age=' "$(header cache-control)"
    security_headers /v1/jobs
    assert_eq no-store "$(header cache-control)"
}

# browse URL: what Chromium shows of the page once its script came to rest.
browse() {
    local libraries=$PEERS/usr/lib/$(uname -m)-linux-gnu
    LD_LIBRARY_PATH=$libraries:$libraries/pulseaudio "$PEERS/usr/lib/chromium/chromium-headless-shell" --no-sandbox \
        --disable-gpu --user-data-dir="$SCRATCH/browser" --virtual-time-budget=10000 --dump-dom "$1" 2>"$SCRATCH/browser.log" |
        sed -nE 's|.*<pre id="seen">(.*)</pre>.*|\1|p'
}

test_chromium_lets_an_allowed_page_ask_and_no_other() {
    configure "require_key = \"always\"; $ALLOWED"
    local key pages
    key=$(atelierctl keys create page)
    node "$CHECKOUT/tests/system/clients/web-page.mjs" 3000 3001 &
    pages=$!
    wait_until 5 curl --silent --output /dev/null http://localhost:3001/
    assert_eq '200 with its id, 200 with its id, 404 with its id' "$(browse "http://localhost:3000/?key=$key")" \
        "$(cat "$SCRATCH/browser.log")"
    assert_eq 'TypeError, TypeError, TypeError' "$(browse "http://localhost:3001/?key=$key")"
    assert_eq '401 with its id, 401 with its id, 401 with its id' "$(browse "http://localhost:3000/?key=atl_wrong")"
    kill $pages
    request --header "Authorization: Bearer $key" "$ATELIER/v1/jobs"
    assert_eq 1 "$(answer body.data.length)" 'jobs: the other page made none'
}

test_what_is_no_origin_is_refused_with_its_place() {
    local origin
    for origin in '*' null "$PAGE/" app.example.com "$PAGE:443" https://App.example.com; do
        printf 'api = { cors_origins = [\n"%s" ]; };\n' "$origin" >/etc/atelier/atelier.conf.d/50-test.conf
        atelierctl config check >"$SCRATCH/out" 2>&1 && fail "$origin is taken"
        assert_match '50-test.conf:[12]: api.cors_origins: .*origins as browsers write them' "$(cat "$SCRATCH/out")"
    done
    printf '' >/etc/atelier/atelier.conf.d/50-test.conf
}
