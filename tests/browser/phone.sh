#!/usr/bin/env bash
# A phone in a browser calls a tracking number: SIP.js in headless Chromium, secure WebSocket, digest.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_phone
npm pack --silent sip.js@0.21.2 >npm.log 2>&1 || { echo "sip.js cannot be fetched: $(tail -1 npm.log)"; exit 77; }
tar xzf sip.js-*.tgz
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$NODE" \
    -addext "subjectAltName=IP:$NODE" -keyout key.pem -out certificate.pem 2>/dev/null
LISTEN=", \"wss://$NODE:8443\""
PAGE=28099
EXTRA=$(cat <<TOML
[sip.websocket]
origins = ["http://127.0.0.1:$PAGE"]
[sip.tls]
certificate = "certificate.pem"
key = "key.pem"
[[trunk]]
name = "browsers"
[trunk.login]
users = [{ user = "browser", password = "a browser secret" }]
algorithms = ["MD5"]
TOML
)
start_leaseline
CALLS=1 TALK=1500
company uas_answer
check "a browser's phone calls" node "$ROOT/tests/browser/phone.mjs" "wss://$NODE:8443" "$NUMBER" "$WORK/package" $PAGE
ended "answered, ended by the caller" '.outcome == "answered" and .hangup_by == "caller" and .trunk == "browsers"'
quiet
stop_leaseline
check "the password is not in the log" bash -c '! grep -q "browser secret" leaseline.log effective.toml'
