#!/usr/bin/env bash
# baresip presses keys, by RFC 4733 as somebody else wrote it: each is told once, with who pressed it; `*7` of the company
# pauses the recording and `*8` lets it go on, `*7` of the caller does nothing, and what is pressed meanwhile is masked.
. "$(dirname "$0")/lib.sh"
begin dtmf_pause
# baresip names the machine's outer address in its description and sends from 127.0.0.1: a phone behind NAT.
NAT=true
CALLER=127.0.0.1 SOURCE=127.0.0.1
PORT=$((31000 + $$ % 400 * 6))
FORWARD="\"sip:desk@127.0.0.1:$PORT\""
start_leaseline
baresip_home desk "127.0.0.1:$PORT" 1100 28000-28398 ";answermode=auto"
PHONE_USER=+442079460990 baresip_home caller "127.0.0.1:$((PORT + 2))" 400 29000-29998
start_baresip desk 60
start_baresip caller 60 -v

# press NAME KEYS: one after the other.
press() {
    local i
    for ((i = 0; i < ${#2}; i++)); do
        order "$1" sndcode "${2:i:1}" >>"$1.order"
        sleep 0.4
        # Not every version lets a key go by itself.
        order "$1" sndcode $'\x04' >>"$1.order"
        sleep 0.1
    done
}

order caller dial "sip:$NUMBER@$NODE:5060" >caller.order
check "the desk talks" heard desk "Call established"
event "answered" '.type == "leaseline.call.answered"'
sleep 1
press caller "1*7"
press desk "*7"
event "the recording pauses by the company's keys" \
    '.type == "leaseline.recording.paused" and .data.by == "company_keys"'
press caller "42"
press desk "*8"
event "and goes on" '.type == "leaseline.recording.resumed" and .data.by == "company_keys"'
press caller "3"
sleep 1
order caller hangup >>caller.order
ended "every key once" '(.dtmf | map(select(.side == "caller") | .digit // "masked") | join(" ")) ==
    "1 * 7 masked masked 3" and (.dtmf | map(select(.side == "company") | .digit // "masked") | join(" ")) ==
    "* 7 masked masked"'
ended "keys have a length" '[.dtmf[] | select(.for_ms >= 20 and .for_ms < 2000)] | length == 10'
ended "the pause is in the list of gaps" '[.recording.gaps[] | select(.cause == "pause")] | length == 2'
[ $FAILED = 0 ] || jq -c 'select(.type == "leaseline.call.ended") | .data.dtmf' "$DATA/events.jsonl" | sed 's/^/# /'
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
