# shellcheck shell=bash
# Models by another name and at their end: an alias is translated once, priced and sent as what it becomes, and shown as
# what was asked; a model that was shut down is refused with the name of the one to use.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

FAKE_PORT=18200

# fake [CURL-OPTION...] PATH: one of the test doors of the fake OpenAI.
fake() {
    curl --fail --silent --show-error "${@:1:$#-1}" "http://127.0.0.1:$FAKE_PORT${!#}"
}

# start_fake [TEXT]: the openai provider is the fake from here on; TEXT is added to the configuration.
start_fake() {
    node "$CHECKOUT/tests/fakes/openai.mjs" --port $FAKE_PORT --keys sk-test >"$SCRATCH/fake" &
    wait_until 10 grep -qx $FAKE_PORT "$SCRATCH/fake"
    (umask 077 && printf %s sk-test >/etc/credstore/openai-api-key)
    configure "trust_loopback = true;
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$FAKE_PORT/v1\"; } ); ${1:-}"
}

# generate JSON [CURL-OPTION...]
generate() {
    request --json "$1" "${@:2}" "$ATELIER/v1/images/generations"
}

# last_sent: what the fake was asked for last.
last_sent() {
    fake /_bill >"$SCRATCH/body"
    answer 'const r = body.requests.at(-1); [r.model, r.n, r.size, r.quality].join(" ")'
}

# assert_sent WANTED JSON: the request is answered, and this is what the fake was asked for.
assert_sent() {
    generate "$2"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    cp "$SCRATCH/body" "$SCRATCH/answered"
    assert_eq "$1" "$(last_sent)" "$2"
    cp "$SCRATCH/answered" "$SCRATCH/body"
}

test_programs_of_old_models_go_on() {
    start_fake
    assert_sent 'gpt-image-2 1 1792x1024 high' '{"model": "dall-e-3", "prompt": "a lighthouse", "size": "1792x1024",
        "quality": "hd", "style": "vivid", "n": 1, "response_format": "url", "user": "u"}'
    assert_eq '1792x1024 hd' "$(answer '[body.size, body.quality].join(" ")')"
    assert_sent 'gpt-image-2 2 816x816 low' '{"model": "dall-e-2", "prompt": "a fish", "size": "256x256", "n": 2,
        "response_format": "b64_json"}'
    assert_eq '256x256 standard 2' "$(answer '[body.size, body.quality, body.data.length].join(" ")')"
    fake /_violations >"$SCRATCH/body"
    assert_eq 0 "$(answer body.violations.length)" "$(cat "$SCRATCH/body")"
}

# Without a word on it: the old model's size and quality, and a link.
test_an_alias_has_the_defaults_of_the_old_model() {
    start_fake
    assert_sent 'gpt-image-2 1 1024x1024 medium' '{"model": "dall-e-3", "prompt": "a lighthouse"}'
    assert_eq '1024x1024 standard' "$(answer '[body.size, body.quality].join(" ")')"
    assert_match "^$ATELIER/v1/images/" "$(answer 'body.data[0].url')"
    curl --fail --silent --show-error --output "$SCRATCH/picture" "$(answer 'body.data[0].url')"
    assert_match 'PNG image data, 1024 x 1024' "$(file --brief "$SCRATCH/picture")"
}

test_a_job_shows_what_was_asked_and_what_was_sent() {
    start_fake
    generate '{"model": "dall-e-2", "prompt": "a fish", "size": "512x512"}' --header 'Prefer: respond-async'
    assert_eq 202 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 'dall-e-2 dall-e-2 512x512 standard' \
        "$(answer '[body.model, body.request.model, body.request.size, body.request.quality].join(" ")')"
    assert_eq '{"model":"gpt-image-2","size":"816x816","quality":"low"}' "$(answer 'JSON.stringify(body.sent)')"
    ctl jobs show "$(answer body.id)"
    assert_said 0 'model  *gpt-image-2'
    assert_said 0 'asked  *dall-e-2, size 512x512, quality standard'
}

test_a_quote_is_for_what_would_be_sent() {
    start_fake
    request --json '{"model": "dall-e-3", "prompt": "pixel", "size": "1792x1024", "quality": "hd"}' \
        "$ATELIER/v1/images/quote"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq 'dall-e-3 1792x1024 hd gpt-image-2 1792x1024 high' \
        "$(answer '[body, body.sent].flatMap(it => [it.model, it.size, it.quality]).join(" ")')"
    cost=$(answer body.cost_micros)
    request --json '{"model": "gpt-image-2", "prompt": "pixel", "size": "1792x1024", "quality": "high"}' \
        "$ATELIER/v1/images/quote"
    assert_eq "$cost" "$(answer body.cost_micros)"
    assert_eq false "$(answer '"sent" in body')"
}

