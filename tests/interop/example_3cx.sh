#!/usr/bin/env bash
# The worked example for 3CX, with a SIPp that speaks as it does: a re-INVITE without description, hold, resume, and a transfer by
# REFER to another extension; recording and attribution stay with the caller.
. "$(dirname "$0")/lib.sh"
begin example_3cx
EXAMPLE=3cx
# SIPp's phones listen on 5080 here.
configuration() { example 3cx | sed "s/$COMPANY:5060/$COMPANY:5080/"; }
start_leaseline

# The extension that the transfer goes to.
TALK=1500
timeout 150 sipp -sf "$SCENARIOS/uas_bye.xml" -i "$COMPANY" -p 5090 -mp 23000 -m 1 -d "$TALK" -nostdin \
    -trace_err -error_file "$WORK/extension.errors" >extension.out 2>&1 &
EXTENSION_PID=$!
PIDS+=("$EXTENSION_PID")
wait_for_socket "$COMPANY:5090" "$EXTENSION_PID"
company uas_3cx
caller uac_wait_reinvite
both "hold, resume and transfer"
wait "$EXTENSION_PID"
check "the extension had the caller" test $? = 0
ended "one call with one transfer" '.outcome == "answered" and (.transfers | length) == 1 and .recording.state == "complete" and
    .attribution.kind == "static"'
tones left=400 right=1100
quiet

# The PBX's own call to us: challenged, and let in with its name and password.
company uas_answer
timeout 60 sipp -sf "$SCENARIOS/uac_login.xml" -i "$NET.30" -p 5070 -mp 22000 -s "$NUMBER" -m 1 -d 1000 -nostdin \
    -au office -ap "a long random text" -trace_err -error_file "$WORK/uac_login.errors" "$NODE:5060" >uac_login.out 2>&1
CALLER_EXIT=$?
[ $CALLER_EXIT = 0 ] || said uac_login
both "the PBX logs in and calls"
ended "a call of the PBX" '.outcome == "answered" and .trunk == "3cx"'
stop_leaseline
