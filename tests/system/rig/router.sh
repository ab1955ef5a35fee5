# shellcheck shell=bash
#
# router.sh: OpenRouter, which is a fake, and models of its two routes. Sourced after requests.sh.

ROUTER_PORT=18100

ROUTER_CONFIGURATION="
    providers = ( { name = \"openrouter\"; kind = \"openrouter\"; base_url = \"http://127.0.0.1:$ROUTER_PORT/api/v1\";
                    key = \"file:/run/router-key\"; app_url = \"https://example.com\"; app_title = \"Atelier's tests\"; } );
    models = (
        { name = \"flux\"; provider = \"openrouter\"; provider_model = \"black-forest-labs/flux.2-pro\";
          sizes = [ \"auto\", \"1024x1024\", \"1536x1024\" ]; formats = [ \"png\", \"jpeg\", \"webp\" ]; gpt_fields = true; },
        { name = \"routed-gpt\"; provider = \"openrouter\"; provider_model = \"openai/gpt-image-2\";
          sizes = [ \"auto\", \"1024x1024\" ]; qualities = [ \"auto\", \"low\", \"medium\", \"high\" ]; streams = true; },
        { name = \"gemini\"; provider = \"openrouter\"; provider_model = \"google/gemini-2.5-flash-image\"; chat = true;
          images_max = 1; sizes = [ \"auto\", \"1024x1024\", \"1344x768\" ]; },
        { name = \"seedream\"; provider = \"openrouter\"; provider_model = \"bytedance-seed/seedream-4.5\"; chat = true;
          images_max = 1; modalities = [ \"image\" ]; sizes = [ \"auto\", \"832x1248\" ]; } );
    prices = (
        { name = \"flux\"; provider = \"openrouter\"; model = \"black-forest-labs/flux.2-pro\"; per_image = [ \"* * \$0.05\" ]; },
        { name = \"routed-gpt\"; provider = \"openrouter\"; model = \"openai/gpt-image-2\"; per_image = [ \"* * \$0.25\" ]; },
        { name = \"gemini\"; provider = \"openrouter\"; model = \"google/gemini-2.5-flash-image\"; per_image = [ \"* * \$0.05\" ]; },
        { name = \"seedream\"; provider = \"openrouter\"; model = \"bytedance-seed/seedream-4.5\"; per_image = [ \"* * \$0.03\" ]; } );"

# router [CURL-OPTION...] PATH: one of its test doors.
router() {
    curl --fail --silent --show-error "${@:1:$#-1}" "http://127.0.0.1:$ROUTER_PORT${!#}"
}

# start_router [CONFIGURATION]
start_router() {
    node "$CHECKOUT/tests/fakes/openrouter.mjs" --port $ROUTER_PORT --keys sk-or-test >"$SCRATCH/router" &
    wait_until 10 grep -qx $ROUTER_PORT "$SCRATCH/router"
    install -m 0600 -o atelier-worker <(printf %s sk-or-test) /run/router-key
    configure "trust_loopback = true; $ROUTER_CONFIGURATION ${1:-}"
}

# What it charges, in micro-dollars.
routed_cost() {
    router /_bill | node --print 'JSON.parse(require("fs").readFileSync(0)).cost_micros'
}

# Requests that it was sent.
routed() {
    router /_bill | node --print 'JSON.parse(require("fs").readFileSync(0)).count'
}
