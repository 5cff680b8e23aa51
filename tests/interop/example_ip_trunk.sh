#!/usr/bin/env bash
# The worked example of a carrier that knows us by our address: its calls come in whatever form the number has, strangers
# hear nothing, and when the carrier does not answer our OPTIONS that is an event.
. "$(dirname "$0")/lib.sh"
begin ip_trunk
EXAMPLE=ip-trunk
# The example's PBX listens where SIPp does here.
PBX=$COMPANY
configuration() { example ip-trunk | sed -e "s/$COMPANY:5060/$COMPANY:5080/; s/every = \"30s\"/every = \"5s\"\ntimeout = \"1s\"/"; }
start_leaseline

TALK=1000
for number in +442079460500 02079460500 00442079460500; do
    company uas_answer
    DIAL=$number caller uac_answer
    both "$number is answered"
done
ended "three calls of one number" '.outcome == "answered" and .number == "+442079460500" and .trunk == "carrier"' 3

# Somebody else at the same port: not a byte comes back.
check "a stranger hears nothing" python3 - "$NET.77" "$NODE" <<'PY'
import socket, sys
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stranger.bind((sys.argv[1], 5070))
stranger.settimeout(1.5)
lines = ["INVITE sip:+442079460500@%s SIP/2.0" % sys.argv[2], "Via: SIP/2.0/UDP %s:5070;branch=z9hG4bKx" % sys.argv[1],
         "From: <sip:x@%s>;tag=1" % sys.argv[1], "To: <sip:+442079460500@%s>" % sys.argv[2], "Call-ID: x", "CSeq: 1 INVITE",
         "Contact: <sip:x@%s:5070>" % sys.argv[1], "Max-Forwards: 70", "Content-Length: 0", "", ""]
stranger.sendto("\r\n".join(lines).encode(), (sys.argv[2], 5060))
try:
    stranger.recv(65536)
    sys.exit(1)
except TimeoutError:
    pass
PY
event "the carrier that answers no OPTIONS is down" '.type == "leaseline.trunk.down"'
quiet
stop_leaseline
