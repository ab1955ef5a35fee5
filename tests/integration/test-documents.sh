#!/bin/bash
#
# The documents name nothing that is not there: the tests that docs/security.md calls as witnesses, and the files that
# documents refer to. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/../.."

number=0 failed=0

# verdict WHAT COMMAND...
verdict() {
    number=$((number + 1))
    if "${@:2}"; then
        echo "ok $number - $1"
    else
        echo "not ok $number - $1"
        failed=1
    fi
}

# shellcheck disable=SC2317 # verdict calls it
is_test() {
    grep -qx "test_${1#*/}() {" "tests/system/test-${1%%/*}.sh"
}

# shellcheck disable=SC2016 # the quotes are the document's
mapfile -t tests < <(grep -oE '`[a-z-]+/[a-z0-9_]+`' docs/security.md | tr -d '`' | sort -u)
verdict 'the table of security names tests' test ${#tests[@]} -ge 20
for test in "${tests[@]}"; do
    verdict "$test is a test" is_test "$test"
done

# [text](target) of files in the tree; addresses and places within a document apart.
for document in README.md docs/*.md; do
    mapfile -t targets < <(grep -oE '\]\([^)#: ]+' "$document" | cut -c3- | grep -vx 'https\?' | sort -u)
    for target in "${targets[@]}"; do
        verdict "$document: $target is there" test -e "$(dirname "$document")/$target"
    done
done

echo "1..$number"
exit $failed
