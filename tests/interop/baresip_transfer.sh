#!/usr/bin/env bash
# baresip is the company's phone: it holds and resumes, presses a key, which its caller (another baresip) hears by RFC
# 4733, and transfers its caller blindly to a third one, which we carry out. Recording and attribution go on; the three are
# found in their channels.
. "$(dirname "$0")/lib.sh"
begin baresip_transfer
# baresip names the machine's outer address in its description and sends from 127.0.0.1: a phone behind NAT.
NAT=true
CALLER=127.0.0.1 SOURCE=127.0.0.1
PORT=$((31000 + $$ % 400 * 6))
FORWARD="\"sip:desk@127.0.0.1:$PORT\""
COMPANY_EXTRA='transfer = "local"'
start_leaseline
baresip_home desk "127.0.0.1:$PORT" 1100 28000-28398 ";answermode=auto"
baresip_home second "127.0.0.1:$((PORT + 2))" 700 28400-28798 ";answermode=auto"
PHONE_USER=+442079460990 baresip_home caller "127.0.0.1:$((PORT + 4))" 400 29000-29998
start_baresip desk 60
start_baresip second 60
start_baresip caller 60 -v
CALLER_PID=$PHONE_PID

order caller dial "sip:$NUMBER@$NODE:5060" >caller.order
check "the desk talks" heard desk "Call established"
event "answered" '.type == "leaseline.call.answered"'
sleep 2
order desk hold >desk.order
sleep 2
order desk resume >>desk.order
sleep 2
order desk sndcode 5 >>desk.order
sleep 1
order desk transfer "sip:second@127.0.0.1:$((PORT + 2))" >>desk.order
check "the second phone talks" heard second "Call established"
event "that is an event" '.type == "leaseline.call.transferred" and .data.kind == "blind"'
sleep 3
order caller hangup >>caller.order
ended "one call, transferred, attributed, recorded" '.outcome == "answered" and .hangup_by == "caller" and
    (.transfers | length) == 1 and .attribution.kind == "static" and .recording.state == "complete"'
ended "the hold is in the list of gaps" '[.recording.gaps[] | select(.channel == "caller" and .cause == "hold")] | length == 1'
check "the caller has heard the key" heard caller "received event: '5'"
tones left=400 right=1100+700 right!=400 longer=8.0
quiet
stop_leaseline
