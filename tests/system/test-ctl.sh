# shellcheck shell=bash
# atelierctl, as people and programs type it.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

job_status() {
    request "$ATELIER$1"
    answer body.status
}

test_status_of_all() {
    ctl status
    assert_eq 0 "$STATUS" "$(err)"
    assert_eq 'atelier-api atelier-worker atelier-scheduler atelier-alerter' \
        "$(grep -o '^atelier-[a-z]*' "$SCRATCH/out" | paste --serial --delimiters=' ')"
    assert_match 'atelier-worker +0 running, 0 queued' "$(out)"
    assert_match ' since 20[0-9][0-9]-.*, development, version [0-9.]+' "$(out)"
}

test_status_as_json() {
    ctl --json status worker
    assert_eq 0 "$STATUS" "$(err)"
    cp "$SCRATCH/out" "$SCRATCH/body"
    assert_eq 1 "$(answer body.length)"
    assert_eq 'worker development 0 running, 0 queued' \
        "$(answer '`${body[0].daemon} ${body[0].environment} ${body[0].status}`')"
    assert_eq "$(systemctl show --value --property=MainPID atelier-worker)" "$(answer 'body[0].pid')"
    assert_eq true "$(answer 'body[0].facts.some((fact) => fact.name === "running" && fact.value === "0")')"
}

test_status_says_what_does_not_listen() {
    systemctl --quiet stop atelier-alerter.socket atelier-alerter.service
    ctl status
    assert_eq 1 "$STATUS"
    assert_match 'start it with: systemctl start atelier-alerter.socket' "$(err)"
    assert_match 'atelier-worker ' "$(out)"
}

test_queue_is_paused_and_resumed() {
    local job
    configure ''
    ctl queue pause
    assert_eq 0 "$STATUS" "$(err)"
    request --header 'Prefer: respond-async' --json '{"prompt": "x", "size": "64x64"}' "$ATELIER/v1/images/generations"
    job=$(header location)
    sleep 0.5 # long enough for a picture of this size
    assert_eq queued "$(job_status "$job")"
    ctl status worker
    assert_match '0 running, 1 queued, paused' "$(out)"
    ctl queue resume
    assert_eq 0 "$STATUS" "$(err)"
    wait_until 10 eval '[[ $(job_status '"$job"') == completed ]]'
}

test_config_check_is_silent_when_all_is_well() {
    ctl config check
    assert_eq 0 "$STATUS"
    assert_eq '' "$(out)$(err)"
}

test_config_check_names_every_error_with_file_and_line() {
    printf 'api = {\n    body_bytes_max = "2T";\n    colour = "red";\n};\n' >/etc/atelier/atelier.conf.d/60-bad.conf
    printf 'worker = { concurrency = 0;\n' >/etc/atelier/atelier.conf.d/70-bad.conf
    ctl config check
    assert_eq 1 "$STATUS"
    assert_eq '' "$(out)"
    assert_match '/etc/atelier/atelier.conf.d/60-bad.conf:2: api.body_bytes_max: .*1K to 64M' "$(err)"
    assert_match '/etc/atelier/atelier.conf.d/60-bad.conf:3: api.colour: ' "$(err)"
    assert_match '/etc/atelier/atelier.conf.d/70-bad.conf:[0-9]+: ' "$(err)"
}

test_config_of_another_folder_is_checked() {
    mkdir "$SCRATCH/conf"
    echo 'nonsense = 1;' >"$SCRATCH/conf/atelier.conf"
    ctl --config="$SCRATCH/conf" config check
    assert_eq 1 "$STATUS"
    assert_match "$SCRATCH/conf/atelier.conf:1: nonsense: " "$(err)"
    ctl --config="$SCRATCH/none" config check
    assert_said 1 '' "$SCRATCH/none: No such file or directory; --config= takes the folder"
}

test_config_show_is_what_is_in_force() {
    echo 'worker = { concurrency = 3; };' >/etc/atelier/atelier.conf.d/50-test.conf
    MAX_IMAGES_PER_REQUEST=2 ctl config show
    assert_eq 0 "$STATUS" "$(err)"
    assert_match $'\nworker.concurrency = 3\n' "$(out)"
    assert_match $'\n# From: environment variable MAX_IMAGES_PER_REQUEST\nworker.images_per_request_max = 2\n' "$(out)"
    assert_match $'\n# From: /etc/atelier/atelier.conf.d/50-test.conf:1\nworker.concurrency = 3\n' "$(out)"
    assert_match $'\n# From: preset of development\nlog_level = ' "$(out)"
    assert_match $'\nworker.queue_max = 100000\n' "$(out)"
    assert_match $'\nproviders.openai.key = "credential:openai-api-key"\n' "$(out)"
}

test_config_show_masks_a_secret_from_the_environment() {
    OPENAI_API_KEY=sk-very-secret ctl config show
    assert_eq 0 "$STATUS" "$(err)"
    assert_fails grep --quiet very-secret "$SCRATCH/out"
}

