#!/usr/bin/env bash
# 3 % of all SIP messages get lost on both sides: every call comes through all the same.
. "$(dirname "$0")/lib.sh"
begin loss
RECORDING=false

# SIPp ends with 1 when a single call failed.
content_with_99() {
    local good
    good=$(awk '/Successful call/ {n = $NF} END {print n + 0}' FS='|' "$WORK/uac_load.out")
    echo "# $good of $CALLS calls succeeded"
    [ "$good" -ge $((CALLS * 99 / 100)) ]
}

start_leaseline
CALLS=200 TALK=1000
company uas_load -lost 3
caller uac_load -lost 3 -r 10
check "the caller is content with 99 % of its calls" content_with_99
# SIPp's company counts a call whose last 200 was lost as unfinished: it is not asked.
kill "$COMPANY_PID" 2>/dev/null
ended "every call ended once" 'true' 200
quiet
stop_leaseline
