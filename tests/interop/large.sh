#!/usr/bin/env bash
# Requests too large for a datagram (RFC 3261 section 18.1.1): over TCP to who takes it, by UDP to who does not.
. "$(dirname "$0")/lib.sh"
begin large
# A header that makes every INVITE to the company larger than 1,300 bytes.
TRUNK_EXTRA="[trunk.headers]
add = { X-Long = \"$(printf 'x%.0s' $(seq 900))\" }"
start_leaseline
company uas_answer -t t1
caller uac_answer
both "a company that takes TCP only, though its URI says nothing"
ended "answered over TCP" '.outcome == "answered"'
company uas_answer
caller uac_answer
both "a company that takes no TCP"
ended "answered by UDP" '.outcome == "answered"' 2
quiet
stop_leaseline
