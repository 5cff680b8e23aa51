#!/usr/bin/env bash
# Two baresips through Leaseline, each playing a file: their content is found in its own channel.
#
# baresip 1.0 names the machine's outer address in its SDP and sends from 127.0.0.1 all the same: to Leaseline it is a
# phone behind NAT, and this is the test of NAT mode too.
. "$(dirname "$0")/lib.sh"
begin baresip
CALLER=127.0.0.1 COMPANY=127.0.0.1 NAT=true
# baresip takes the port above its own for TLS.
CALLER_PORT=$((30000 + $$ % 500 * 4)) COMPANY_PORT=$((30002 + $$ % 500 * 4))
FORWARD="\"sip:company@$COMPANY:$COMPANY_PORT\""
start_leaseline

# One folder of configuration each. aufile plays without a sound card.
baresip_home() {
    local name=$1 address=$2 port=$3 tone=$4 rtp=$5
    mkdir -p "$name"
    sox -q -n -r 8000 -c 1 -b 16 "$name/play.wav" synth 30 sine "$tone" vol 0.5
    cat >"$name/config" <<CONFIG
sip_listen              $address:$port
call_local_timeout      30
call_max_calls          4
audio_source            aufile,$WORK/$name/play.wav
audio_player            aufile,$WORK/$name/heard.wav
audio_alert             aufile,$WORK/$name/alert.wav
ausrc_srate             8000
auplay_srate            8000
rtp_ports               $rtp
module_path             $(dirname "$(find /usr/lib -name g711.so -path '*baresip*' | head -1)")
module                  g711.so
module                  aufile.so
module_app              account.so
module_app              menu.so
CONFIG
    : >"$name/contacts"
}

baresip_home company "$COMPANY" "$COMPANY_PORT" 1100 28000-28998
baresip_home caller "$CALLER" "$CALLER_PORT" 400 29000-29998
echo "<sip:company@$COMPANY:$COMPANY_PORT>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1" >company/accounts
echo "<sip:+442079460990@$CALLER:$CALLER_PORT>;regint=0;audio_codecs=PCMA/8000/1" >caller/accounts

timeout 60 baresip -f "$WORK/company" -t 40 >company.log 2>&1 &
PIDS+=($!)
wait_for_socket "$COMPANY:$COMPANY_PORT" $!
timeout 60 baresip -f "$WORK/caller" -t 8 -e "/dial sip:$NUMBER@$NODE:5060" >caller.log 2>&1 &
BARESIP=$!
PIDS+=("$BARESIP")
wait "$BARESIP"

ended "answered" '.outcome == "answered" and .media.codec == "PCMA"'
[ $FAILED = 0 ] || { for log in caller company; do tail -n 15 $log.log | tr "\r\033" "\n " | sed "s/^/# /"; done; }
tones left=400 right=1100 left!=1100 right!=400 longer=3.0
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
