#!/usr/bin/env bash
# A call is answered, both sides are heard and recorded; the caller hangs up, then the company does.
. "$(dirname "$0")/lib.sh"
begin answer
start_leaseline

TALK=3000
company uas_answer
caller uac_answer
both "the caller hangs up"
ended "answered, ended by the caller" '.outcome == "answered" and .sip_status == 200 and .hangup_by == "caller" and
    .number == "+442079460500" and .attribution.kind == "static" and .recording.state == "complete" and
    .talk_ms > 2500 and .talk_ms < 4500'
tones left=400 right=1100 left!=1100 right!=400 length=3.0

company uas_bye
caller uac_wait_bye
both "the company hangs up"
ended "answered, ended by the company" '.outcome == "answered" and .hangup_by == "company"'
event "one start, one answer a call" '.type == "leaseline.call.started" or .type == "leaseline.call.answered"' 4
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
