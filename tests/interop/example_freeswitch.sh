#!/usr/bin/env bash
# The worked example for FreeSWITCH, with a SIPp that speaks as it does: early media, a session timer, hold and resume;
# recording and attribution stay with the caller.
. "$(dirname "$0")/lib.sh"
begin example_freeswitch
EXAMPLE=freeswitch
start_leaseline

company uas_freeswitch
caller uac_wait_reinvite
both "hold and resume"
ended "answered, held, ended by the company" '.outcome == "answered" and .hangup_by == "company" and
    .recording.state == "complete" and .attribution.kind == "static"'
tones left=400 right=1100
quiet
stop_leaseline
