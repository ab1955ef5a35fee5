# shellcheck shell=bash
# What an environment presets, and files of variables (.env) as the services' EnvironmentFile=.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

DROP_IN=/run/systemd/system/atelier-worker.service.d/environment.conf

# variables NAME: a file of that name for the environment, with keys as they could be.
variables() {
    case $1 in
    dev)
        cat <<'FILE'
# Development Environment
ENV_NAME=development
DEBUG=true
LOG_LEVEL=DEBUG

# APIs
OPENAI_API_KEY=sk-dev-canary-1
OPENROUTER_API_KEY=sk-or-dev-canary-2

MAX_IMAGES_PER_REQUEST=10
RATE_LIMIT_PER_MINUTE=50
ENABLE_CACHING=true
FILE
        ;;
    staging)
        cat <<'FILE'
ENV_NAME=staging
DEBUG=false
LOG_LEVEL=INFO
OPENAI_API_KEY=sk-stg-canary-3
OPENROUTER_API_KEY=sk-or-stg-canary-4
MAX_IMAGES_PER_REQUEST=5
RATE_LIMIT_PER_MINUTE=30
ENABLE_CACHING=true
CACHE_TTL=3600
SENTRY_DSN=https://canary-5@sentry.example/staging
FILE
        ;;
    production)
        cat <<'FILE'
ENV_NAME=production
DEBUG=false
LOG_LEVEL=WARNING
OPENAI_API_KEY=sk-prod-canary-6
OPENROUTER_API_KEY=sk-or-prod-canary-7
MAX_IMAGES_PER_REQUEST=3
RATE_LIMIT_PER_MINUTE=20
ENABLE_CACHING=true
CACHE_TTL=7200
CORS_ORIGINS=https://example.com,https://app.example.com
API_KEY_ROTATION_DAYS=90
SENTRY_DSN=https://canary-8@sentry.example/production
SENTRY_ENVIRONMENT=production
DATADOG_API_KEY=canary-9
ENABLE_PERFORMANCE_TRACKING=true
DAILY_BUDGET_LIMIT=50.00
COST_ALERT_THRESHOLD=0.80
AUTO_PAUSE_ON_BUDGET_EXCEEDED=true
FILE
        ;;
    esac
}

# in_force FILE: the settings that follow from its variables, a line each.
in_force() (
    set -a
    # shellcheck disable=SC1090 # made by variables()
    source "$1"
    atelierctl config show
)

# assert_in_force FILE LINE...: each is among them.
assert_in_force() {
    local shown line
    shown=$(in_force "$1")
    for line in "${@:2}"; do
        grep -qxF "$line" <<<"$shown" || fail "$1: no '$line' in $(grep -F "${line%% =*}" <<<"$shown")"
    done
    ! grep -q canary <<<"$shown" || fail "a secret is shown: $(grep canary <<<"$shown")"
}

test_files_of_variables_mean_what_they_say() {
    local name
    for name in dev staging production; do
        variables $name >"$SCRATCH/$name"
    done
    assert_in_force "$SCRATCH/dev" 'environment = "development"' 'debug = true' 'log_level = "debug"' \
        'worker.images_per_request_max = 10' 'worker.requests_per_minute = 50' 'worker.cache_ttl = "1h"' \
        'worker.prompt_min = 1' 'require_key = "auto"' 'api.require_https = false'
    assert_in_force "$SCRATCH/staging" 'environment = "staging"' 'debug = false' 'log_level = "info"' \
        'worker.images_per_request_max = 5' 'worker.requests_per_minute = 30' 'worker.cache_ttl = "1h"' \
        'worker.prompt_min = 10' 'worker.prompt_max = 1000'
    assert_in_force "$SCRATCH/production" 'environment = "production"' 'log_level = "warning"' \
        'worker.images_per_request_max = 3' 'worker.requests_per_minute = 20' 'worker.cache_ttl = "2h"' \
        'worker.daily_budget = "$50.00"' 'worker.budget_alert = "80%"' 'worker.budget_pause = true' \
        'api.cors_origins = [ "https://example.com", "https://app.example.com" ]' 'require_key = "always"' \
        'api.require_https = true' 'worker.prompt_min = 10' 'worker.prompt_max = 1000'
}

# use FILE: as the worker's environment, as an operator would have it.
use() {
    mkdir -p "${DROP_IN%/*}"
    install --mode=0600 "$1" /etc/atelier/env
    printf '[Service]\nEnvironmentFile=/etc/atelier/env\n' >$DROP_IN
    systemctl daemon-reload
}

stop_using() {
    rm -f $DROP_IN /etc/atelier/env
    systemctl daemon-reload
}

