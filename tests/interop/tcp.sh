#!/usr/bin/env bash
# SIP over TCP: the caller's leg, then both legs.
. "$(dirname "$0")/lib.sh"
begin tcp
start_leaseline
company uas_answer
caller uac_answer -t t1
both "the caller over TCP"
ended "answered" '.outcome == "answered"'
stop_leaseline

FORWARD="\"sip:{number}@$COMPANY:5080;transport=tcp\""
start_leaseline
company uas_answer -t t1
caller uac_answer -t t1
both "both over TCP"
ended "answered over TCP" '.outcome == "answered"' 2
tones left=400 right=1100
quiet
stop_leaseline