test_config_as_json() {
    echo 'worker = { concurrency = 3; };' >/etc/atelier/atelier.conf.d/50-test.conf
    ctl --json config check
    assert_said 0 '^\{"valid":true,"errors":\[\]\}$'
    ctl config show --json
    assert_eq '3 credential:openai-api-key 5s' "$(json '[it["worker.concurrency"], it["providers.openai.key"],
        it["providers.openai.connect_timeout"]].map(one => one.value).join(" ")')"
    assert_match '/atelier\.conf\.d/50-test\.conf:1 .*/models\.conf:[0-9]+ default$' "$(json '[it["worker.concurrency"],
        it["providers.openai.key"], it["providers.openai.connect_timeout"]].map(one => one.origin).join(" ")')"
    echo 'nonsense = 1;' >/etc/atelier/atelier.conf.d/60-bad.conf
    ctl --json config check
    assert_eq 1 "$STATUS"
    assert_match '^false .*/60-bad.conf:1: nonsense: ' "$(json '[it.valid, it.errors[0]].join(" ")')"
}

test_reload_of_one_daemon() {
    ctl reload worker
    assert_eq 0 "$STATUS" "$(err)"
    assert_eq '' "$(out)$(err)"
    assert_match 'configuration read again' "$(journal --unit=atelier-worker --output=cat)"
}

test_users_without_the_group_are_told_so() {
    as nogroup status worker
    assert_eq 1 "$STATUS"
    assert_match 'permission denied; be root or a member of group atelier' "$(err)"
}

test_members_may_look_and_admins_may_change() {
    as atelier status worker
    assert_eq 0 "$STATUS" "$(err)"
    as atelier queue pause
    assert_eq 1 "$STATUS"
    assert_match 'not allowed; be root or a member of group atelier-admin' "$(err)"
    as atelier reload worker
    assert_eq 1 "$STATUS"
    as atelier,atelier-admin queue pause
    assert_eq 0 "$STATUS" "$(err)"
}

test_help_and_version() {
    ctl --help
    assert_eq 0 "$STATUS"
    assert_match 'queue +pause\|resume' "$(out)"
    ctl jobs list --help
    assert_said 0 'atelierctl jobs list .*--status=STATUS'
    ctl --version
    assert_eq 0 "$STATUS"
    assert_match '^atelier [0-9]' "$(out)"
}

test_programs_get_a_document_from_each_change() {
    ctl --json queue pause
    assert_eq '{}' "$(out)"
    ctl queue resume --json
    assert_eq '{}' "$(out)"
    ctl reload worker --json
    assert_eq '{}' "$(out)"
}

test_facts_of_every_daemon_are_shown() {
    ctl --json status
    assert_eq 'api,worker,scheduler,alerter' "$(json 'it.map(status => status.daemon).join()')"
    assert_eq true "$(json 'it.every(status => Array.isArray(status.facts) && status.pid > 0)')"
}

test_wrong_usage_exits_2_and_says_what_is_taken() {
    local line expected
    while IFS=: read -r line expected; do
        # shellcheck disable=SC2086 # words are wanted
        ctl $line
        assert_eq 2 "$STATUS" "$line"
        assert_eq '' "$(out)" "$line"
        assert_match "$expected" "$(err)"
    done <<'END'
:which command
paint:no command 'paint'
job list:did you mean. atelierctl jobs
jobs lst:did you mean. atelierctl jobs list
--colour:no option '--colour'
-x:no option '-x'
status nobody:one of api, worker, scheduler, alerter
status api worker:'worker' is a word too many
reload:one of api, worker, scheduler, alerter
reload everything:one of api, worker, scheduler, alerter
queue:pause or resume
queue stop:pause or resume
queue pause now:'now' is a word too many
config:check or show
config edit:check or show
config check --config:--config needs a value
jobs:list, show, fetch, cancel, delete or resume
jobs show:jobs show ID
jobs list --limti=3:did you mean --limit
jobs list --limit=0:number from 1
jobs list --status=complete:did you mean --status=completed
jobs list --all=yes:--all takes no value
jobs fetch job_1:-o FILE is missing
generate:takes a prompt
generate x:-o FILE is missing
generate x -o:-o needs a value
generate x -o x -n 11:number from 1 to 10
generate x -o x --timeout=soon:a time such as
generate x -o - -n 2:one image
generate x -o - --json:can't both
task run:task run TASK
task history a b:'b' is a word too many
backup:list, verify, restore or discard
backup restore:--yes
backup discard:--yes
alerts fire:takes a NAME
alerts fire x --severity=info:--source is missing
alerts fire x --source=y:--severity is missing
alerts fire x --source=y --severity=bad:info, warning or critical
alerts fire x --unit=y:goes alone
alerts resolve:alerts resolve ID
END
}
