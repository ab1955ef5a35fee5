# shellcheck shell=bash
#
# sync-fault.sh: the worker with tests/fakes/sync-fault.c in front of its C library. Sourced by the tests that want it.

FAULT=/var/lib/sync-fault

# From here on $FAULT/count, $FAULT/delay and $FAULT/fail do what that file says.
install_sync_fault() {
    cc -shared -fPIC -O1 -o /usr/local/lib/sync-fault.so "$CHECKOUT/tests/fakes/sync-fault.c"
    systemctl stop 'atelier*'
    install -d -o atelier-worker -m 0700 $FAULT
    install -o atelier-worker /dev/null $FAULT/count
    rm -f $FAULT/fail $FAULT/delay
    mkdir -p /run/systemd/system/atelier-worker.service.d
    cat >/run/systemd/system/atelier-worker.service.d/50-sync-fault.conf <<END
[Service]
Environment=LD_PRELOAD=/usr/local/lib/sync-fault.so SYNC_FAULT=$FAULT
Environment=ASAN_OPTIONS=verify_asan_link_order=0
ReadWritePaths=$FAULT
END
    systemctl daemon-reload
    systemctl start atelier.target
}
