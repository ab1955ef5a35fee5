# shellcheck shell=bash
# The ground that the other system tests stand on: machines boot clean, tests do not see each other, hosts stay untouched.

test_boots_to_running_with_nothing_failed() {
    assert_eq running "$(systemctl is-system-running)"
    assert_eq '' "$(systemctl --failed --plain --no-legend)"
    assert_eq systemd "$(cat /proc/1/comm)"
}

test_has_no_network_but_its_loopback() {
    assert_eq lo "$(ls /sys/class/net)"
}

test_disk_is_not_memory() {
    assert_eq overlayfs "$(stat --file-system --format=%T /var/lib)"
}

test_sees_the_checkout_but_cannot_change_it() {
    [[ -f $CHECKOUT/Makefile ]]
    assert_fails touch "$CHECKOUT/Makefile"
}

test_may_leave_a_process_behind() {
    setsid sleep 987 &
    wait_until 5 grep -qsx sleep "/proc/$!/comm"
}

test_finds_no_process_of_the_test_before() {
    assert_eq '' "$(grep -lsx sleep /proc/[0-9]*/comm)"
}

test_reset_undoes_what_a_test_did() {
    echo nonsense >>/etc/atelier/atelier.conf
    mkdir -p /etc/systemd/system/atelier-api.service.d /var/lib/atelier
    printf '[Service]\nExecStart=\n' >/etc/systemd/system/atelier-api.service.d/broken.conf
    touch /var/lib/atelier/left-over
    reset
    assert_fails grep -q nonsense /etc/atelier/atelier.conf
    assert_eq '' "$(systemctl show --value --property=DropInPaths atelier-api | tr ' ' '\n' | grep /etc/)"
    [[ ! -e /var/lib/atelier/left-over ]]
    unit_is atelier-api.socket active
}

test_journal_begins_with_the_test() {
    logger --tag mark said now
    assert_eq 'said now' "$(journal --identifier=mark --output=cat)"
    assert_eq '' "$(journal --identifier=systemd --grep='Reached target multi-user')"
}

machine_test_goes_on_from_its_disk_after_a_power_cut() {
    machine boot --no-install
    machine in sh -c 'echo kept >/var/lib/kept && sync /var/lib/kept'
    machine kill
    assert_fails machine in true
    machine boot --no-install
    assert_eq kept "$(machine in cat /var/lib/kept)"
    assert_eq 2 "$(machine in journalctl --list-boots --quiet | grep -c '^ *-\?[0-9]')"
}

machine_test_hands_on_credentials() {
    (umask 077 && echo -n secret >"$SCRATCH/key")
    machine boot --no-install --load-credential=some-key:"$SCRATCH/key"
    # shellcheck disable=SC2016 # expanded by the service
    assert_eq secret "$(machine in systemd-run --quiet --wait --pipe --property=LoadCredential=some-key \
        --property=DynamicUser=yes sh -c 'cat "$CREDENTIALS_DIRECTORY/some-key"')"
}

machine_test_leaves_nothing_on_the_host() {
    local before
    before=$(what_the_host_shows)
    machine boot
    assert_eq running "$(machine in systemctl is-system-running)"
    assert_eq "$before" "$(what_the_host_shows)" 'while it runs'
    machine stop
    assert_eq "$before" "$(what_the_host_shows)" 'after it stopped'
    machine boot
    machine kill
    assert_eq "$before" "$(what_the_host_shows)" 'after it was killed'
    [[ ! -e $MACHINE/state ]]
}

what_the_host_shows() {
    findmnt --noheadings --raw --output TARGET,SOURCE
    shopt -s nullglob
    printf '%s\n' /run/systemd/nspawn* /tmp/nspawn-root-* /etc/atelier* /etc/systemd/system/*atelier*
}
