#!/usr/bin/env bash
# 50 calls a second for a minute: no call is lost, none is left over. SECONDS_OF_LOAD shortens it.
. "$(dirname "$0")/lib.sh"
begin load
RECORDING=false
start_leaseline
CALLS=$((50 * ${SECONDS_OF_LOAD:-60})) TALK=2000
company uas_load
caller uac_load -r 50
both "$CALLS calls"
ended "every call was answered and ended once" '.outcome == "answered"' "$CALLS"
ended "and nothing else ended" 'true' "$CALLS"
quiet
stop_leaseline
