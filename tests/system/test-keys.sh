# shellcheck shell=bash
# Keys of clients: who needs one, who is refused, who sees what, and that the secret shows nowhere.
source "$CHECKOUT/tests/system/rig/requests.sh"

PICTURE='{"model": "sandbox", "prompt": "x", "size": "64x64"}'

# make_key NAME: sets KEY and KEY_ID.
make_key() {
    KEY=$(atelierctl keys create "$1")
    assert_match '^atl_[0-9a-f]{16}_[0-9a-f]{48}$' "$KEY"
    KEY_ID=${KEY:4:16}
}

bearer() {
    echo "Authorization: Bearer $1"
}

test_key_opens_all_of_v1_and_nothing_else_needs_it() {
    local path link
    make_key client
    draw 'with a key' --header "$(bearer "$KEY")"
    link=$(answer 'body.data[0].url.split("?")[0]')
    for path in models models/sandbox jobs jobs/job_00000000000000000000000000000000 "${link#*/v1/}"; do
        request "$ATELIER/v1/$path"
        assert_error 401 invalid_api_key
        assert_eq Bearer "$(header www-authenticate)"
    done
    for path in generations quote; do
        request --json "$PICTURE" "$ATELIER/v1/images/$path"
        assert_error 401 invalid_api_key
    done
    request --request DELETE "$ATELIER/v1/jobs/job_00000000000000000000000000000000"
    assert_error 401 invalid_api_key

    request --header "$(bearer "$KEY")" "$link"
    assert_eq 200 "$STATUS"
    request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
    for path in health health/live health/ready metrics; do
        request "$ATELIER/$path"
        assert_eq 200 "$STATUS" "$path"
    done
}

# Whoever watches shows a key as well, where all do; but a load balancer learns whether we live, and are ready.
test_watching_needs_a_key_where_everything_does() {
    configure 'require_key = "always";'
    make_key watcher
    local path
    for path in health metrics; do
        request "$ATELIER/$path"
        assert_error 401 invalid_api_key
        request --header "$(bearer atl_0123)" "$ATELIER/$path"
        assert_error 401 invalid_api_key
        request --header "$(bearer "$KEY")" "$ATELIER/$path"
        assert_eq 200 "$STATUS" "$path"
        request --unix-socket /run/atelier/api.sock "$ATELIER/$path"
        assert_eq 200 "$STATUS" "$path for a member"
    done
    for path in health/live health/ready; do
        request "$ATELIER/$path"
        assert_eq 200 "$STATUS" "$path"
    done
    # Once it was asked, the worker is left in peace.
    systemctl stop atelier-worker
    request --header "$(bearer "$KEY")" "$ATELIER/metrics"
    assert_eq '200 inactive' "$STATUS $(systemctl is-active atelier-worker || true)"
}

# assert_refused_alike TOKEN: as every other bad key is, without a word of it.
assert_refused_alike() {
    request --header "$(bearer "$1")" "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    answer body.error.message >>"$SCRATCH/messages"
    assert_fails grep --quiet --fixed-strings -- "${1: -6}" "$SCRATCH/body"
}

test_bad_keys_are_refused_alike() {
    local other check
    make_key other
    other=$KEY
    make_key client
    : >"$SCRATCH/messages"
    assert_refused_alike sk-nothing-behind-it
    assert_refused_alike "${KEY}00"
    assert_refused_alike "${KEY:0:68}"
    assert_refused_alike "atl_$(printf 'x%.0s' {1..600})"
    # The id of one and the secret of the other, with a right check; and one that nobody made.
    check=$(printf %s "atl_$KEY_ID${other:20:41}" | sha256sum | head --bytes=8)
    assert_refused_alike "atl_$KEY_ID${other:20:41}$check"
    check=$(printf %s "atl_0123456789abcdef${other:20:41}" | sha256sum | head --bytes=8)
    assert_refused_alike "atl_0123456789abcdef${other:20:41}$check"
    atelierctl keys revoke "$KEY_ID"
    assert_refused_alike "$KEY"
    assert_eq 1 "$(sort --unique "$SCRATCH/messages" | wc -l)"
    assert_eq 7 "$(wc -l <"$SCRATCH/messages")"
    request --header "$(bearer "$other")" "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
}

test_without_keys_any_token_is_taken() {
    draw 'before there were keys' --header "$(bearer sk-nothing-behind-it)"
    draw 'before there were keys' --header "$(bearer atl_from-elsewhere)"
    draw 'before there were keys'
}

