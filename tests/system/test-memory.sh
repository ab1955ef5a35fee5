# shellcheck shell=bash
# Many large answers at once: how far the daemons' memory grows by them, and that each arrives whole.
deadline=240
source "$CHECKOUT/tests/system/rig/requests.sh"

FAST_PORT=18030
SIZE=1152x1152 # of noise, three bytes a pixel: a file of 4 MB
IMAGE_BYTES_MIN=3900000

# start_provider COUNT: one that answers when COUNT requests wait, all at once.
start_provider() {
    gcc -std=gnu11 -D_GNU_SOURCE -O2 -o "$SCRATCH/openai-fast" "$CHECKOUT/tests/fakes/openai-fast.c" -lz
    "$SCRATCH/openai-fast" --port $FAST_PORT --size $SIZE --noise --gather "$1" >"$SCRATCH/fast" &
    wait_until 10 grep -qx $FAST_PORT "$SCRATCH/fast"
    install -D -m 0600 /dev/stdin /etc/credstore/openai-api-key <<<sk-test
    configure "trust_loopback = true;
        providers = ( { name = \"openai\"; base_url = \"http://127.0.0.1:$FAST_PORT/v1\"; concurrency = 1000; } );
        models = ( { name = \"large\"; provider = \"openai\"; provider_model = \"gpt-image-2\"; sizes = [ \"$SIZE\" ];
            takes_response_format = true; } );
        worker = { concurrency = 1000; daily_budget = \"infinity\"; };"
}

# peak DAEMON: the greatest resident size it had since it started, in kB.
peak() {
    sed -nE 's/^VmHWM: *([0-9]+) kB$/\1/p' "/proc/$(systemctl show --value --property=MainPID "atelier-$1")/status"
}

# answered COUNT FORMAT: so many answers at once, each verified.
answered() {
    node "$CHECKOUT/tests/system/clients/many-answers.mjs" "$1" "$2" large $SIZE >"$SCRATCH/answers"
    cat "$SCRATCH/answers"
    node --eval "const { images, bytes } = JSON.parse(require('fs').readFileSync('$SCRATCH/answers'));
        process.exit(images === $1 && bytes / images >= $IMAGE_BYTES_MIN ? 0 : 1)"
}

# at_most MEGABYTES DAEMON
at_most() {
    local kilobytes
    kilobytes=$(peak "$2")
    echo "atelier-$2: $kilobytes kB"
    ((kilobytes <= $1 * 1024)) || fail "atelier-$2 reached $kilobytes kB, more than $1 MB"
}

test_500_answers_of_4_mb_take_96_mb_of_the_worker() {
    ! is_sanitized || skip "a build with sanitizers is larger"
    start_provider 500
    answered 500 url
    at_most 96 worker
}

test_200_answers_of_4_mb_as_base64_take_64_mb_of_the_api() {
    ! is_sanitized || skip "a build with sanitizers is larger"
    start_provider 200
    answered 200 b64_json
    at_most 64 api
}
