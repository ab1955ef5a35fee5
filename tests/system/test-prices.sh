# shellcheck shell=bash
# What a request would cost at most, by the price book, before anybody is asked for it.
source "$CHECKOUT/tests/system/rig/requests.sh"

PRETEND='prices = ( { name = "pretend"; provider = "sandbox"; model = "sandbox";
                      per_image = [ "64x64 * $0.04", "* hd $0.12", "auto auto $0.2" ];
                      per_million_tokens = [ "text_input $5" ]; } );'

# quote JSON: asks what the request would cost.
quote() {
    request --json "$1" "$ATELIER/v1/images/quote"
}

# assert_cost MICROS JSON
assert_cost() {
    quote "$2"
    assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    assert_eq "$1" "$(answer body.cost_micros)" "$2"
}

test_the_sandbox_costs_nothing() {
    configure ''
    assert_cost 0 '{"prompt": "a lighthouse", "n": 3}'
    assert_eq 'image.quote sandbox 3 $0.00 USD' \
        "$(answer '[body.object, body.model, body.n, body.cost, body.currency].join(" ")')"
}

test_a_quote_is_a_ceiling_by_size_quality_count_and_prompt() {
    configure "$PRETEND"
    assert_cost 40025 '{"prompt": "pixel", "size": "64x64"}'
    assert_eq '$0.040025' "$(answer body.cost)"
    assert_cost 120025 '{"prompt": "pixel", "size": "64x64", "n": 3}'
    assert_cost 120025 '{"prompt": "pixel", "size": "128x128", "quality": "hd"}'
    assert_cost 200025 '{"prompt": "pixel"}'
}

test_nothing_comes_of_a_quote() {
    configure ''
    assert_cost 0 '{"prompt": "not drawn", "size": "64x64"}'
    request "$ATELIER/v1/jobs"
    assert_eq 0 "$(answer body.data.length)"
}

test_without_a_price_there_is_no_quote() {
    configure "$PRETEND"
    quote '{"prompt": "pixel", "size": "128x128", "quality": "low"}'
    assert_error 400 price_unknown
    assert_match 'expected a line "128x128 low \$AMOUNT" in per_image of its entry in prices.conf' \
        "$(answer body.error.message)"
    quote '{"prompt": "pixel", "model": "gpt-image-2.6-flare", "quality": "max"}'
    assert_error 400 price_unknown
}

test_what_could_not_be_made_is_not_quoted() {
    configure ''
    quote '{"prompt": "pixel", "model": "no-such-model"}'
    assert_error 404 model_not_found
    quote '{"prompt": "pixel", "n": 0}'
    assert_eq 400 "$STATUS"
    quote '{"prompt": '
    assert_eq 400 "$STATUS"
    request "$ATELIER/v1/images/quote"
    assert_error 405 method_not_allowed
}

test_a_reload_takes_prices_over() {
    configure ''
    assert_cost 0 '{"prompt": "pixel", "size": "64x64"}'
    echo "$PRETEND" >/etc/atelier/atelier.conf.d/50-test.conf
    systemctl reload atelier-worker
    assert_cost 40025 '{"prompt": "pixel", "size": "64x64"}'
    echo 'prices = ( { name = "pretend"; per_image = [ "64x64 $1" ]; } );' >/etc/atelier/atelier.conf.d/60-bad.conf
    assert_fails systemctl reload atelier-worker
    journal --unit=atelier-worker | grep --quiet '60-bad.conf:1: prices.pretend.per_image: "64x64 $1" is wrong' ||
        fail 'the journal does not say what is wrong'
    assert_cost 40025 '{"prompt": "pixel", "size": "64x64"}'
}