# Nothing is sent that the old model would not have taken, and the refusal speaks of it alone.
test_an_alias_refuses_in_the_words_of_its_client() {
    start_fake
    generate '{"model": "dall-e-3", "prompt": "a fish", "quality": "high"}'
    assert_error 400 invalid_value
    assert_match "Invalid value: 'high'. Supported values are: 'auto', 'standard' or 'hd'." "$(answer body.error.message)"
    generate '{"model": "dall-e-3", "prompt": "a fish", "size": "816x816"}'
    assert_error 400 invalid_value
    assert_eq size "$(answer body.error.param)"
    generate '{"model": "dall-e-3", "prompt": "a fish", "n": 2}'
    assert_error 400 invalid_value
    generate '{"model": "dall-e-2", "prompt": "a fish", "style": "vivid"}'
    assert_error 400 unknown_parameter
    generate '{"model": "dall-e-3", "prompt": "a fish", "output_format": "webp"}'
    assert_error 400 unknown_parameter
    generate "{\"model\": \"dall-e-2\", \"prompt\": \"$(printf 'x%.0s' {1..1001})\"}"
    assert_error 400 string_above_max_length
    fake /_bill >"$SCRATCH/body"
    assert_eq 0 "$(answer body.count)"
}

# An alias leads on to what it was translated into when it was accepted, whatever becomes of the alias meanwhile.
test_a_job_outlives_its_alias() {
    start_fake 'worker = { concurrency = 1; };'
    fake --json '{"rules": [{"act": "late=1500"}]}' /_control >"$SCRATCH/out"
    generate '{"model": "gpt-image-2", "prompt": "first"}' --header 'Prefer: respond-async'
    generate '{"model": "dall-e-2", "prompt": "second"}' --header 'Prefer: respond-async'
    job=$(answer body.id)
    echo 'models = ( { name = "dall-e-2"; alias_of = "gpt-image-2.6-flare"; } );' \
        >/etc/atelier/atelier.conf.d/60-alias.conf
    systemctl reload atelier-worker
    request "$ATELIER/v1/jobs/$job"
    assert_eq queued "$(answer body.status)"
    wait_until 20 completed "$job"
    assert_eq 'dall-e-2 gpt-image-2' "$(answer '[body.model, body.sent.model].join(" ")')"
    assert_eq 'gpt-image-2 1 1024x1024 low' "$(last_sent)"
}

completed() {
    request "$ATELIER/v1/jobs/$1"
    [[ $(answer body.status) == completed ]]
}

DATED='models = ( { name = "over"; provider = "sandbox"; sizes = [ "auto" ]; shutdown_date = "2020-02-29";
                    replaced_by = "sandbox"; },
                  { name = "not-yet"; provider = "sandbox"; sizes = [ "64x64" ]; default_size = "64x64";
                    shutdown_date = "9999-12-31"; replaced_by = "sandbox"; } );'

test_a_model_that_was_shut_down_names_its_successor() {
    configure "$DATED"
    generate '{"model": "over", "prompt": "x"}'
    assert_error 404 model_not_found
    assert_eq "The model 'over' was shut down on 2020-02-29. Use 'sandbox' instead." "$(answer body.error.message)"
    request --json '{"model": "over", "prompt": "x"}' "$ATELIER/v1/images/quote"
    assert_error 404 model_not_found
    generate '{"model": "not-yet", "prompt": "x"}'
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
}

test_the_list_of_models_has_their_last_days() {
    configure "$DATED"
    request "$ATELIER/v1/models"
    assert_eq 'sandbox null, not-yet 9999-12-31' \
        "$(answer 'body.data.map(it => it.id + " " + it.shutdown_date).join(", ")')"
    request "$ATELIER/v1/models/not-yet"
    assert_eq '9999-12-31 sandbox' "$(answer '[body.shutdown_date, body.replaced_by].join(" ")')"
    request "$ATELIER/v1/models/over"
    assert_error 404 model_not_found
}

test_aliases_are_listed() {
    start_fake
    request "$ATELIER/v1/models/dall-e-3"
    assert_eq 'dall-e-3 model gpt-image-2' "$(answer '[body.id, body.object, body.alias_of].join(" ")')"
}

test_a_reload_refuses_an_alias_that_leads_nowhere() {
    configure ''
    draw x
    echo 'models = ( { name = "dall-e-3"; alias_of = "gpt-image-3"; } );' >/etc/atelier/atelier.conf.d/60-bad.conf
    assert_fails systemctl reload atelier-worker
    journal --unit=atelier-worker >"$SCRATCH/journal"
    grep --quiet '60-bad.conf:1: models.dall-e-3.alias_of: "gpt-image-3" is no model; did you mean "gpt-image-2"?' \
        "$SCRATCH/journal" || fail 'the journal does not say what is wrong'
}
