# shellcheck shell=bash
# A new configuration is taken over as a whole, or not at all and with the reason.
source "$CHECKOUT/tests/system/rig/requests.sh"

BAD=/etc/atelier/atelier.conf.d/60-bad.conf
DAEMONS=(api worker scheduler alerter)

pid_of() {
    systemctl show --value --property=MainPID "atelier-$1"
}

# submit PROMPT: sets STATUS.
submit() {
    request --json "{\"prompt\": \"$1\", \"size\": \"64x64\"}" "$ATELIER/v1/images/generations"
}

allow_prompt_of() {
    echo "models = ( { name = \"sandbox\"; prompt_max = $1; } );" >/etc/atelier/atelier.conf.d/50-test.conf
}

test_good_configuration_takes_effect() {
    local pid
    configure ''
    submit 'nine long'
    assert_eq 200 "$STATUS"
    pid=$(pid_of worker)
    allow_prompt_of 8
    submit 'nine long'
    assert_eq 200 "$STATUS" 'before the reload'
    systemctl reload atelier-worker
    submit 'nine long'
    assert_error 400 string_above_max_length
    assert_eq "$pid" "$(pid_of worker)"
}

test_bad_configuration_fails_and_the_old_one_runs_on() {
    local pid
    configure ''
    submit 'nine long'
    pid=$(pid_of worker)
    allow_prompt_of 8
    printf '# a comment\nworker = {\n    concurrency = "many";\n};\n' >$BAD
    assert_fails systemctl reload atelier-worker 2>&1
    assert_match "$BAD:3: worker.concurrency: " "$(journal --unit=atelier-worker --output=cat)"
    assert_eq active "$(systemctl is-active atelier-worker)"
    assert_eq "$pid" "$(pid_of worker)"
    submit 'nine long'
    assert_eq 200 "$STATUS" 'half of the configuration was taken over'
    rm $BAD
    systemctl reload atelier-worker
    submit 'nine long'
    assert_error 400 string_above_max_length
}

test_reload_says_on_its_output_what_is_bad() {
    configure ''
    systemctl start atelier-worker
    printf 'workers = {};\n' >$BAD
    ! atelierctl reload worker >"$SCRATCH/out" 2>"$SCRATCH/err" || fail 'succeeded'
    assert_eq '' "$(<"$SCRATCH/out")"
    assert_match "^$BAD:1: workers: " "$(<"$SCRATCH/err")"
    assert_match 'goes on with the old one' "$(<"$SCRATCH/err")"
}

test_every_daemon_reloads() {
    local daemon
    configure ''
    systemctl start "${DAEMONS[@]/#/atelier-}"
    for daemon in "${DAEMONS[@]}"; do
        systemctl reload "atelier-$daemon"
    done
    echo 'environment = "moon";' >$BAD
    for daemon in "${DAEMONS[@]}"; do
        assert_fails systemctl reload "atelier-$daemon" 2>&1
        assert_match "$BAD:1: environment: " "$(journal --unit="atelier-$daemon" --output=cat)"
        assert_eq active "$(systemctl is-active "atelier-$daemon")"
    done
}

test_limits_of_the_api_are_reloaded() {
    configure ''
    submit "$(printf '%02000d' 0)"
    assert_eq 200 "$STATUS"
    echo 'api = { body_bytes_max = "1K"; };' >/etc/atelier/atelier.conf.d/50-test.conf
    systemctl reload atelier-api
    submit "$(printf '%02000d' 0)"
    assert_error 413 body_too_large
}

test_provider_that_can_not_be_set_up_is_refused() {
    configure ''
    systemctl start atelier-worker
    mkdir "$SCRATCH/folder"
    echo 'providers = ( { name = "local"; base_url = "http://127.0.0.1:9/v1"; key = "file:/etc/atelier"; } );' >$BAD
    assert_fails systemctl reload atelier-worker 2>&1
    assert_match 'providers.local.key: ' "$(journal --unit=atelier-worker --output=cat)"
    submit 'goes on'
    assert_eq 200 "$STATUS"
}

# A start with a bad configuration fails, and is tried again until somebody has corrected it: no client need ask twice.
test_bad_configuration_at_start_is_said_and_heals_once_corrected() {
    configure ''
    echo 'api = { connections_max = 0; };' >$BAD
    curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' "$ATELIER/health/live" >"$SCRATCH/code" &
    local client=$!
    wait_until 10 eval 'grep -q "^$BAD:1: api.connections_max: " <(journal --unit=atelier-api --output=cat)'
    rm $BAD
    wait "$client"
    assert_eq 200 "$(<"$SCRATCH/code")"
    unit_is atelier-api.socket active
}
