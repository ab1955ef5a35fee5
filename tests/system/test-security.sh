# shellcheck shell=bash
# What each daemon can reach, who is served, and where secrets do not show.
source "$CHECKOUT/tests/system/rig/requests.sh"

# In tenths, as systemd-analyze counts.
EXPOSURE_API_MAX=5
EXPOSURE_MAX=13

KEY=sk-test-0123456789abcdefghijklmnopqrstuv

test_units_verify_without_a_word() {
    local units=(/usr/lib/systemd/system/atelier*.{service,socket,timer,target,slice})
    assert_eq '' "$(systemd-analyze verify "${units[@]}" 2>&1)"
}

assert_exposed_at_most() {
    systemd-analyze security --offline=true --no-pager --threshold="$1" "atelier-$2.service" >"$SCRATCH/report" ||
        fail "$(tail -n 1 "$SCRATCH/report")"
}

test_exposure_is_low() {
    local daemon
    ! is_sanitized || skip 'the leak check needs ptrace'
    assert_exposed_at_most $EXPOSURE_API_MAX api
    for daemon in worker scheduler alerter task@backup alert@x; do
        assert_exposed_at_most $EXPOSURE_MAX $daemon
    done
}

# start_all: every daemon runs, with a key for the worker.
start_all() {
    install -m 600 <(echo -n $KEY) /etc/credstore/openai-api-key
    configure 'trust_loopback = true;'
    systemctl start atelier-{api,worker,scheduler,alerter}
    draw 'something to keep'
}

pid_of() {
    systemctl show --value --property=MainPID "atelier-$1"
}

# as_daemon DAEMON COMMAND...: runs it where that daemon lives: its mounts and its network, its user and its groups.
as_daemon() {
    nsenter --target "$(pid_of "$1")" --mount --net --ipc --root setpriv --reuid="atelier-$1" --regid="atelier-$1" \
        --init-groups --no-new-privs --bounding-set=-all --inh-caps=-all "${@:2}"
}

test_api_can_open_neither_database_nor_images_nor_key() {
    local path
    start_all
    path=/var/lib/atelier/current/atelier.db
    as_daemon worker test -r $path
    assert_fails as_daemon api cat $path 2>&1
    assert_fails as_daemon api ls /var/lib/atelier 2>&1
    as_daemon worker test -r "/run/credentials/atelier-worker.service/openai-api-key"
    assert_fails as_daemon api cat /run/credentials/atelier-worker.service/openai-api-key 2>&1
    assert_fails as_daemon api cat /etc/credstore/openai-api-key 2>&1
    assert_fails as_daemon api ls /run/atelier-worker 2>&1
}

