# shellcheck shell=bash
# What was backed up comes back, by atelierctl and by hand, costs nothing until told so, or leaves all as it was.
deadline=120
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/backups.sh"

COMPLETED=5
WAITING=3
RESTORES=16
PAID='{"model": "gpt-image-2", "size": "1024x640"}'

# A state with jobs that have ended and jobs that wait, and an archive of it.
prepare() {
    start_provider
    jobs submit $COMPLETED 1 "$PAID" >"$SCRATCH/completed"
    wait_until 20 has_jobs $COMPLETED completed
    atelierctl queue pause
    jobs submit $WAITING 1 "$PAID" >"$SCRATCH/waiting"
    images >"$SCRATCH/images"
    assert_eq $COMPLETED "$(wc -l <"$SCRATCH/images")"
    atelierctl task run backup
    assert_eq $COMPLETED "$(billed)"
}

has_jobs() {
    (($(jobs_in "$2") == $1))
}

# What lies in the worker's folder beside the machine's own secrets.
states() {
    ls --almost-all --ignore='*-secret' /var/lib/atelier
}

wipe_state() {
    systemctl stop 'atelier-*.service'
    rm -rf /var/lib/atelier/*
}

held_jobs() {
    atelierctl --json jobs list --all |
        node --print 'JSON.parse(require("fs").readFileSync(0)).filter(job => job.held).length'
}

# All is back, nothing was paid for, and after the operator's word the rest is made, once.
assert_restored() {
    assert_eq "$(cat "$SCRATCH/images")" "$(images)"
    assert_eq "$(sort "$SCRATCH/completed" "$SCRATCH/waiting")" "$(jobs show | cut -f1 | sort)"
    assert_eq $COMPLETED "$(jobs_in completed)"
    assert_eq $WAITING "$(held_jobs)"
    request "$ATELIER/v1/jobs/$(head -n1 "$SCRATCH/completed")"
    assert_eq 200 "$STATUS"
    request "$(answer body.result.data[0].url)"
    assert_match '1024 x 640' "$(file --brief "$SCRATCH/body")"

    # A new job overtakes those that are held: the dispatcher had its chance.
    jobs submit 1 1 "$PAID" >"$SCRATCH/new"
    wait_until 20 has_jobs $((COMPLETED + 1)) completed
    assert_eq $((COMPLETED + 1)) "$(billed)"
    assert_eq $WAITING "$(held_jobs)"

    atelierctl jobs resume --all
    wait_until 20 has_jobs $((COMPLETED + 1 + WAITING)) completed
    assert_eq $((COMPLETED + 1 + WAITING)) "$(billed)"
}

test_restores_onto_a_wiped_state() {
    prepare
    wipe_state
    atelierctl backup restore --yes >"$SCRATCH/said"
    assert_match 'jobs resume' "$(cat "$SCRATCH/said")"
    assert_restored
}

test_restores_by_hand_with_tar() {
    prepare
    wipe_state
    install -d -m 0700 -o atelier-worker -g atelier-worker $STATE
    tar --zstd -xf "$BACKUPS/$(archives)" -C $STATE
    (cd $STATE && sha256sum --quiet -c SHA256SUMS)
    rm -r "$STATE/SHA256SUMS" "$STATE/config"
    chown -R atelier-worker:atelier-worker $STATE
    assert_restored
}

# The jobs that were made since then are set aside with their state, and the archive's are there.
test_the_former_state_is_kept_until_told_otherwise() {
    draw one
    atelierctl task run backup
    draw two
    local former
    atelierctl backup restore --yes
    assert_eq 1 "$(jobs_in completed)"
    former=$(find /var/lib/atelier -maxdepth 1 -name 'former-*')
    assert_eq 2 "$(sqlite3 "$former/atelier.db" 'SELECT count(*) FROM job')"
    atelierctl backup discard --yes
    assert_eq current "$(states)"
}

test_work_goes_on_after_a_restore() {
    draw one
    atelierctl task run backup
    local pid
    pid=$(main_pid worker)
    atelierctl backup restore --yes
    draw two
    draw one
    assert_eq "$pid" "$(main_pid worker)" 'the worker was started again'
    assert_eq 3 "$(jobs_in completed)"
}

# assert_untouched COMMAND...: it fails, names the archive's fault, and the state is as before.
assert_untouched() {
    local before
    before=$(images && jobs show && main_pid worker)
    assert_fails "$@" >"$SCRATCH/said" 2>&1
    assert_eq "$before" "$(images && jobs show && main_pid worker)"
    assert_eq current "$(states)"
}

# put_archive FILE: as one that calls itself whole.
put_archive() {
    local name
    name=atelier-20300101T000000Z-$(sha256sum "$1" | cut -d' ' -f1).tar.zst
    install -m 0640 -o atelier-scheduler "$1" "$BACKUPS/$name"
    echo "$name"
}

# change_byte FILE: one in its middle, to another one.
change_byte() {
    local at byte
    at=$(($(stat --format=%s "$1") / 2))
    byte=$(od --address-radix=n --format=u1 --skip-bytes=$at --read-bytes=1 "$1")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}

test_a_changed_archive_is_refused() {
    draw one
    atelierctl task run backup
    local archive
    archive=$BACKUPS/$(archives)
    change_byte "$archive"
    assert_untouched atelierctl backup verify
    assert_match 'is refused|damaged|refused' "$(cat "$SCRATCH/said")"
    assert_untouched atelierctl backup restore --yes
    truncate --size=-100 "$archive"
    assert_untouched atelierctl backup restore --yes
}

test_an_archive_with_a_foreign_member_is_refused_by_its_name() {
    draw one
    atelierctl task run backup
    mkdir "$SCRATCH/tree"
    cd "$SCRATCH/tree"
    tar --zstd -xf "$BACKUPS/$(archives)"
    rm "$BACKUPS/$(archives)"
    local member archive
    ln -s /etc/passwd link
    mkfifo pipe
    echo outside >../outside
    for member in link pipe ../outside /etc/hostname; do
        tar --format=posix --zstd -P -cf ../bad.tar.zst atelier.db "$member" images SHA256SUMS
        archive=$(put_archive ../bad.tar.zst)
        assert_untouched atelierctl backup restore --yes "$archive"
        assert_match "${member##*/}" "$(cat "$SCRATCH/said")"
        rm "$BACKUPS/$archive"
    done
}

