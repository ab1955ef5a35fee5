# shellcheck shell=bash
# HTTPS: which certificate and which ciphers clients meet, who is served without, and for whom a proxy speaks.
source "$CHECKOUT/tests/system/rig/requests.sh"

FOLDER=/etc/atelier/tls
SECURE=https://127.0.0.1:8443
REMOTE=192.0.2.1 # an address that is none of loopback (RFC 5737), on the machine's own interface
PROXY='X-Forwarded-Proto: https'
LOAD_CLIENTS=4
IDLE_CONNECTIONS=500
CONNECTION_KB_MAX=40
LOAD_RELOADS=10

# certify NAME [DAYS [KIND]]: a certificate of its own authority for NAME and 127.0.0.1 in $SCRATCH/NAME.pem, with its key.
certify() {
    local algorithm=(-newkey "${3:-ec}")
    [[ ${3:-ec} != ec ]] || algorithm+=(-pkeyopt ec_paramgen_curve:P-256)
    openssl req -x509 "${algorithm[@]}" -nodes -keyout "$SCRATCH/$1.key" -out "$SCRATCH/$1.pem" -subj "/CN=$1" \
        -days "${2:-30}" -addext "subjectAltName=DNS:$1,IP:127.0.0.1,IP:$REMOTE" 2>/dev/null
}

# install_certificate NAME [KEY-OF]: as a tool for renewals would, whole files by rename.
install_certificate() {
    cp "$SCRATCH/$1.pem" $FOLDER/new && mv $FOLDER/new $FOLDER/fullchain.pem
    install --mode=0640 --group=atelier-api "$SCRATCH/${2:-$1}.key" $FOLDER/new && mv $FOLDER/new $FOLDER/privkey.pem
}

# serve NAME [CONF]: https with that certificate.
serve() {
    [[ -e $SCRATCH/$1.pem ]] || certify "$1"
    install_certificate "$1"
    configure "${2-}"
    systemctl start atelier-api-tls.socket
}

shown_certificate() {
    openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | sed -nE 's/^subject=CN *= *//p'
}

# shakes_hands OPTION...: whether a client that insists on them is served.
shakes_hands() {
    openssl s_client -connect 127.0.0.1:8443 "$@" </dev/null >"$SCRATCH/handshake" 2>&1 &&
        grep -q '^New, TLS' "$SCRATCH/handshake"
}

test_the_socket_waits_for_a_certificate() {
    systemctl restart atelier.target
    assert_eq inactive "$(systemctl is-active atelier-api-tls.socket || true)"
    certify one.example
    install_certificate one.example
    systemctl restart atelier.target
    assert_eq active "$(systemctl is-active atelier-api-tls.socket)"
    configure ''
    request --cacert "$SCRATCH/one.example.pem" "$SECURE/health/live"
    assert_eq 200 "$STATUS"
    assert_match 'max-age=' "$(header strict-transport-security)"
    draw 'by https' --cacert "$SCRATCH/one.example.pem" --connect-to "127.0.0.1:8080:127.0.0.1:8080"
    assert_eq '' "$(header strict-transport-security)" 'where nothing is encrypted'
    assert_match 'one.example, valid until 20' "$(journal _SYSTEMD_UNIT=atelier-api.service)"
    assert_match '^genai_api_certificate_expiry_timestamp_seconds [0-9]{10}$' \
        "$(curl --silent "$ATELIER/metrics" | grep expiry_timestamp_seconds | tail -1)"
}

test_an_image_comes_whole_by_https() {
    serve one.example
    request --cacert "$SCRATCH/one.example.pem" --json '{"model": "sandbox", "prompt": "a ship", "size": "1024x1024"}' \
        "$SECURE/v1/images/generations"
    assert_eq 200 "$STATUS"
    local url
    url=$(answer 'body.data[0].url')
    assert_match "^$SECURE/v1/images/[0-9a-f]{64}" "$url"
    curl --silent --cacert "$SCRATCH/one.example.pem" "$url" >"$SCRATCH/image"
    assert_eq "$(sed -E 's|.*/images/([0-9a-f]{64}).*|\1|' <<<"$url")" "$(sha256sum "$SCRATCH/image" | cut -c1-64)"
    request --cacert "$SCRATCH/one.example.pem" --json \
        '{"model": "sandbox", "prompt": "a ship", "size": "1024x1024", "response_format": "b64_json"}' \
        "$SECURE/v1/images/generations"
    assert_eq "$(sha256sum <"$SCRATCH/image")" \
        "$(answer 'body.data[0].b64_json' | base64 --decode --ignore-garbage | sha256sum)"
}