test_daemons_read_nothing_of_each_other() {
    local daemon other folder
    start_all
    for daemon in api scheduler alerter; do
        for folder in /var/lib/atelier /var/lib/private /var/backups/atelier /var/lib/atelier-{alerter,scheduler} \
            /run/atelier-{api,worker,scheduler} /run/credentials/atelier-worker.service /etc/credstore; do
            [[ $folder != /*/atelier-$daemon && -e $folder ]] || continue
            [[ $daemon:$folder != scheduler:/var/backups/atelier ]] || continue
            assert_fails as_daemon $daemon ls "$folder" 2>&1
        done
        for other in api worker scheduler alerter; do
            [[ $other != "$daemon" ]] || continue
            assert_fails as_daemon $daemon cat "/proc/$(pid_of $other)/status" 2>&1
        done
    done
}

test_daemons_can_write_only_what_is_theirs() {
    local daemon
    start_all
    for daemon in api worker scheduler alerter; do
        assert_fails as_daemon $daemon touch /etc/atelier/new /usr/new /var/lib/new /run/atelier/new 2>&1
        assert_fails as_daemon $daemon sh -c 'echo x >>/etc/atelier/atelier.conf' 2>&1
    done
    as_daemon worker touch /var/lib/atelier/mine
    as_daemon api touch /tmp/mine
    [[ ! -e /tmp/mine ]]
}

test_only_worker_and_alerter_have_a_network() {
    local daemon
    start_all
    for daemon in api scheduler; do
        assert_match '^1: lo: [^[:cntrl:]]*$' "$(nsenter --target "$(pid_of $daemon)" --net ip --oneline link)"
        [[ $(readlink "/proc/$(pid_of $daemon)/ns/net") != "$(readlink /proc/1/ns/net)" ]]
    done
    for daemon in worker alerter; do
        assert_eq "$(readlink /proc/1/ns/net)" "$(readlink "/proc/$(pid_of $daemon)/ns/net")"
    done
}

test_memory_of_the_daemons_is_closed() {
    local daemon pid
    start_all
    for daemon in api worker scheduler alerter; do
        pid=$(pid_of $daemon)
        assert_match '^Max core file size +0 +0 ' "$(grep 'core file' "/proc/$pid/limits")"
        # A process that is not dumpable belongs to root there, so that its own user cannot look into it.
        assert_eq root "$(stat --format=%U "/proc/$pid/mem")"
        assert_fails as_daemon $daemon cat "/proc/$pid/environ" 2>&1
    done
}

# Even where somebody has raised the limit, and one could be written.
test_a_crash_leaves_no_core() {
    local daemon
    ! is_sanitized || skip 'sanitizers leave no core either'
    mkdir -p /run/systemd/system/atelier-.service.d
    printf '[Service]\nLimitCORE=infinity\nWorkingDirectory=/tmp\nRestart=no\n' >/run/systemd/system/atelier-.service.d/99-core.conf
    systemctl daemon-reload
    start_all
    for daemon in api worker scheduler alerter; do
        assert_match '^Max core file size +unlimited ' "$(grep 'core file' "/proc/$(pid_of $daemon)/limits")"
        kill -QUIT "$(pid_of $daemon)"
        wait_until 10 journal_says "atelier-$daemon.service: Main process exited, code=killed, status=3/QUIT"
    done
    rm /run/systemd/system/atelier-.service.d/99-core.conf
    systemctl daemon-reload
}

journal_says() {
    journal | grep --quiet --fixed-strings "$1"
}

test_key_shows_nowhere() {
    start_all
    assert_fails grep --quiet --text $KEY "/proc/$(pid_of worker)/"{environ,cmdline}
    assert_fails grep --quiet --recursive $KEY /run/atelier /run/atelier-{api,worker}
    assert_fails grep --quiet --recursive --text $KEY /var/lib/atelier
    systemctl show atelier-worker >"$SCRATCH/show"
    atelierctl config show >"$SCRATCH/config"
    atelierctl --json status >"$SCRATCH/status"
    journal --output=export >"$SCRATCH/journal"
    assert_fails grep --text $KEY "$SCRATCH"/{show,config,status,journal}
}

test_worker_starts_without_a_key_and_with_one() {
    configure ''
    request "$ATELIER/v1/models"
    assert_eq sandbox "$(answer 'body.data.map((model) => model.id).join()')"
    start_all
    request "$ATELIER/v1/models"
    assert_match 'sandbox,gpt-image-2' "$(answer 'body.data.map((model) => model.id).join()')"
}

test_encrypted_key_is_found_as_documented() {
    echo -n $KEY | systemd-creds encrypt --quiet --with-key=host --name=openai-api-key - \
        /etc/credstore.encrypted/openai-api-key
    mkdir -p /etc/systemd/system/atelier-worker.service.d
    printf '[Service]\nLoadCredentialEncrypted=openai-api-key\n' >/etc/systemd/system/atelier-worker.service.d/key.conf
    systemctl daemon-reload
    configure 'trust_loopback = true;'
    request "$ATELIER/v1/models"
    rm /etc/credstore.encrypted/openai-api-key
    assert_match 'sandbox,gpt-image-2' "$(answer 'body.data.map((model) => model.id).join()')"
}

machine_test_key_that_was_passed_to_the_machine_is_found() {
    (umask 077 && echo -n $KEY >"$SCRATCH/key")
    machine boot --load-credential=openai-api-key:"$SCRATCH/key"
    assert_match '"id":"gpt-image-2"' "$(machine in curl --silent --max-time 20 \
        --unix-socket /run/atelier/api.sock http://localhost/v1/models)"
}

# over_unix_socket USER GROUP OPTION: what they get there for a picture of the sandbox.
over_unix_socket() {
    setpriv --reuid="$1" --regid="$2" "$3" curl --silent --max-time 20 --unix-socket /run/atelier/api.sock \
        --json '{"model": "sandbox", "prompt": "x", "size": "64x64"}' --output /dev/null --write-out '%{http_code}' \
        http://localhost/v1/images/generations
}

test_with_a_paid_provider_only_members_are_served() {
    start_all
    configure ''
    assert_eq 200 "$(over_unix_socket root root --clear-groups)"
    assert_eq 200 "$(over_unix_socket nobody nogroup --groups="$(getent group atelier | cut -d: -f3)")"
    assert_eq 403 "$(over_unix_socket nobody nogroup --clear-groups)"
    request --json '{"model": "sandbox", "prompt": "x", "size": "64x64"}' "$ATELIER/v1/images/generations"
    assert_error 403 caller_not_trusted
    request "$ATELIER/v1/jobs"
    assert_error 403 caller_not_trusted
    request "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
}

test_with_trust_loopback_all_local_clients_are_served() {
    start_all
    assert_eq 200 "$(over_unix_socket nobody nogroup --clear-groups)"
    draw 'over TCP'
}

test_without_a_paid_provider_all_local_clients_are_served() {
    configure ''
    assert_eq 200 "$(over_unix_socket nobody nogroup --clear-groups)"
    draw 'over TCP'
}

test_listens_on_loopback_alone() {
    assert_eq '127.0.0.1:8080 [::1]:8080' \
        "$(ss --no-header --listening --tcp --numeric | awk '{ print $4 }' | sort | paste --serial --delimiters=' ')"
}

# A socket unit of the operator's own may listen on more: who comes from elsewhere is refused all the same.
test_client_from_elsewhere_is_refused() {
    ip address add 192.0.2.1/32 dev lo
    mkdir -p /run/systemd/system/atelier-api.socket.d
    printf '[Socket]\nListenStream=192.0.2.1:8080\n' >/run/systemd/system/atelier-api.socket.d/open.conf
    systemctl daemon-reload
    systemctl --quiet stop atelier-api.service
    systemctl restart atelier-api.socket
    request --header 'Host: localhost' http://192.0.2.1:8080/health/live
    ip address delete 192.0.2.1/32 dev lo
    assert_error 403 https_required
}

test_configured_hosts_are_served() {
    configure 'api = { hosts = [ "images.example.org" ]; public_url = "https://pictures.example.org/x"; };'
    request --header 'Host: images.example.org:8080' "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
    request --header 'Host: PICTURES.example.org' "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
    request --header 'Host: evil.example' "$ATELIER/health/live"
    assert_error 421 unknown_host
    draw 'a link'
    assert_match '^https://pictures.example.org/x/v1/images/' "$(answer 'body.data[0].url')"
}
