# shellcheck shell=bash
#
# provider.sh: a provider that costs money, which is a fake OpenAI. Sourced after requests.sh.

PROVIDER_PORT=18000

# fake [CURL-OPTION...] PATH: one of its test doors.
fake() {
    curl --fail --silent --show-error "${@:1:$#-1}" "http://127.0.0.1:$PROVIDER_PORT${!#}"
}

# start_provider [CONFIGURATION]: starts it, and has the worker pay for it.
start_provider() {
    node "$CHECKOUT/tests/fakes/openai.mjs" --port $PROVIDER_PORT --keys sk-test >"$SCRATCH/fake" &
    wait_until 10 grep -qx $PROVIDER_PORT "$SCRATCH/fake"
    install -D -m 0600 /dev/stdin /etc/credstore/openai-api-key <<<sk-test
    configure "trust_loopback = true;
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$PROVIDER_PORT/v1\"; } ); ${1:-}"
}

# Requests that it was sent.
billed() {
    fake /_bill | node --print 'JSON.parse(require("fs").readFileSync(0)).count'
}

# What it charges, in micro-dollars.
charged() {
    fake /_bill | node --print 'JSON.parse(require("fs").readFileSync(0)).cost_micros'
}