test_required_always_before_there_is_one() {
    configure 'require_key = "always";'
    request "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    make_key first
    draw 'with the first' --header "$(bearer "$KEY")"
}

refusals() {
    journal --unit=atelier-worker --output=cat | grep 'refused for their key' || [[ $? == 1 ]]
}

# Development may do without, though there are keys; nowhere else.
test_development_may_switch_keys_off() {
    configure 'require_key = "never";'
    atelierctl keys create unused >/dev/null
    draw 'without a key'
    draw 'with any token' --header 'Authorization: Bearer atl_whatever'
    for environment in staging production; do
        printf 'environment = "%s"; require_key = "never";\n' $environment >/etc/atelier/atelier.conf.d/50-test.conf
        ! atelierctl config check >"$SCRATCH/said" 2>&1 || fail "$environment takes it"
        assert_match 'require_key: ' "$(cat "$SCRATCH/said")"
    done
    configure 'require_key = "auto";'
    request "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
}

test_journal_says_why_and_is_not_filled_by_guesses() {
    local i
    make_key client
    atelierctl keys revoke "$KEY_ID"
    for ((i = 0; i < 20; i++)); do
        request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
        assert_error 401 invalid_api_key
    done
    assert_match ': 1, the newest for a key that is revoked$' "$(refusals | head -n 1)"
    # One in ten seconds, and this took less than a minute.
    (($(refusals | wc -l) < 7))
}

# over_unix_socket GROUPS-OPTION [CURL-OPTION...]: what nobody gets there with these groups.
over_unix_socket() {
    setpriv --reuid=nobody --regid=nogroup "$1" curl --silent --max-time 20 --unix-socket /run/atelier/api.sock \
        --output /dev/null --write-out '%{http_code}' "${@:2}" http://localhost/v1/models
}

test_members_on_the_unix_socket_may_go_without() {
    local members
    members=--groups=$(getent group atelier | cut -d: -f3)
    make_key client
    assert_eq 200 "$(over_unix_socket "$members")"
    assert_eq 200 "$(over_unix_socket "$members" --header "$(bearer sk-nothing-behind-it)")"
    assert_eq 401 "$(over_unix_socket "$members" --header "$(bearer atl_wrong)")"
    assert_eq 401 "$(over_unix_socket --clear-groups)"
    assert_eq 200 "$(over_unix_socket --clear-groups --header "$(bearer "$KEY")")"
}

jobs_seen_with() {
    request --header "$(bearer "$1")" "$ATELIER/v1/jobs"
    answer 'body.data.map((job) => job.id).join()'
}

test_key_sees_its_own_jobs() {
    local mine yours my_job your_job
    make_key mine
    mine=$KEY
    make_key yours
    yours=$KEY
    draw 'mine' --header "$(bearer "$mine")"
    draw 'yours' --header "$(bearer "$yours")"
    my_job=$(jobs_seen_with "$mine")
    your_job=$(jobs_seen_with "$yours")
    assert_match '^job_[0-9a-f]{32}$' "$my_job"
    assert_match '^job_[0-9a-f]{32}$' "$your_job"
    [[ $my_job != "$your_job" ]]

    request --header "$(bearer "$mine")" "$ATELIER/v1/jobs/$your_job"
    assert_error 404 job_not_found
    request --request DELETE --header "$(bearer "$mine")" "$ATELIER/v1/jobs/$your_job"
    assert_error 404 job_not_found
    assert_match "\"key\":\"${yours:4:16}\"" "$(atelierctl --json jobs show "$your_job")"
    request --request DELETE --header "$(bearer "$yours")" "$ATELIER/v1/jobs/$your_job"
    assert_eq 200 "$STATUS"
}

test_journal_lists_what_a_key_did() {
    make_key client
    draw 'x' --header "$(bearer "$KEY")"
    atelierctl keys revoke "$KEY_ID"
    assert_match 'created' "$(journal ATELIER_KEY="$KEY_ID" --output=cat)"
    assert_match 'attempt 1 at sandbox completed' "$(journal ATELIER_KEY="$KEY_ID" --output=cat)"
    assert_match 'revoked' "$(journal ATELIER_KEY="$KEY_ID" --output=cat)"
}

