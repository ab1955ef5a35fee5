# shellcheck shell=bash
#
# tree.sh: a fresh Debian in a folder, for trials of what a new user would meet. Sourced by ./run and by
# tests/debian-13/run.
#
# The tree is debootstrap's minimal one (no make, no compiler, no systemd) plus a copy of the checkout, and what it
# takes to reach the same package archives as this host: its apt sources, its resolver, its certificates. Commands
# run in it by chroot, in a mount and a PID namespace of their own, so that nothing outlives a trial.

# shellcheck source=../system/rig/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/../system/rig/machine.sh"

TRIAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREES=${TREES:-$CHECKOUT/build/trees}
HOST_CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
# Where the trial finds the checkout, and the host's certificates.
HOME_IN_TREE=/root/atelier
CERTIFICATES_IN_TREE=/etc/host-certificates.crt

# tree_build RELEASE TREE
tree_build() {
    local archive
    # shellcheck disable=SC2016 # apt-get expands it
    archive=$(apt-get indextargets --format '$(REPO_URI)' | grep -m 1 '/debian/$')
    tree_remove "$2"
    mkdir -p "$2"
    debootstrap --variant=minbase "$1" "$2" "$archive"
    tree_copy_apt "$1" "$2"
    tree_copy_network "$2"
    tree_copy_checkout "$2"
}

# Of apt's settings only those that say how to reach an archive: others name programs that the tree has not.
tree_copy_apt() {
    local file
    rm -f "$2/etc/apt/sources.list"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources}; do
        [[ ! -e $file ]] || sed "s/$(host_release)/$1/g" "$file" >"$2$file"
    done
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
        [[ ! -e $file ]] || ! grep -q '^Acquire::' "$file" || cp "$file" "$2$file"
    done
}

host_release() {
    sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

tree_copy_network() {
    cp --dereference /etc/resolv.conf /etc/hosts "$1/etc/"
    [[ ! -e /etc/npmrc ]] || sed "s|$HOST_CERTIFICATES|$CERTIFICATES_IN_TREE|" /etc/npmrc >"$1/etc/npmrc"
    [[ ! -e $HOST_CERTIFICATES ]] || cp "$HOST_CERTIFICATES" "$1$CERTIFICATES_IN_TREE"
}

# readme_command try|check: the line of README's that ends with `make try` or `make check`.
readme_command() {
    local command
    command=$(sed -nE "s/^ *(\\$ )?(.*make $1)$/\\2/p" "$CHECKOUT/README.md" | head -n 1)
    [[ -n $command ]] || die "README.md gives no command that ends with 'make $1'"
    echo "$command"
}

# What git knows or would add; built files stay behind.
tree_copy_checkout() {
    mkdir -p "$1$HOME_IN_TREE"
    git -C "$CHECKOUT" ls-files -z --cached --others --exclude-standard |
        tar -C "$CHECKOUT" --null --files-from=- --ignore-failed-read -c |
        tar -C "$1$HOME_IN_TREE" -x
}

# tree_run TREE COMMAND: runs a shell command in the tree's copy of the checkout, as root at a new machine would.
tree_run() {
    local variable status=0 environment=(HOME=/root LANG=C.UTF-8 TERM=dumb
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
    for variable in http_proxy https_proxy no_proxy; do
        [[ -z ${!variable:-} ]] || environment+=("$variable=${!variable}")
    done
    [[ ! -e $1$CERTIFICATES_IN_TREE ]] || environment+=("NODE_EXTRA_CA_CERTS=$CERTIFICATES_IN_TREE")

    cgroups_create "atelier-tree-$$-$RANDOM"
    (cgroups_join && exec unshare --mount --pid --fork --kill-child "$TRIAL/enter-tree" "$1" \
        env --ignore-environment "${environment[@]}" bash -c "cd $HOME_IN_TREE && $2") &
    wait $! || status=$?
    wait_until "$DEATH_SECONDS_MAX" cgroups_removed || die "cannot remove ${CGROUPS[*]}"
    return $status
}

tree_remove() {
    rm -rf "${1:?}"
}
