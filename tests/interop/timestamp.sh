#!/usr/bin/env bash
# Closed days are time-stamped (RFC 3161): `openssl ts` is the authority, behind a few lines of Python, and checks what we
# kept; ours checks it with the authority's root only. The authority is away at first: closing does not wait for it.
. "$(dirname "$0")/lib.sh"
begin timestamp
TSA=$NET.8
cat >tsa.cnf <<'CNF'
[req]
distinguished_name = dn
x509_extensions = root
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[stamping]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
clock_precision_digits = 3
accuracy = secs:1
ess_cert_id_alg = sha256
CNF
echo 01 >serial
ROOT_KEY=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${ROOT_KEY[@]}" -keyout root.key -out root.pem -days 30 -subj "/CN=Root of time" -config tsa.cnf 2>openssl.log
openssl req -x509 "${ROOT_KEY[@]}" -keyout other.key -out other.pem -days 30 -subj "/CN=Another" -config tsa.cnf 2>>openssl.log
openssl req -new -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj "/CN=Stamps" -config tsa.cnf 2>>openssl.log
openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile tsa.cnf -extensions stamping \
    -out tsa.pem 2>>openssl.log
cat >tsa.py <<PY
import http.server, subprocess
class Authority(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.headers["Content-Type"] == "application/timestamp-query", self.headers
        open("query.tsq", "wb").write(self.rfile.read(int(self.headers["Content-Length"])))
        subprocess.run(["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-signer", "tsa.pem",
                        "-inkey", "tsa.key", "-out", "reply.tsr"], check=True)
        body = open("reply.tsr", "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("$TSA", 3180), Authority).serve_forever()
PY
start_leaseline
TALK=1000
company uas_answer
caller uac_answer
both "a call"
stop_leaseline
# A day is closed when it is over: this call becomes one of long ago.
mkdir -p "$DATA/recordings/2026/01"
mv "$(find "$DATA/recordings" -mindepth 3 -maxdepth 3 -type d ! -path '*/2026/01/*' | head -1)" "$DATA/recordings/2026/01/05"
RECORDING_EXTRA="timestamp_url = \"http://$TSA:3180/\"
timestamp_roots = \"root.pem\""
start_leaseline
MANIFEST=$DATA/recordings/2026/01/05/manifest.json
for _ in $(seq 100); do [ -f "$MANIFEST" ] && break; sleep 0.1; done
check "the day is closed without its time stamp" jq -e '.timestamp == null' "$MANIFEST"
python3 tsa.py >tsa.log 2>&1 &
TSA_PID=$!
PIDS+=("$TSA_PID")
for _ in $(seq 300); do jq -e .timestamp "$MANIFEST" >stamp.txt 2>&1 && break; sleep 0.1; done
check "the authority is asked again, and the stamp is kept" jq -e .timestamp "$MANIFEST"
check "that is told" grep -q archive.day_stamped "$DATA/events.jsonl"
"$LEASELINE" keys show --config leaseline.toml >shown.txt
sed '/END/q' shown.txt >public.pem
stop_leaseline
jq -r .timestamp.response "$MANIFEST" | base64 -d >kept.tsr
jq -rj .timestamp.head "$MANIFEST" >head
check "openssl agrees with what was kept" openssl ts -verify -in kept.tsr -data head -CAfile root.pem
check "the question had a nonce" bash -c 'openssl ts -query -in query.tsq -text 2>/dev/null | grep -q "Nonce: 0x"'
verify() { "$LEASELINE" verify "$DATA/recordings" --key public.pem --tsa "$1" >problems.txt 2>notes.txt; }
check "ours agrees, offline, with the root" verify root.pem
check "and says when, and by whom" grep -q 'time-stamped at 20.* by CN=Stamps' notes.txt
check "and with the authority's own certificate" verify tsa.pem
check "not with another root" bash -c "! \"$LEASELINE\" verify '$DATA/recordings' --tsa other.pem >problems.txt 2>notes.txt"
check "and says why" grep -q timestamp_untrusted problems.txt
jq '.timestamp.head |= sub("2026-01-05"; "2026-01-06")' "$MANIFEST" >forged.json && mv forged.json "$MANIFEST"
check "not for another day" bash -c "! \"$LEASELINE\" verify '$DATA/recordings' --tsa root.pem >problems.txt 2>notes.txt"
