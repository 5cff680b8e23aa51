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

baresip_home company "$COMPANY:$COMPANY_PORT" 1100 28000-28998 ";answermode=auto"
PHONE_USER=+442079460990 baresip_home caller "$CALLER:$CALLER_PORT" 400 29000-29998
start_baresip company 40
start_baresip caller 8 -e "/dial sip:$NUMBER@$NODE:5060"
wait "$PHONE_PID"

ended "answered" '.outcome == "answered" and .media.codec == "PCMA"'
[ $FAILED = 0 ] || { for log in caller company; do tail -n 15 $log.log | tr "\r\033" "\n " | sed "s/^/# /"; done; }
tones left=400 right=1100 left!=1100 right!=400 longer=3.0
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
