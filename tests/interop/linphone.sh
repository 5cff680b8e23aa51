#!/usr/bin/env bash
# linphone is the company's phone: it answers, holds and resumes, presses a key and hangs up. What it plays is found in
# the recording's right channel; hold and key stand in the list of gaps.
. "$(dirname "$0")/lib.sh"
in_own_network
begin linphone
SOURCE=127.0.0.0/8 NAT=true FORWARD="\"sip:{number}@127.0.0.1:27080\""
start_leaseline
linphone_home phone 27080 1100
start_linphone phone

"$LEASELINE" call "$NUMBER" --to "$NODE:5060" --for 30s --json >caller.json 2>caller.err &
CALLER_PID=$!
PIDS+=("$CALLER_PID")
check "linphone rings" heard phone "Receiving new incoming call"
tell phone answer
check "linphone talks" heard phone "Call .* with .* connected\|Media streams established"
sleep 3
tell phone pause
check "linphone holds" heard phone "Call .* is now paused\|Pausing call"
sleep 2
tell phone resume
check "linphone resumes" heard phone "resumed\|[Rr]esuming"
sleep 2
tell phone 5
sleep 1
tell phone terminate
wait "$CALLER_PID"
check "the caller saw the call through" test $? = 0
ended "answered, ended by the company" '.outcome == "answered" and .hangup_by == "company" and .recording.state == "complete"'
# linphone plays its file to whom it holds; the one who is held has to be quiet.
ended "the hold is in the list of gaps" '[.recording.gaps[] | select(.channel == "caller" and .cause == "hold")] | length >= 1'
ended "the key is in the list of gaps" '[.recording.gaps[] | select(.channel == "company" and .cause == "dtmf")] | length == 1'
tones right=1100 left!=1100
quiet
tell phone quit
stop_leaseline
