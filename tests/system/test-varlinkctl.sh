# shellcheck shell=bash
# systemd's own Varlink client understands the daemons, and they answer its misuse in the standard words.

DAEMONS=(Api Worker Scheduler Alerter)

require_varlinkctl() {
    command -v varlinkctl >/dev/null || skip 'varlinkctl comes with systemd 255'
}

# call DAEMON METHOD PARAMETERS
call() {
    varlinkctl call --json=short "/run/atelier/io.atelier.$1" "$2" "$3"
}

# assert_refused ERROR DAEMON METHOD PARAMETERS
assert_refused() {
    local said
    ! said=$(call "${@:2}" 2>&1) || fail "answered: $said"
    assert_match "$1" "$said"
}

test_info_names_product_and_interfaces() {
    require_varlinkctl
    local daemon said
    for daemon in "${DAEMONS[@]}"; do
        said=$(varlinkctl info "/run/atelier/io.atelier.$daemon")
        assert_match 'Product: Atelier' "$said"
        assert_match 'io\.atelier\.Daemon' "$said"
        assert_match 'org\.varlink\.service' "$said"
    done
}

test_introspect_shows_every_interface() {
    require_varlinkctl
    local daemon interface
    for daemon in "${DAEMONS[@]}"; do
        while read -r interface; do
            assert_match "interface $interface" "$(varlinkctl introspect "/run/atelier/io.atelier.$daemon" "$interface")"
        done < <(varlinkctl list-interfaces "/run/atelier/io.atelier.$daemon")
    done
}

test_get_status_is_answered() {
    require_varlinkctl
    local daemon
    for daemon in "${DAEMONS[@]}"; do
        assert_match "\"daemon\":\"${daemon,,}\"" "$(call "$daemon" io.atelier.Daemon.GetStatus '{}')"
    done
}

test_misuse_gets_the_standard_error() {
    require_varlinkctl
    local daemon
    for daemon in "${DAEMONS[@]}"; do
        assert_refused 'InvalidParameter' "$daemon" io.atelier.Daemon.SetLogLevel '{"level": "loud"}'
        assert_refused 'InvalidParameter' "$daemon" io.atelier.Daemon.Ping '{"surplus": 1}'
        assert_refused 'MethodNotFound' "$daemon" io.atelier.Daemon.Dance '{}'
        assert_refused 'InterfaceNotFound' "$daemon" io.atelier.Dance.Ping '{}'
    done
    assert_refused 'ExpectedMore' Worker io.atelier.Store.Snapshot '{}'
}

test_every_interface_is_valid() {
    require_varlinkctl
    local file
    for file in "$CHECKOUT"/libshared/interfaces/*.varlink; do
        varlinkctl validate-idl "$file"
    done
}