test_a_decompression_bomb_is_refused() {
    draw one
    mkdir "$SCRATCH/bomb"
    cd "$SCRATCH/bomb"
    truncate --size=2G atelier.db
    tar --format=posix --zstd -cf ../bomb.tar.zst atelier.db
    local archive
    archive=$(put_archive ../bomb.tar.zst)
    assert_untouched timeout 60 atelierctl backup restore --yes "$archive"
    assert_match 'far more bytes' "$(cat "$SCRATCH/said")"
}

# A worker whose scheduler was killed may be in the midst of the exchange.
state_is_the_old_or_the_new_one() {
    jobs show >"$SCRATCH/shown"
    images >"$SCRATCH/now"
    case $(wc -l <"$SCRATCH/shown") in
    301) cmp "$SCRATCH/new" "$SCRATCH/now" ;;
    302) cmp "$SCRATCH/old" "$SCRATCH/now" ;;
    *) false ;;
    esac
}

# Whoever is killed and when: the worker comes back with the old jobs or with the archive's, all of them.
test_kills_during_a_restore_leave_the_old_or_the_new_state() {
    draw old
    systemctl stop 'atelier-*.service'
    make_images 300 100000
    configure ''
    atelierctl task run backup
    images >"$SCRATCH/new"
    draw newer
    images >"$SCRATCH/old"
    local number pid cut=0
    for ((number = 0; number < RESTORES; number++)); do
        systemctl start atelier-worker atelier-scheduler
        pid=$(main_pid "$( ((number % 2)) && echo worker || echo scheduler)")
        atelierctl backup restore --yes >"$SCRATCH/said" 2>&1 &
        local run=$!
        sleep "0.$(printf %03d $((RANDOM % 600)))"
        kill -KILL "$pid" || [[ ! -e /proc/$pid ]]
        wait "$run" || cut=$((cut + 1))
        wait_until 20 state_is_the_old_or_the_new_one
        [[ $(wc -l <"$SCRATCH/shown") == 302 ]] || draw newer
        atelierctl backup discard --yes >/dev/null
    done
    echo "$cut of $RESTORES restores were cut off"
    ((cut >= RESTORES / 4)) || fail "only $cut of $RESTORES restores were cut off"

    # What was built for nothing goes with the next start at the latest.
    systemctl restart atelier-worker
    assert_eq current "$(states)"
}

# The archive is all that goes from one machine to the other.
machine_test_restores_onto_a_fresh_machine() {
    machine boot
    machine in curl --fail --silent --output /dev/null --json \
        '{"model": "sandbox", "prompt": "to be carried over", "size": "64x64"}' $ATELIER/v1/images/generations
    machine in atelierctl task run backup
    cp "$MACHINE"/upper$BACKUPS/*.tar.zst "$SCRATCH/"
    machine stop
    rm -rf "$MACHINE"

    machine boot
    local archive
    archive=$(basename "$SCRATCH"/*.tar.zst)
    machine in install -m 0640 -o atelier-scheduler /dev/stdin "$BACKUPS/$archive" <"$SCRATCH/$archive"
    machine in atelierctl backup restore --yes
    assert_match 'to be carried over' "$(machine in atelierctl --json jobs list)"
    # shellcheck disable=SC2016 # expanded in the machine
    machine in sh -c 'cd /var/lib/atelier/current/images && for f in ??/*; do
        test "$(sha256sum <$f | cut -d" " -f1)" = "$(basename ${f%.*})" && echo whole; done' >"$SCRATCH/whole"
    assert_eq whole "$(cat "$SCRATCH/whole")"
}
