#!/bin/bash
#
# tests/run counts truly: whatever way a test program goes wrong, the closing line and the exit status say so. Prints
# TAP.
set -euo pipefail

RUN=$(cd "$(dirname "$0")/.." && pwd)/run
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
number=0 failed=0

# expect WHAT CLOSING STATUS [--alone] PROGRAM...: each program is a shell script that plays a test program.
expect() {
    local what=$1 closing=$2 status=$3 got_status=0 programs=() program verdict=ok got
    for program in "${@:4}"; do
        [[ $program != --alone ]] || { programs+=(--alone) && continue; }
        echo "$program" >"$FOLDER/program-${#programs[@]}"
        programs+=("program-${#programs[@]}=bash $FOLDER/program-${#programs[@]}")
    done
    TEST_LOGS=$FOLDER/logs "$RUN" -j 2 --deadline 1 "${programs[@]}" >"$FOLDER/out" 2>&1 || got_status=$?
    got=$(tail -n 1 "$FOLDER/out")
    number=$((number + 1))
    [[ $got == "$closing" && $got_status == "$status" ]] || verdict='not ok' failed=1
    echo "$verdict $number - $what"
    [[ $verdict == ok ]] || {
        echo "# wanted status $status and '$closing', got status $got_status and:"
        sed 's/^/#   /' "$FOLDER/out"
    }
}

# expect_said WHAT TEXT: the run before said so.
expect_said() {
    local verdict=ok
    number=$((number + 1))
    grep -qF -- "$2" "$FOLDER/out" || verdict='not ok' failed=1
    echo "$verdict $number - $1"
}

expect 'tests that pass' '2 passed, 0 failed' 0 'echo 1..2; echo ok 1 - a; echo ok 2 - b'
expect 'plan at the end' '1 passed, 0 failed' 0 'echo ok 1 - a; echo 1..1'
expect 'several groups in one program' '3 passed, 0 failed' 0 \
    'echo 1..2; echo ok 1; echo ok 2; echo 1..1; echo ok 1'
expect 'several programs' '2 passed, 0 failed' 0 'echo 1..1; echo ok 1' 'echo 1..1; echo ok 1'
expect 'a skipped test is told apart' '1 passed, 0 failed, 1 skipped' 0 \
    'echo 1..2; echo ok 1; echo "ok 2 - b # SKIP no such thing here"'
expect 'a failed test' '1 passed, 1 failed' 1 'echo 1..2; echo ok 1; echo not ok 2 - b; echo "# because"; exit 1'
expect_said 'with what it said' '# because'
expect 'a failed test of a program that exits with 0' '0 passed, 1 failed' 1 'echo 1..1; echo not ok 1'
expect 'one bad program among good ones' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1' 'echo 1..1; echo not ok 1'
expect 'a crash between two tests' '1 passed, 1 failed' 1 'echo 1..2; echo ok 1; kill -SEGV $$'
expect 'a crash after the last test' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1; kill -SEGV $$'
expect 'an error exit with all tests passed' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1; echo oh >&2; exit 3'
expect_said 'with its last words' 'oh'
expect 'fewer tests than planned' '1 passed, 1 failed' 1 'echo 1..2; echo ok 1'
expect 'more tests than planned' '2 passed, 1 failed' 1 'echo 1..1; echo ok 1; echo ok 2'
expect 'no plan' '1 passed, 1 failed' 1 'echo ok 1'
expect 'no output' '0 passed, 1 failed' 1 ':'
expect 'no test' '0 passed, 1 failed' 1 'echo 1..0'
expect 'only skipped tests' '0 passed, 0 failed, 1 skipped' 1 'echo "1..0 # SKIP none here"'
expect 'a program that gives up' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1; echo "Bail out! no disk"'
expect 'one that runs alone' '3 passed, 0 failed' 0 \
    "touch $FOLDER/busy; sleep 0.3; rm $FOLDER/busy; echo 1..1; echo ok 1" --alone \
    "test ! -e $FOLDER/busy || exit 1; touch $FOLDER/busy; sleep 0.1; rm $FOLDER/busy; echo 1..1; echo ok 1" \
    "test ! -e $FOLDER/busy || exit 1; echo 1..1; echo ok 1"
expect 'a failed test of one that runs alone' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1' --alone \
    'echo 1..1; echo not ok 1'
expect 'a program that hangs' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1; exec sleep 60'
# shellcheck disable=SC2016 # the program expands it
expect 'a program that kills its watcher' '1 passed, 1 failed' 1 'echo 1..1; echo ok 1; kill -KILL $PPID'
expect 'no program' 'run: no programs to run' 2
echo "1..$number"
exit $failed
