#!/usr/bin/env bash
# A phone in a browser speaks with a plain one: WebRTC of headless Chromium, DTLS-SRTP and ICE; both are heard, each in its
# own channel of the recording, with a codec in common and with Opus on one side only.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_webrtc
npm pack --silent sip.js@0.21.2 >npm.log 2>&1 || { echo "sip.js cannot be fetched: $(tail -1 npm.log)"; exit 77; }
tar xzf sip.js-*.tgz
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$NODE" \
    -addext "subjectAltName=IP:$NODE" -keyout key.pem -out certificate.pem 2>/dev/null
sox -q -n -r 48000 -c 1 -b 16 microphone.wav synth 60 sine 400 vol 0.5
LISTEN=", \"wss://$NODE:8443\""

# one NAME PAGE CODECS: three calls of 4 s by a browser whose leg may talk with these codecs.
one() {
    local name=$1 page=$2 codecs=$3
    rm -rf "$DATA"
    EXTRA=$(cat <<TOML
[sip.websocket]
origins = ["http://127.0.0.1:$page"]
[sip.tls]
certificate = "certificate.pem"
key = "key.pem"
[[trunk]]
name = "browsers"
media_encryption = "dtls"
codecs = [$codecs]
[trunk.login]
users = [{ user = "browser", password = "a browser secret" }]
algorithms = ["MD5"]
TOML
)
    start_leaseline
    CALLS=3 company uas_answer
    check "$name: the browser is content" \
        node "$ROOT/tests/browser/webrtc.mjs" "wss://$NODE:8443" "$NUMBER" "$WORK/package" "$page" "$WORK/microphone.wav"
    ended "$name: answered, ended by the caller" '.outcome == "answered" and .hangup_by == "caller" and
        .trunk == "browsers" and .recording.state == "complete"' 3
    # Refused is what comes before both sides know each other: checks, and media before there are keys.
    ended "$name: media both ways, with reports" \
        '.media.caller.received > 150 and .media.caller.relayed > 150 and .media.company.relayed > 150 and
        .media.caller.rtcp > 0 and ([.media.caller, .media.company | .refused // {} | .[]] | add // 0) < 40' 3
    tones left=400 right=1100 left!=1100 right!=400 longer=3.0
    quiet
    check "$name: the ladder shows no password" bash -c "! curl -sf '$API/v1/calls' | jq -r '.calls[].call_id' |
        xargs -I{} curl -sf '$API/v1/calls/{}/ladder' | grep -o 'ice-pwd:[A-Za-z0-9+/]*' | grep -v 'ice-pwd:x*$'"
    wait "$COMPANY_PID"
    stop_leaseline
    check "$name: no password is in the log" bash -c '! grep -q "browser secret\|ice-pwd" leaseline.log effective.toml'
}

export CODEC=audio/PCMU
one "a codec in common" 28097 '"PCMU"'
CODEC=audio/opus
one "Opus on one side" 28098 '"opus"'