test_list_shows_names_budgets_and_revocations() {
    local list
    atelierctl keys create 'the web shop' --daily-budget=2.50 --monthly-budget="\$40" >"$SCRATCH/key" 2>"$SCRATCH/said"
    assert_eq 1 "$(wc -l <"$SCRATCH/key")"
    assert_fails grep --quiet "$(cat "$SCRATCH/key")" "$SCRATCH/said"
    make_key plain
    atelierctl keys revoke "$KEY_ID"
    list=$(atelierctl keys list)
    assert_match 'the web shop .*[$]2\.50 +[$]40\.00' "$list"
    assert_match "$KEY_ID  plain .*Z  .*Z  " "$list"
    assert_eq 2 "$(atelierctl --json keys list | node --print 'JSON.parse(require("fs").readFileSync(0)).length')"
    assert_match '"token":"atl_' "$(atelierctl --json keys create third)"
    assert_fails atelierctl keys create third --daily-budget=much 2>&1
    assert_fails atelierctl keys create $'two\nlines' 2>&1
    assert_fails atelierctl keys revoke 0123456789abcdef 2>&1
}

# as_user GROUPS COMMAND...: nobody with these groups.
as_user() {
    setpriv --reuid=nobody --regid=nogroup --groups="$1" "${@:2}"
}

test_only_admins_manage_keys() {
    local member admin
    member=$(getent group atelier | cut -d: -f3)
    admin=$member,$(getent group atelier-admin | cut -d: -f3)
    assert_fails as_user "$member" atelierctl keys create mine 2>"$SCRATCH/said"
    assert_match 'not allowed' "$(cat "$SCRATCH/said")"
    assert_fails as_user "$member" atelierctl keys list 2>&1
    assert_fails as_user "$member" atelierctl keys revoke 0123456789abcdef 2>"$SCRATCH/said"
    assert_match 'not allowed' "$(cat "$SCRATCH/said")"
    for daemon in api scheduler alerter; do
        assert_fails setpriv --reuid=atelier-$daemon --regid=atelier-$daemon --init-groups \
            atelierctl keys create mine 2>"$SCRATCH/said"
        assert_match 'not allowed' "$(cat "$SCRATCH/said")"
    done
    assert_eq '[]' "$(atelierctl --json keys list)"
    as_user "$admin" atelierctl keys create mine
}

test_secret_shows_nowhere() {
    local secret daemon
    configure 'log_level = "debug";'
    make_key client
    secret=${KEY:21:40}
    draw 'x' --header "$(bearer "$KEY")"
    request --header "$(bearer "${KEY}0")" "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    atelierctl keys list >"$SCRATCH/list"
    atelierctl --json jobs list >"$SCRATCH/jobs"
    atelierctl --json status >"$SCRATCH/status"
    atelierctl task run backup
    mkdir "$SCRATCH/backup"
    tar --zstd -xf /var/backups/atelier/atelier-*.tar.zst -C "$SCRATCH/backup"
    grep --quiet --text "$KEY_ID" "$SCRATCH/backup/atelier.db"
    [[ -s /var/lib/atelier/client-key-secret && -z $(find "$SCRATCH/backup" -name client-key-secret) ]]
    assert_eq '600 atelier-worker' "$(stat --format='%a %U' /var/lib/atelier/client-key-secret)"
    for daemon in api worker; do
        assert_fails grep --quiet --text "$secret" "/proc/$(systemctl show --value --property=MainPID \
            atelier-$daemon)/"{environ,cmdline}
    done
    journal --output=export >"$SCRATCH/journal"
    grep --quiet "$KEY_ID" "$SCRATCH/journal"
    assert_fails grep --recursive --text "$secret" "$SCRATCH"/{list,jobs,status,backup,journal} /var/lib/atelier \
        /var/backups/atelier /run/atelier /run/atelier-{api,worker}
}

test_restore_keeps_what_was_said_of_keys() {
    local revoked
    make_key before
    revoked=$KEY
    atelierctl task run backup
    atelierctl keys revoke "$KEY_ID"
    make_key after
    atelierctl backup restore --yes
    request --header "$(bearer "$revoked")" "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
}

# The same archive where the server's secret is not: refused, and the journal says why.
test_archive_on_another_machine_brings_no_usable_key() {
    make_key client
    atelierctl task run backup
    systemctl stop 'atelier-*.service'
    rm -r /var/lib/atelier/*
    atelierctl backup restore --yes
    request --header "$(bearer "$KEY")" "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    assert_match 'client-key-secret' "$(journal --unit=atelier-worker --output=cat)"
    request "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
}
