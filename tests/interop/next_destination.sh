#!/usr/bin/env bash
# The first destination is silent, busy or not there: the second one gets the call.
. "$(dirname "$0")/lib.sh"
begin next_destination
RING=2s
FORWARD="\"sip:first@$COMPANY:5080\", \"sip:second@$SECOND:5080\""
start_leaseline

company uas_ring
FIRST=$COMPANY_PID
company_at "$SECOND" uas_answer
caller uac_answer
both "after the ring time"
wait "$FIRST"
check "the first destination was cancelled" test $? = 0
ended "the second destination answered" '.outcome == "answered" and (.forwarded_to | contains("second@"))'

company uas_busy
FIRST=$COMPANY_PID
company_at "$SECOND" uas_answer
caller uac_answer
both "after busy"
wait "$FIRST"
ended "again" '.outcome == "answered" and (.forwarded_to | contains("second@"))' 2

# Nobody listens at the first one: the kernel says so, or T1 runs out.
company_at "$SECOND" uas_answer
caller uac_answer
both "after nobody"
ended "and again" '.outcome == "answered" and (.forwarded_to | contains("second@"))' 3
quiet
stop_leaseline
