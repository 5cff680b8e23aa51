#!/usr/bin/env bash
# The worked example for 3CX, with a SIPp that speaks as it does: a re-INVITE without description, hold and resume, and a
# call of its own, for which it logs in.
. "$(dirname "$0")/lib.sh"
begin example_3cx
EXAMPLE=3cx
# SIPp's phones listen on 5080 here.
configuration() { example 3cx | sed "s/$COMPANY:5060/$COMPANY:5080/"; }
start_leaseline

company uas_3cx
caller uac_wait_reinvite
both "hold and resume"
ended "answered, held, ended by the company" '.outcome == "answered" and .hangup_by == "company" and
    .recording.state == "complete" and .attribution.kind == "static"'
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
