# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is read by those that source it
#
# machine.sh: what the commands of this folder share. Sourced, not run.
#
# A machine is the real systemd booted by systemd-nspawn in an overlay of this host. All of it is in one folder,
# the DIR that each command takes:
#
#     DIR/upper        what the machine has written (over the host's files, which it only reads)
#     DIR/work         overlayfs' own scratch folder
#     DIR/console.log  everything said before and while it booted
#     DIR/state        while it runs: the cgroups and the process that hold it
#
# Its mounts live in a mount namespace that ends with its last process, so that no way of ending it, kill -9
# included, leaves a mount behind; its processes live in a cgroup of their own, so that all of them are found.

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CHECKOUT=$(cd "$RIG/../../.." && pwd)

BOOT_SECONDS_MAX=60
POWEROFF_SECONDS_MAX=20
DEATH_SECONDS_MAX=10

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# wait_until SECONDS COMMAND...: runs the command every 20 ms until it succeeds; fails when the seconds are over.
wait_until() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
        sleep 0.02
    done
}

process_is_gone() {
    local status
    status=$(cat "/proc/$1/status" 2>/dev/null) || return 0
    [[ $status == *$'\nState:\tZ'* ]]
}

# cgroup_folders NAME: the folders that are a cgroup NAME below the caller's, one a line: one of the unified hierarchy
# and, where the host still has version 1, one of the hierarchy named "systemd".
cgroup_folders() {
    local hierarchy controllers path mounted
    while IFS=: read -r hierarchy controllers path; do
        case "$hierarchy:$controllers" in
        0:) mounted=$(cgroup_mount cgroup2) ;;
        *:name=systemd) mounted=$(cgroup_mount cgroup name=systemd) ;;
        *) continue ;;
        esac
        [[ -z $mounted ]] || echo "$mounted${path%/}/$1"
    done </proc/self/cgroup
}

# cgroup_mount TYPE [OPTION]: prints where that hierarchy is mounted; nothing when it is not.
cgroup_mount() {
    findmnt --noheadings --raw --first-only --types "$1" ${2:+--options "$2"} --output TARGET || true
}

# cgroups_create NAME: sets CGROUPS.
cgroups_create() {
    local cgroup
    [[ -n $(cgroup_mount cgroup2) ]] || die "this host mounts no cgroup2 file system: systemd cannot boot without"
    CGROUPS=()
    while read -r cgroup; do
        mkdir "$cgroup"
        CGROUPS+=("$cgroup")
    done < <(cgroup_folders "$1")
}

# cgroups_join: the calling shell and all that it starts.
cgroups_join() {
    local cgroup
    for cgroup in "${CGROUPS[@]}"; do
        echo "$BASHPID" >"$cgroup/cgroup.procs"
    done
}

# cgroups_removed: takes away those that are empty by now; false when one is not.
cgroups_removed() {
    local cgroup folder
    for cgroup in "${CGROUPS[@]}"; do
        while read -r folder; do
            rmdir "$folder" 2>/dev/null || return 1
        done < <(find "$cgroup" -depth -type d 2>/dev/null)
    done
}

# machine_load DIR: reads DIR/state. Sets SUPERVISOR (the pid of systemd-nspawn) and CGROUPS. False: none there.
machine_load() {
    SUPERVISOR='' CGROUPS=()
    [[ -f $1/state ]] || return 1
    { read -r SUPERVISOR && mapfile -t CGROUPS; } <"$1/state"
}

# machine_leader DIR: prints the pid, seen from here, of the machine's PID 1.
machine_leader() {
    local pid children
    machine_load "$1" || return 1
    mapfile -t -d ' ' children 2>/dev/null <"/proc/$SUPERVISOR/task/$SUPERVISOR/children" || return 1
    for pid in "${children[@]}"; do
        if grep -qs $'^NSpid:.*\t1$' "/proc/$pid/status"; then
            echo "$pid"
            return 0
        fi
    done
    return 1
}

machine_is_running() {
    machine_leader "$1" >/dev/null
}

# machine_kill DIR: ends every process of the machine at once, as a power cut would. What it had written stays.
machine_kill() {
    local cgroup
    machine_load "$1" || return 0
    for cgroup in "${CGROUPS[@]}"; do
        [[ ! -e $cgroup/cgroup.kill ]] || echo 1 >"$cgroup/cgroup.kill"
    done
    wait_until $DEATH_SECONDS_MAX process_is_gone "$SUPERVISOR" || die "process $SUPERVISOR does not end"
    machine_forget "$1"
}

# machine_forget DIR: takes away what a machine whose processes are gone leaves on the host: empty cgroups.
machine_forget() {
    machine_load "$1" || return 0
    wait_until $DEATH_SECONDS_MAX cgroups_removed || die "cannot remove ${CGROUPS[*]}"
    rm -f "$1/state"
}
