# shellcheck shell=bash
#
# requests.sh: what system tests ask the daemons with. Sourced by those test files that want it:
#
#     source "$CHECKOUT/tests/system/rig/requests.sh"

ATELIER=http://127.0.0.1:8080
REQUEST_SECONDS_MAX=30

# configure TEXT: what a file in atelier.conf.d adds. The services are stopped, and the next request starts them with
# it. From here on journal() shows what comes after.
configure() {
    printf '%s\n' "$1" >/etc/atelier/atelier.conf.d/50-test.conf
    systemctl --quiet stop 'atelier-*.service'
    logger --tag test configured
    journalctl --sync
    JOURNAL_CURSOR=$(journalctl --quiet --identifier=test --lines=1 --show-cursor --output=cat |
        sed -n 's/^-- cursor: //p')
}

# request [CURL-OPTION...] URL: sets STATUS, fills $SCRATCH/head and $SCRATCH/body.
request() {
    : >"$SCRATCH/body" # curl leaves it alone when there is no body
    STATUS=$(curl --silent --show-error --max-time $REQUEST_SECONDS_MAX --dump-header "$SCRATCH/head" \
        --output "$SCRATCH/body" --write-out '%{http_code}' "$@")
}

# header NAME: prints that field of the last answer, nothing when it has none.
header() {
    sed -nE "s/^$1: *(.*)\r$/\1/Ip" "$SCRATCH/head"
}

# answer EXPRESSION: prints what the expression makes of the last answer's body, which is `body`.
answer() {
    node --print "const body = JSON.parse(require('fs').readFileSync('$SCRATCH/body')); $1"
}

# draw PROMPT [CURL-OPTION...]: has the sandbox draw a small picture; fails unless that is answered with 200.
draw() {
    request --json "{\"model\": \"sandbox\", \"prompt\": \"$1\", \"size\": \"64x64\"}" "${@:2}" \
        "$ATELIER/v1/images/generations"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

# assert_error STATUS CODE: what the last answer is, in OpenAI's form and with its request id.
assert_error() {
    assert_eq "$1" "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq "$2" "$(answer body.error.code)"
    assert_eq 'message,type,param,code' "$(answer 'Object.keys(body.error).join()')"
    assert_match '^[0-9a-f]{32}$' "$(header x-request-id)"
}
