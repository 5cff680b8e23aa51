#!/usr/bin/env bash
# Calls that nobody answers: busy, given up by the caller, a number that is not ours, silence everywhere.
. "$(dirname "$0")/lib.sh"
begin refused
RING=2s
start_leaseline

company uas_busy
caller uac_busy
both "busy"
ended "busy" '.outcome == "busy" and .sip_status == 486 and .recording.state == "off"'

TALK=500
company uas_ring
caller uac_cancel
both "cancelled"
ended "cancelled" '.outcome == "cancelled" and .hangup_by == "caller"'

company uas_ring
caller uac_no_answer
both "no answer"
ended "no answer" '.outcome == "no_answer"'

DIAL=+442079461999
caller uac_not_found
check "a number that is not ours: the caller is told" test "$CALLER_EXIT" = 0
quiet
stop_leaseline