test_nothing_below_tls_1_2_and_no_weak_cipher() {
    local kind protocol cipher
    for kind in ec rsa:2048; do
        certify "$kind.example" 30 "$kind"
        serve "$kind.example"
        for protocol in -tls1_2 -tls1_3; do
            shakes_hands "$protocol" || fail "$kind: $protocol is not spoken: $(cat "$SCRATCH/handshake")"
        done
        for protocol in -tls1 -tls1_1; do
            ! shakes_hands "$protocol" -cipher ALL:@SECLEVEL=0 || fail "$kind: $protocol is spoken"
        done
        for cipher in AES128-SHA AES256-GCM-SHA384 ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES128-SHA ECDHE-RSA-AES256-SHA384 \
            DHE-RSA-AES256-GCM-SHA384 NULL-SHA256; do
            ! shakes_hands -tls1_2 -cipher "$cipher:@SECLEVEL=0" || fail "$kind: $cipher is taken"
        done
        assert_eq "Verify return code: 18 (self-signed certificate)" \
            "$(openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | grep -m1 'Verify return code' | sed 's/^ *//')"
    done
}

test_nmap_finds_no_fault_with_the_ciphers() {
    local peers=$CHECKOUT/build/peers/test kind
    for kind in ec rsa:2048; do
        certify "$kind.example" 30 "$kind"
        serve "$kind.example"
        LD_LIBRARY_PATH=$peers/usr/lib/$(uname -m)-linux-gnu NMAPDIR=$peers/usr/share/nmap "$peers/usr/bin/nmap" --unprivileged \
            -sT -p 8443 --script ssl-enum-ciphers 127.0.0.1 >"$SCRATCH/nmap"
        assert_eq 'TLSv1.2 TLSv1.3' "$(grep -oE '(SSL|TLS)v[0-9.]+' "$SCRATCH/nmap" | sort -u | paste -sd ' ')"
        assert_match 'least strength: A[[:space:]]' "$(cat "$SCRATCH/nmap")"
        assert_eq '' "$(grep -i -A9 warnings "$SCRATCH/nmap" || true)"
        ! grep -E 'CBC|SHA$|_RSA_WITH_.*RSA|RC4|3DES' "$SCRATCH/nmap" || fail 'a weak cipher'
    done
}

# load: asks until $SCRATCH/stop is there, each time by a connection of its own; prints what was not a 200.
load() {
    local n=0
    until [[ -e $SCRATCH/stop ]]; do
        curl --silent --show-error --insecure --output /dev/null --write-out '%{http_code}\n' "$SECURE/v1/models" 2>&1 |
            grep -vx 200 || true
        n=$((n + 1))
    done
    ((n > LOAD_RELOADS)) || echo "only $n requests"
}

test_a_new_certificate_drops_nothing() {
    certify one.example
    certify two.example
    serve one.example
    shown_certificate >/dev/null
    local i name pids=() answers
    for ((i = 0; i < LOAD_CLIENTS; i++)); do
        load >"$SCRATCH/load.$i" &
        pids+=($!)
    done
    # One connection that stands all the while.
    mkfifo "$SCRATCH/standing"
    openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:8443 <"$SCRATCH/standing" >"$SCRATCH/stood" 2>/dev/null &
    pids+=($!)
    exec {standing}>"$SCRATCH/standing"
    for ((i = 0; i < LOAD_RELOADS; i++)); do
        ((i % 2)) && name=one.example || name=two.example
        install_certificate $name
        systemctl reload atelier-api
        assert_eq $name "$(shown_certificate)" "after reload $i"
        printf 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$standing"
    done
    touch "$SCRATCH/stop"
    wait "${pids[@]:0:LOAD_CLIENTS}"
    assert_eq '' "$(cat "$SCRATCH"/load.*)"
    wait_until 5 eval '(($(grep -o "HTTP/1.1 200" "$SCRATCH/stood" | wc -l) == LOAD_RELOADS))'
    exec {standing}>&-
    wait "${pids[LOAD_CLIENTS]}" || true
}

# assert_refused FILE WHAT: of a reload; the certificate from before stays.
assert_refused() {
    ! systemctl reload atelier-api 2>/dev/null || fail "$2 was taken"
    assert_match "$1: .*$2" "$(journal _SYSTEMD_UNIT=atelier-api.service)"
    assert_eq one.example "$(shown_certificate)" "$2"
}

test_a_bad_certificate_is_refused_and_the_old_one_stays() {
    certify one.example
    certify two.example
    serve one.example
    assert_eq one.example "$(shown_certificate)"
    install_certificate two.example one.example
    assert_refused privkey.pem 'not the key of the certificate'
    install_certificate one.example
    chmod o+r $FOLDER/privkey.pem
    assert_refused privkey.pem 'others on this machine can read'
    install_certificate one.example
    echo nothing >$FOLDER/fullchain.pem
    assert_refused fullchain.pem 'no certificate'
    install_certificate one.example
    echo nothing >$FOLDER/privkey.pem
    assert_refused privkey.pem 'no private key'
    install_certificate one.example
    rm $FOLDER/privkey.pem
    assert_refused privkey.pem 'No such file or directory; expected a private key'
    install_certificate one.example
    openssl x509 -in "$SCRATCH/two.example.pem" -signkey "$SCRATCH/two.example.key" -days 0 -out "$SCRATCH/old.pem" 2>/dev/null
    cp "$SCRATCH/two.example.key" "$SCRATCH/old.key"
    sleep 1.1
    install_certificate old
    assert_refused fullchain.pem 'expired on 20'
    install_certificate one.example
    systemctl reload atelier-api
}

