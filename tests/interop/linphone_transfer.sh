#!/usr/bin/env bash
# linphone transfers its caller to a second linphone, which we carry out (`transfer = "local"`): blind by REFER, then
# attended, after it has spoken to the second one, by REFER with Replaces. Recording and attribution go on; what both
# phones play is found in the right channel, one after the other. The second one presses a key by SIP INFO, and the
# caller's side gets it.
. "$(dirname "$0")/lib.sh"
in_own_network
begin linphone_transfer
SOURCE=127.0.0.0/8 NAT=true FORWARD="\"sip:desk@127.0.0.1:27080\""
COMPANY_EXTRA='transfer = "local"'
start_leaseline
linphone_home desk 27080 1100
# The port of an address without one: to transfer, linphone names whom it spoke to as To has it.
linphone_home second 5060 700 $'use_info=1\nbind_address=127.0.0.1'
start_linphone desk
start_linphone second

# A caller of SIPp's: it takes what comes within the call and waits for the BYE.
calls() {
    timeout 60 sipp -sf "$SCENARIOS/uac_transferred.xml" -i 127.0.0.1 -p 5070 -mp 22000 -s "$NUMBER" -m 1 -nostdin \
        -trace_err -error_file "$WORK/caller.errors" -trace_msg -message_file "$WORK/$1.messages" "$NODE:5060" >"$1.out" 2>&1 &
    CALLER_PID=$!
    PIDS+=("$CALLER_PID")
}
content() {
    wait "$CALLER_PID"
    CALLER_EXIT=$?
    check "$1: the caller is content" test $CALLER_EXIT = 0
    [ $CALLER_EXIT = 0 ] || said "$1"
}

# ── blind ──
calls blind
check "the desk rings" heard desk "Receiving new incoming call"
tell desk answer
check "the desk talks" heard desk "connected"
sleep 2
tell desk "transfer sip:second@127.0.0.1"
check "the second phone rings" heard second "Receiving new incoming call"
tell second answer
check "the second phone talks" heard second "connected"
sleep 2
tell second 7
sleep 1
tell second terminate
content blind
ended "one call, transferred, attributed" '.outcome == "answered" and .hangup_by == "company" and
    .transfers[0].kind == "blind" and (.transfers | length) == 1 and .attribution.kind == "static" and
    .attribution.channel.source == "billboard" and .recording.state == "complete"'
# The caller has agreed on events in RTP, so that is how it is told.
ended "the key by INFO was heard" '[.dtmf[] | [.side, .digit]] == [["company", "7"]]'
check "and is no INFO for who wants none" test "$(grep -c "^INFO " blind.messages)" = 0
tones left=400 right=1100+700 longer=5.0
quiet

# ── attended ──
calls attended
check "the desk rings again" heard desk "Receiving new incoming call" 2
tell desk answer
sleep 2
tell desk pause
check "the desk holds its caller" heard desk "is now paused"
tell desk "call sip:second@127.0.0.1"
check "the second phone is asked" heard second "Receiving new incoming call" 2
tell second answer
sleep 2
tell desk calls
sleep 1
# The numbers of its calls, as its own list has them.
mapfile -t ids < <(tr '\r' '\n' <desk.log | sed -n 's/^ *\([0-9][0-9]*\) *| .*/\1/p' | sort -un | tail -2)
tell desk "transfer ${ids[0]:-} --to-call ${ids[1]:-}"
event "the second phone has the call" '.type == "leaseline.call.transferred" and .data.kind == "attended"'
sleep 2
tell second terminate
content attended
ended "transferred after a word" '.transfers[0].kind == "attended" and .attribution.kind == "static" and
    .recording.state == "complete"'
tones left=400 right=1100+700 longer=5.0
quiet
tell desk quit
tell second quit
stop_leaseline
