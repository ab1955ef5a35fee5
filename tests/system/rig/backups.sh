# shellcheck shell=bash
#
# backups.sh: what the tests of backup and restore share. Sourced after requests.sh.

BACKUPS=/var/backups/atelier
STATE=/var/lib/atelier/current

source "$CHECKOUT/tests/system/rig/provider.sh"

jobs() {
    node "$CHECKOUT/tests/system/jobs.mjs" "$@"
}

# jobs_in STATUS: how many there are.
jobs_in() {
    jobs show | cut -f2 | grep -cx "$1" || (($? == 1))
}

# make_images COUNT BYTES: a state with so many jobs that have ended, each with an image that does not compress.
make_images() {
    node "$CHECKOUT/tests/system/clients/make-state.mjs" "$@"
}

# images: the hash of each image there is, by its contents.
images() {
    (cd "$STATE/images" && find . -path ./tmp -prune -o -type f -print0 | xargs -0r sha256sum | sort -k2)
}

# archives: their names, oldest first.
archives() {
    find $BACKUPS -maxdepth 1 -name '*.tar.zst' -printf '%f\n' | sort
}

leftovers() {
    find $BACKUPS -mindepth 1 -maxdepth 1 ! -name '*.tar.zst'
}

# assert_whole NAME: the archive is what its name says, and what is in it is what SHA256SUMS says.
assert_whole() {
    local folder=$SCRATCH/unpacked
    assert_eq "$(sed -E 's/.*-([0-9a-f]{64})\.tar\.zst$/\1/' <<<"$1")" "$(sha256sum "$BACKUPS/$1" | cut -d' ' -f1)"
    mkdir "$folder"
    tar --zstd -xf "$BACKUPS/$1" -C "$folder"
    (cd "$folder" && sha256sum --quiet -c SHA256SUMS)
    rm -r "$folder"
}

main_pid() {
    systemctl show --value --property=MainPID "atelier-$1"
}

last_run() {
    atelierctl --json task history backup --limit=1 | node --print 'JSON.parse(require("fs").readFileSync(0))[0].result'
}

runs() {
    atelierctl --json task history backup | node --print 'JSON.parse(require("fs").readFileSync(0)).length'
}
