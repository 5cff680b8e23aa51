#!/usr/bin/env bash
# Strangers send INVITEs as fast as RATE (50000) a second for FOR (10) seconds: they hear nothing, nothing is kept of
# them, and an honest call is set up at most EXTRA_MS (50) later than without them.
. "$(dirname "$0")/lib.sh"
begin flood
RECORDING=false
start_leaseline
memory() { awk '/VmRSS/ { print $2 }' "/proc/$NODE_PID/status"; }
before=$(memory)
timeout 60 python3 "$HERE/flood.py" --node "$NODE" --caller "$CALLER" --company "$COMPANY" --strangers "$NET" \
    --rate "${RATE:-50000}" --seconds "${FOR:-10}" --extra "${EXTRA_MS:-50}" | tee figures.txt
check "honest calls are set up in time and strangers hear nothing" test "${PIPESTATUS[0]}" = 0
after=$(memory)
# The honest calls hold some 34 KiB each for the 32 s of their transactions: 17 MiB of what comes on top.
check "memory is flat: $before KiB before, $after KiB after" test "$after" -lt $((before + 49152))
lines=$(wc -l <leaseline.log)
calls=$(grep -c ' call' leaseline.log)
check "$lines log lines, $calls of them of honest calls" test $((lines - calls)) -lt $((20 + ${FOR:-10}))
quiet
curl -sf "$API/metrics" | grep -E '^leaseline_sip_(dropped|kernel|queue|ban)' | sed 's/^/# /'
stop_leaseline
