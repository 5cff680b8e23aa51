#!/usr/bin/env bash
# A border controller (SIPp) sends us the calls that it carries (SIPREC): both parties are recorded, each in its own
# channel, its pause is one of the recording, and the number of ours says whose call it is.
. "$(dirname "$0")/lib.sh"
begin siprec_server
TRUNK_EXTRA="siprec = true"
export RTP_SOURCE=$HERE/rtp_source.py
start_leaseline

caller uac_sbc
check "the border controller is content" test "$CALLER_EXIT" = 0
ended "recorded, attributed by the number that takes part" '.outcome == "answered" and .via == "siprec" and
    .number == "+442079460500" and .caller == "+447700900123" and .attribution.kind == "static" and
    .recording.state == "complete" and .talk_ms > 4500'
ended "who took part, and in which channel" '[.participants[] | [.address, .name, .channel]] == [
    ["tel:+442079460500", "Sales", "company"], ["sip:+447700900123@192.0.2.9", null, "caller"],
    ["sip:supervisor@192.0.2.9", "Ann", null]]'
ended "the pause is a gap of both" '[.recording.gaps[] | select(.cause == "hold" and .for_ms > 700 and .for_ms < 1300) |
    .channel] == ["caller", "company"]'
tones left=400 right=1100 left!=1100 right!=400 longer=4.5

# A trunk that may not.
stop_leaseline
rm -rf "$DATA"
TRUNK_EXTRA="" start_leaseline
# From other ports: SIPp keeps its own as long as what it started sends.
caller uac_sbc -p 5072 -mp 22100
check "without siprec = true: refused" test "$CALLER_EXIT" != 0
check "with 420" grep -q "420" uac_sbc.errors
quiet
stop_leaseline
