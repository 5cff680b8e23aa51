#!/usr/bin/env bash
# Reliable provisional responses on both legs, each with its PRACK, and a session that is refreshed on one of them.
. "$(dirname "$0")/lib.sh"
begin reliable
start_leaseline
TALK=50000
company uas_reliable
caller uac_reliable
both "183 with PRACK, refreshed by UPDATE"
ended "answered after a reliable 183" '.outcome == "answered" and .hangup_by == "caller" and .talk_ms > 49000'
tones left=400 right=1100 length=50.0
quiet
stop_leaseline