test_in_production_a_key_does_not_travel_in_the_open() {
    serve one.example 'environment = "production"; providers = ( { name = "sandbox"; environments = [ "production" ]; } );'
    request "$ATELIER/v1/models"
    assert_error 403 https_required
    request --json '{"model": "sandbox", "prompt": "by the open road", "size": "64x64"}' "$ATELIER/v1/images/generations"
    assert_error 403 https_required
    request --header "$PROXY" "$ATELIER/v1/models"
    assert_error 403 https_required
    request "$ATELIER/health/live"
    assert_eq 200 "$STATUS"
    request --cacert "$SCRATCH/one.example.pem" "$SECURE/v1/models"
    assert_error 401 invalid_api_key
    request --cacert "$SCRATCH/one.example.pem" --header "Authorization: Bearer $(atelierctl keys create client)" \
        "$SECURE/v1/models"
    assert_eq 200 "$STATUS"
    request --unix-socket /run/atelier/api.sock "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
}

# A proxy's clients are others than its own machine's: each shows a key.
test_a_proxy_is_believed_where_it_is_trusted() {
    serve one.example 'environment = "production"; api = { trusted_proxies = [ "127.0.0.1", "192.0.2.128/25" ]; };
        providers = ( { name = "sandbox"; environments = [ "production" ]; } );'
    local bearer
    bearer="Authorization: Bearer $(atelierctl keys create away --network=198.51.100.0/24)"
    request --header "$bearer" "$ATELIER/v1/models"
    assert_error 403 https_required
    request --header "$bearer" --header 'X-Forwarded-Proto: http' "$ATELIER/v1/models"
    assert_error 403 https_required
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-Proto: http' "$ATELIER/v1/models"
    assert_error 403 https_required
    request --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7' "$ATELIER/v1/models"
    assert_error 401 invalid_api_key
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7' "$ATELIER/v1/models"
    assert_eq 200 "$STATUS"
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7, 192.0.2.200' "$ATELIER/v1/models"
    assert_eq 200 "$STATUS" 'behind two proxies'
    # What the client wrote itself stands further left, in the same line or in one before.
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7, 203.0.113.9' "$ATELIER/v1/models"
    assert_error 401 ip_not_authorized
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7' \
        --header 'X-Forwarded-For: 203.0.113.9' "$ATELIER/v1/models"
    assert_error 401 ip_not_authorized
    # Nobody else is believed: by TLS the peer is who it is.
    request --header "$bearer" --header "$PROXY" --header 'X-Forwarded-For: 198.51.100.7' "http://[::1]:8080/v1/models"
    assert_error 403 https_required
}

test_clients_of_other_machines_need_https_and_a_key() {
    ip address add $REMOTE/32 dev lo
    mkdir -p /run/systemd/system/atelier-api{,-tls}.socket.d
    printf '[Socket]\nListenStream=%s:8080\n' $REMOTE >/run/systemd/system/atelier-api.socket.d/test.conf
    printf '[Socket]\nListenStream=%s:8443\n' $REMOTE >/run/systemd/system/atelier-api-tls.socket.d/test.conf
    systemctl daemon-reload
    [[ -e $SCRATCH/one.example.pem ]] || certify one.example
    install_certificate one.example
    configure "trust_loopback = true; api = { hosts = [ \"$REMOTE\" ]; };"
    systemctl restart atelier-api.socket atelier-api-tls.socket
    request "http://$REMOTE:8080/health/live"
    assert_error 403 https_required
    request --cacert "$SCRATCH/one.example.pem" "https://$REMOTE:8443/health/live"
    assert_eq 200 "$STATUS"
    request --cacert "$SCRATCH/one.example.pem" "https://$REMOTE:8443/v1/models"
    assert_error 401 invalid_api_key
    request --cacert "$SCRATCH/one.example.pem" --header "Authorization: Bearer $(atelierctl keys create away)" \
        "https://$REMOTE:8443/v1/models"
    assert_eq 200 "$STATUS"
}

test_a_connection_that_waits_costs_little() {
    ! is_sanitized || skip "a build with sanitizers is larger"
    serve one.example
    request --insecure "$SECURE/health/live"
    local before after holder
    before=$(rss)
    node --eval "
        const tls = require('tls'); let open = 0
        for (let i = 0; i < $IDLE_CONNECTIONS; i++)
            tls.connect({ port: 8443, host: '127.0.0.1', rejectUnauthorized: false }, () => {
                if (++open == $IDLE_CONNECTIONS) console.log('open')
            })
    " >"$SCRATCH/open" &
    holder=$!
    wait_until 20 grep -q open "$SCRATCH/open"
    after=$(rss)
    kill $holder
    echo "# $(((after - before) / IDLE_CONNECTIONS)) kB a connection"
    (((after - before) / IDLE_CONNECTIONS < CONNECTION_KB_MAX)) || fail "from $before kB to $after kB"
}

rss() {
    awk '/^RssAnon:/ { print $2 }' "/proc/$(systemctl show --property=MainPID --value atelier-api)/status"
}
