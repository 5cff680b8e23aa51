#!/usr/bin/env bash
# What an auditor can do without a program of ours: hashes with sha256sum, the Merkle root with a few lines of Python, the
# signature with openssl.
. "$(dirname "$0")/lib.sh"
begin auditor
start_leaseline
TALK=1000
for _ in 1 2 3; do
    company uas_answer
    caller uac_answer
    both "a call"
done
stop_leaseline
# A day is closed when it is over: these calls become calls of long ago.
mkdir -p "$DATA/recordings/2026/01"
mv "$(find "$DATA/recordings" -mindepth 3 -maxdepth 3 -type d ! -path '*/2026/01/*' | head -1)" "$DATA/recordings/2026/01/05"
start_leaseline
MANIFEST=$DATA/recordings/2026/01/05/manifest.json
for _ in $(seq 100); do [ -f "$MANIFEST" ] && break; sleep 0.1; done
check "the day is closed" test -f "$MANIFEST"
"$LEASELINE" keys show --config leaseline.toml >shown.txt
sed '/END/q' shown.txt >public.pem
stop_leaseline

cd "$DATA/recordings/2026/01/05" || exit 1
jq -r '.records[] | "\(.sha256)  \(.file)"' manifest.json >"$WORK/sums"
check "it has three recordings" test "$(wc -l <"$WORK/sums")" = 3
check "sha256sum agrees with every recording" sha256sum --quiet -c "$WORK/sums"
jq -r '.records[] | "\(.sidecar_sha256)  \(.call_id).json"' manifest.json >"$WORK/sidecars"
check "sha256sum agrees with every sidecar" sha256sum --quiet -c "$WORK/sidecars"
cd "$WORK" || exit 1
jq -rj .head "$MANIFEST" >head
jq -r .signature "$MANIFEST" | base64 -d >signature
check "openssl agrees with the signature" \
    openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in head -sigfile signature
check "the root is RFC 6962's over the records" python3 - "$MANIFEST" <<'PY'
import hashlib, json, sys
manifest = json.load(open(sys.argv[1]))
def tree(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()
fields = lambda r: "\t".join([r["call_id"], r["file"], str(r["size"]), r["sha256"], r.get("sidecar_sha256", "-")])
root = tree([hashlib.sha256(b"\0" + fields(r).encode()).digest() for r in manifest["records"]]).hex()
assert root == manifest["root"], root
assert manifest["head"].split("\n")[3] == "3 " + root
PY
sed -i 's/^3 /2 /' head
check "and not with another text" bash -c '! openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in head -sigfile signature'