# The limits are acted on, and nothing that is secret is to be seen from outside of the process.
test_a_worker_takes_its_file_and_keeps_its_secrets() {
    variables staging >"$SCRATCH/staging"
    configure 'log_level = "debug"; providers = ( { name = "sandbox"; environments = [ "staging" ]; } );'
    use "$SCRATCH/staging"
    request --unix-socket /run/atelier/api.sock --json \
        '{"model": "sandbox", "prompt": "six of them", "n": 6, "size": "64x64"}' "$ATELIER/v1/images/generations"
    assert_error 400 invalid_value
    request --unix-socket /run/atelier/api.sock --json '{"model": "sandbox", "prompt": "too short", "size": "64x64"}' \
        "$ATELIER/v1/images/generations"
    assert_error 400 string_below_min_length
    assert_match 'at least 10 characters, got 9' "$(answer body.error.message)"
    request --unix-socket /run/atelier/api.sock --json \
        "{\"model\": \"sandbox\", \"prompt\": \"$(printf 'x%.0s' {1..1001})\", \"size\": \"64x64\"}" "$ATELIER/v1/images/generations"
    assert_error 400 string_above_max_length
    local prompt pid
    for prompt in 'ten chars!' "$(printf 'x%.0s' {1..1000})"; do
        request --unix-socket /run/atelier/api.sock --json "{\"model\": \"sandbox\", \"prompt\": \"$prompt\", \"size\": \"64x64\"}" \
            "$ATELIER/v1/images/generations"
        assert_eq 200 "$STATUS" "$(cat "$SCRATCH/body")"
    done
    # Its key is in use …
    request --unix-socket /run/atelier/api.sock "$ATELIER/v1/models"
    assert_match '"gpt-image' "$(cat "$SCRATCH/body")"
    # … and nowhere to be seen, not even by root.
    pid=$(systemctl show --property=MainPID --value atelier-worker)
    ! grep -qa canary "/proc/$pid/environ" || fail 'the environment shows it'
    ! grep -qa canary "/proc/$pid/cmdline" || fail 'the command line shows it'
    assert_eq '' "$(systemctl show atelier-worker | grep canary || true)"
    assert_eq '' "$(journalctl --output=export | grep -a canary || true)"
    atelierctl task run backup >/dev/null
    assert_eq '' "$(grep -rla canary /var/backups/atelier /var/lib/atelier /run/atelier* || true)"
    stop_using
}

# The same files, named instead of sourced: each setting is told with its line, and wrong ones all at once, with theirs.
test_a_file_of_variables_can_be_looked_at() {
    local name shown said
    for name in dev staging production; do
        variables $name >"$SCRATCH/$name"
        shown=$(env --ignore-environment PATH="$PATH" atelierctl config show --environment-file="$SCRATCH/$name")
        assert_eq "$(in_force "$SCRATCH/$name" | grep -v '^#')" "$(grep -v '^#' <<<"$shown")"
        assert_match "# From: $SCRATCH/$name:[0-9]+"$'\nworker.images_per_request_max = ' "$shown"
        assert_eq '' "$(atelierctl config check --environment-file="$SCRATCH/$name" 2>&1)"
    done
    printf '%s\n' '# a comment' ENV_NAME=prod 'no assignment' MAX_IMAGES_PER_REQUEST=0 'DAILY_BUDGET_LIMIT="lots"' >"$SCRATCH/bad"
    said=$(atelierctl config check --environment-file="$SCRATCH/bad" 2>&1) && fail 'it is taken'
    assert_match "^$SCRATCH/bad:3: no assignment" "$(sed -n 1p <<<"$said")"
    assert_match "$SCRATCH/bad:2: environment: \"prod\" .*expected" "$said"
    assert_match "$SCRATCH/bad:4: worker.images_per_request_max: \"0\" .*expected" "$said"
    assert_match "$SCRATCH/bad:5: worker.daily_budget: \"lots\" .*expected" "$said"
    assert_match 'none: No such file' "$(atelierctl config check --environment-file="$SCRATCH/none" 2>&1)"
}

test_bad_variables_are_named_all_at_once() {
    local said
    said=$(ENV_NAME=prod MAX_IMAGES_PER_REQUEST=0 RATE_LIMIT_PER_MINUTE=many ENABLE_CACHING=perhaps CACHE_TTL=1y \
        CORS_ORIGINS='*' DAILY_BUDGET_LIMIT=lots COST_ALERT_THRESHOLD=2 PROMPT_MIN_LENGTH=-1 atelierctl config check 2>&1) &&
        fail 'they are taken'
    local name
    for name in ENV_NAME MAX_IMAGES_PER_REQUEST RATE_LIMIT_PER_MINUTE ENABLE_CACHING CACHE_TTL CORS_ORIGINS DAILY_BUDGET_LIMIT \
        COST_ALERT_THRESHOLD PROMPT_MIN_LENGTH; do
        assert_match "environment variable $name: .*expected" "$said"
    done
}
