#!/usr/bin/env bash
# The worked example for FreeSWITCH, with a SIPp that speaks as it does: early media, a session timer, hold, resume, and a transfer by
# REFER to another extension; recording and attribution stay with the caller.
. "$(dirname "$0")/lib.sh"
begin example_freeswitch
EXAMPLE=freeswitch
start_leaseline

# The extension that the transfer goes to.
TALK=1500
timeout 150 sipp -sf "$SCENARIOS/uas_bye.xml" -i "$COMPANY" -p 5090 -mp 23000 -m 1 -d "$TALK" -nostdin \
    -trace_err -error_file "$WORK/extension.errors" >extension.out 2>&1 &
EXTENSION_PID=$!
PIDS+=("$EXTENSION_PID")
wait_for_socket "$COMPANY:5090" "$EXTENSION_PID"
company uas_freeswitch
caller uac_wait_reinvite
both "hold, resume and transfer"
wait "$EXTENSION_PID"
check "the extension had the caller" test $? = 0
ended "one call with one transfer" '.outcome == "answered" and (.transfers | length) == 1 and .recording.state == "complete" and
    .attribution.kind == "static"'
tones left=400 right=1100
quiet
stop_leaseline
