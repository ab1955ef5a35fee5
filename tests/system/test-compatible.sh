# shellcheck shell=bash
# Servers of one's own that speak like OpenAI's images API: each is sent what it knows, and its ways to answer are understood.
source "$CHECKOUT/tests/system/rig/requests.sh"

PORT=18300

# start_server NAME
start_server() {
    node "$CHECKOUT/tests/fakes/compatible.mjs" "$1" --port $PORT >"$SCRATCH/server" &
    wait_until 10 grep -qx $PORT "$SCRATCH/server"
    configure "trust_loopback = true; worker = { attempts_max = 1; };
        providers = ( { name = \"mine\"; kind = \"openai-compatible\"; server = \"$1\"; base_url = \"http://127.0.0.1:$PORT/v1\"; } );
        models = ( { name = \"local\"; provider = \"mine\"; sizes = [ \"auto\", \"256x128\" ]; qualities = [ \"auto\", \"low\" ];
                     formats = [ \"png\", \"jpeg\" ]; gpt_fields = true; style = true; } );
        prices = ( { name = \"local\"; provider = \"mine\"; model = \"local\"; per_image = [ \"* * \$0\" ]; } );"
}

# paint PROMPT [JSON-MEMBERS]
paint() {
    request --json "{\"model\": \"local\", \"prompt\": \"$1\" ${2:+, $2}}" "$ATELIER/v1/images/generations"
}

# sent: the last prompt that reached the server.
sent() {
    curl --silent "http://127.0.0.1:$PORT/_requests" | node --print 'JSON.parse(require("fs").readFileSync(0)).at(-1).prompt'
}

# assert_served NAME: with all that a client can ask for, and with nothing of it.
assert_served() {
    start_server "$1"
    paint 'a fox' '"n": 2, "size": "256x128", "quality": "low", "style": "vivid", "background": "opaque", "user": "u",
                   "moderation": "low", "output_format": "png"'
    assert_eq '200 2' "$STATUS $(answer body.data.length)" "$(cat "$SCRATCH/body")"
    paint 'a fox' '"response_format": "url"'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    curl --fail --silent --output "$SCRATCH/picture" "$(answer 'body.data[0].url')"
    request "$ATELIER/v1/usage"
    assert_eq 0 "$(answer body.total.spent_micros)"
    request "$ATELIER/health"
    assert_eq ok "$(answer 'body.checks.mine.status')"
}

# assert_failure STATUS MESSAGE: what its own failure becomes.
assert_failure() {
    paint 'fail'
    assert_eq "$1" "$STATUS" "$(cat "$SCRATCH/body")"
    assert_match "$2" "$(answer body.error.message)"
}

test_localai() {
    assert_served localai
    assert_failure 500 'the model is out of memory'
    paint 'a fox|no hens'
    assert_eq 'a fox,no hens' "$(sent)"
}

test_stable_diffusion_cpp() {
    assert_served stable-diffusion.cpp
    assert_failure 400 'the model is out of memory'
    paint 'a <sd_cpp_extra_args>{\"steps\": 9999}</sd_cpp_extra_args>fox'
    assert_eq 'a fox' "$(sent)"
    request "$ATELIER/v1/jobs"
    assert_match 'sd_cpp_extra_args' "$(answer 'body.data[0].request.prompt')"
}

test_vllm_omni() {
    assert_served vllm-omni
    assert_failure 422 'the model is out of memory'
}

test_sglang() {
    assert_served sglang
    assert_failure 400 'the model is out of memory'
}

test_mistral_rs() {
    assert_served mistral.rs
    assert_failure 500 'The provider had an internal error'
}
