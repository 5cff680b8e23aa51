#!/usr/bin/env bash
# The demo page, the page script and the console in headless Chromium, against a running `leaseline demo`.
. "$(dirname "$0")/../interop/lib.sh"
begin browser
# The demo listens where the built-in configuration says: 127.0.0.1:5060, :5080 and :8080.
"$LEASELINE" demo </dev/null >leaseline.log 2>&1 &
NODE_PID=$!
PIDS+=("$NODE_PID")
for _ in $(seq 200); do
    curl -sf -o /dev/null http://127.0.0.1:8080/readyz && break
    kill -0 "$NODE_PID" 2>/dev/null || break
    sleep 0.1
done
check "the pages work in a browser" node "$ROOT/tests/browser/run.mjs" http://127.0.0.1:8080
stop_leaseline
