#!/usr/bin/env bash
# A caller whose trunk speaks of keys in INFO, and baresip at the desk, which hears events in RTP (RFC 4733) and nothing else:
# what the caller tells is heard at the desk, what the desk presses is told to the caller, and the audio goes on
# behind the keys.
. "$(dirname "$0")/lib.sh"
begin dtmf_info
NAT=true
PORT=$((31000 + $$ % 400 * 6))
FORWARD="\"sip:desk@127.0.0.1:$PORT\""
TRUNK_EXTRA='dtmf = "info"'
start_leaseline
baresip_home desk "127.0.0.1:$PORT" 1100 28000-28398 ";answermode=auto"
sed -i s/PCMA/PCMU/ desk/accounts
start_baresip desk 60 -v

start_caller uac_keys
check "the desk talks" heard desk "Call established"
check "the desk hears the first key" heard desk "received event: '5' (end=1)"
check "and the second" heard desk "received event: '#' (end=1)"
sleep 1.5
order desk sndcode 7 >desk.order
sleep 0.4
# This version does not let a key go by itself.
order desk sndcode $'\x04' >>desk.order
wait "$CALLER_PID"
check "the caller is content: its keys are taken, and it is told of the desk's" test $? = 0
ended "every key once" '[.dtmf[] | [.side, .digit]] == [["caller", "5"], ["caller", "#"], ["company", "7"]]'
ended "keys have their lengths" '.dtmf[0].for_ms == 160 and .dtmf[2].for_ms > 100'
tones left=400 right=1100
quiet
stop_leaseline
