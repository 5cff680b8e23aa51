#!/usr/bin/env bash
# An encrypted PBX behind a plain carrier, and the reverse: baresip with its `srtp` module (libre) has SRTP with keys in
# SDP, the other baresip has none. Both are heard, each in its own channel of the recording, and no key is in a log.
. "$(dirname "$0")/lib.sh"
begin srtp
CALLER=127.0.0.1 COMPANY=127.0.0.1 NAT=true
# baresip takes the port above its own for TLS.
CALLER_PORT=$((30000 + $$ % 500 * 4)) COMPANY_PORT=$((30002 + $$ % 500 * 4))

# one NAME TRUNK COMPANY CALLER'S-OPTIONS COMPANY'S-OPTIONS: a call of 8 s with `media_encryption` as said.
one() {
    local name=$1
    rm -rf "$DATA" caller company
    TRUNK_EXTRA="media_encryption = \"$2\""
    FORWARD="{ uri = \"sip:company@$COMPANY:$COMPANY_PORT\", media_encryption = \"$3\" }"
    start_leaseline
    baresip_home company "$COMPANY:$COMPANY_PORT" 1100 28000-28998 ";answermode=auto$5"
    PHONE_USER=+442079460990 baresip_home caller "$CALLER:$CALLER_PORT" 400 29000-29998 "$4"
    for phone in caller company; do echo "module srtp.so" >>$phone/config; done
    start_baresip company 40
    local company=$PHONE_PID
    start_baresip caller 8 -e "/dial sip:$NUMBER@$NODE:5060"
    wait "$PHONE_PID"
    ended "$name: answered" '.outcome == "answered" and .media.codec == "PCMA"'
    # As a caller baresip sends one packet that is not under its key, each time.
    ended "$name: nothing refused" '.media.caller.refused | (.srtp_auth // 0) <= 1 and (has("srtp_replay") | not)'
    [ $FAILED = 0 ] || { for log in caller company; do tail -n 15 $log.log | tr "\r\033" "\n " | sed "s/^/# /"; done; }
    tones left=400 right=1100 left!=1100 right!=400 longer=3.0
    quiet
    check "$name: the ladder shows no key" bash -c "! curl -sf '$API/v1/calls' | jq -r '.calls[].call_id' |
        xargs -I{} curl -sf '$API/v1/calls/{}/ladder' | grep -o 'inline:[A-Za-z0-9+/=]*' | grep -v 'inline:x*$'"
    kill "$company" 2>/dev/null
    wait "$company"
    stop_leaseline
    check "$name: no key is in the log" bash -c '! grep -q "inline:" leaseline.log'
}

one "encrypted PBX" off sdes "" ";mediaenc=srtp-mand"
one "encrypted carrier" sdes off ";mediaenc=srtp-mand" ""
one "both encrypted" optional sdes ";mediaenc=srtp" ";mediaenc=srtp-mand"

# A carrier that must be encrypted and is not.
TRUNK_EXTRA='media_encryption = "sdes"' FORWARD="\"sip:company@$COMPANY:$COMPANY_PORT\""
rm -rf "$DATA"
start_leaseline
PHONE_USER=+442079460990 baresip_home caller "$CALLER:$CALLER_PORT" 400 29000-29998
start_baresip caller 4 -e "/dial sip:$NUMBER@$NODE:5060"
wait "$PHONE_PID"
check "in clear: 488" grep -q "488" caller.log
stop_leaseline
