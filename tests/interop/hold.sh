#!/usr/bin/env bash
# Hold and resume by re-INVITE: both sides agree, and the held second is silence at its place.
. "$(dirname "$0")/lib.sh"
begin hold
start_leaseline
company uas_hold
caller uac_hold
both "hold and resume"
ended "answered" '.outcome == "answered"'
tones left=400 right!=400 length=3.0
quiet
stop_leaseline
