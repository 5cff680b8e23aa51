#!/usr/bin/env bash
# What the whole machine answers to the torture messages of RFC 4475 and RFC 5118, read by somebody else: tshark dissects
# every answer as SIP and finds none malformed.
set -u
cd "$(dirname "$0")/../.." || exit 2
for tool in tshark text2pcap; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
WORK=$(mktemp -d "${TMPDIR:-/tmp}/leaseline-torture.XXXXXX")
trap 'rm -rf "$WORK"' EXIT
FAILED=0
check() {
    local name=$1
    shift
    if "$@"; then echo "ok - $name"; else echo "not ok - $name"; FAILED=1; fi
}

LEASELINE_TORTURE_ANSWERS=$WORK/answers.txt cargo test --locked --quiet --test abuse \
    torture::every_torture_message_gets_its_answer >"$WORK/log" 2>&1
check "the answers are written" test -s "$WORK/answers.txt"
text2pcap -q -u 5060,5060 "$WORK/answers.txt" "$WORK/answers.pcap" 2>>"$WORK/log"
written=$(grep -c '^000000 ' "$WORK/answers.txt")
read=$(tshark -r "$WORK/answers.pcap" -Y sip.Status-Code -T fields -e sip.Status-Code 2>/dev/null | wc -l)
check "all $written are SIP responses to tshark ($read)" test "$written" = "$read"
malformed=$(tshark -r "$WORK/answers.pcap" -Y '_ws.malformed' 2>/dev/null)
check "none is malformed" test -z "$malformed"
[ $FAILED = 0 ] || { echo "$malformed"; tail -20 "$WORK/log"; }
exit $FAILED
