# shellcheck shell=bash
# What a prompt may not say here.
source "$CHECKOUT/tests/system/rig/requests.sh"
source "$CHECKOUT/tests/system/rig/ctl.sh"

POLICY='worker = { forbidden_terms = [ "hack", "Straße zur Hölle", "exploit" ]; };'

# ask PROMPT [PATH]
ask() {
    request --json "{\"model\": \"sandbox\", \"prompt\": \"$1\", \"size\": \"64x64\"}" "$ATELIER${2:-/v1/images/generations}"
}

test_a_forbidden_term_is_refused_wherever_it_stands() {
    configure "$POLICY"
    local prompt
    for prompt in 'please HACK it' 'hack' 'die strasse  zur\nHÖLLE' 'an exploit-kit'; do
        ask "$prompt"
        assert_error 400 content_policy_violation
        assert_eq prompt "$(answer body.error.param)"
        ask "$prompt" /v1/images/quote
        assert_error 400 content_policy_violation
    done
    # The answer and the journal tell neither the term nor the prompt.
    assert_eq '' "$(grep -i -e hack -e exploit "$SCRATCH/body" || true)"
    assert_eq '' "$(journal _SYSTEMD_UNIT=atelier-worker.service | grep -i -e 'hack' -e exploit || true)"
    for prompt in 'a hackathon' 'die strasse' 'exploits'; do
        draw "$prompt"
    done
    request "$(answer 'body.data[0].url')"
    mv "$SCRATCH/body" "$SCRATCH/drawn.png"
    request --form model=sandbox --form 'prompt=hack this' --form "image=@$SCRATCH/drawn.png;type=image/png" "$ATELIER/v1/images/edits"
    assert_error 400 content_policy_violation
    request --json '{"requests": [{"model": "sandbox", "prompt": "a ship", "size": "64x64"},
        {"model": "sandbox", "prompt": "a hack", "size": "64x64"}]}' "$ATELIER/v1/batches"
    assert_error 400 content_policy_violation
    assert_match '2' "$(answer body.error.message)"
    ctl jobs list --json
    assert_eq 3 "$(json it.length)" 'nothing was accepted that was refused'
}

test_a_reload_changes_the_list() {
    configure "$POLICY"
    ask 'hack'
    assert_error 400 content_policy_violation
    echo 'worker = { forbidden_terms = [ "lighthouse" ]; };' >/etc/atelier/atelier.conf.d/50-test.conf
    systemctl reload atelier-worker
    draw 'hack'
    ask 'a lighthouse'
    assert_error 400 content_policy_violation
    echo 'worker = { forbidden_terms = [ "!?" ]; };' >/etc/atelier/atelier.conf.d/50-test.conf
    ctl reload worker
    assert_said 1 '' 'worker.forbidden_terms: "!\?" has neither letter nor digit; expected words'
    ask 'a lighthouse'
    assert_error 400 content_policy_violation
}

test_terms_are_bounded() {
    local term list
    term=$(printf 'x%.0s' {1..100})
    list=$(printf '"%s", ' {1..64})
    printf 'worker = { forbidden_terms = [ "%s" ]; };\n' "$term" >/etc/atelier/atelier.conf.d/50-test.conf
    atelierctl config check >/dev/null
    printf 'worker = { forbidden_terms = [ %s ]; };\n' "${list%, }" >/etc/atelier/atelier.conf.d/50-test.conf
    atelierctl config check >/dev/null
    printf 'worker = { forbidden_terms = [ "%sx" ]; };\n' "$term" >/etc/atelier/atelier.conf.d/50-test.conf
    ctl config check
    assert_said 1 '' '50-test.conf:1: worker.forbidden_terms: .*expected .*1 to 100 bytes'
    printf 'worker = { forbidden_terms = [ %s"65" ]; };\n' "$list" >/etc/atelier/atelier.conf.d/50-test.conf
    ctl config check
    assert_said 1 '' '50-test.conf:1: worker.forbidden_terms: .*64'
    : >/etc/atelier/atelier.conf.d/50-test.conf
    grep -qxF 'worker.forbidden_terms = [ "hack", "exploit" ]' <(FORBIDDEN_TERMS=hack,exploit atelierctl config show)
}
