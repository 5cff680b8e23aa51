#!/usr/bin/env bash
# What was said in a call: the ladder, the capture that tshark reads, and the copies for a HEP capture server.
. "$(dirname "$0")/lib.sh"
begin trace
HEP=$NET.9
EXTRA=$(printf '[trace.hep]\naddress = "%s:9060"\ncapture_id = 77\npassword = "hep-secret"\n' "$HEP")
# A capture server of the script's own: it keeps the datagrams as tshark saw them.
python3 - "$HEP" "$WORK/hep.bin" <<'PY' &
import socket, struct, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 9060))
server.settimeout(60)
with open(sys.argv[2], "wb", buffering=0) as out:
    while True:
        packet = server.recv(65536)
        # One line a packet: chunk number and value in hexadecimal.
        rest, chunks = packet[6:], []
        while len(rest) >= 6:
            _, kind, length = struct.unpack(">HHH", rest[:6])
            chunks.append("%d=%s" % (kind, rest[6:length].hex()))
            rest = rest[length:]
        out.write((" ".join(chunks) + "\n").encode())
PY
HEP_PID=$!
PIDS+=("$HEP_PID")
wait_for_socket "$HEP:9060" "$HEP_PID"
start_leaseline

TALK=1000
company uas_answer
caller uac_answer
both "a call"
ended "it is answered" '.outcome == "answered"'
quiet
ID=$(jq -r 'select(.type == "leaseline.call.ended") | .data.call_id' "$DATA/events.jsonl" | tail -1)

"$LEASELINE" trace --config leaseline.toml >list.txt
check "the list names the call" grep -q "$ID" list.txt
"$LEASELINE" trace last --config leaseline.toml >ladder.txt
check "the ladder has both legs' INVITE" test "$(grep -c 'INVITE sip:' ladder.txt)" = 2
check "the ladder has both BYEs" test "$(grep -c 'BYE sip:' ladder.txt)" = 2
"$LEASELINE" trace "$ID" --config leaseline.toml --out call.pcap
check "tshark reads two INVITEs" test "$(tshark -n -r call.pcap -Y 'sip.Method == "INVITE"' 2>/dev/null | wc -l)" = 2
check "tshark finds nothing malformed" test "$(tshark -n -r call.pcap -Y '_ws.malformed' 2>/dev/null | wc -l)" = 0
check "tshark reads every message as SIP" \
    test "$(tshark -n -r call.pcap 2>/dev/null | wc -l)" = "$(tshark -n -r call.pcap -Y sip 2>/dev/null | wc -l)"
check "a call that is not known is an error" bash -c '! "$0" trace 00000000000000000000000000000000 --config leaseline.toml 2>/dev/null' "$LEASELINE"

MESSAGES=$(tshark -n -r call.pcap 2>/dev/null | wc -l)
check "the capture server has every message" test "$(wc -l <hep.bin)" -ge "$MESSAGES"
check "they name this node" test "$(grep -c '12=0000004d' hep.bin)" = "$(wc -l <hep.bin)"
check "they carry the password" test "$(grep -c "14=$(printf hep-secret | xxd -p)" hep.bin)" = "$(wc -l <hep.bin)"
check "both legs have the call's correlation" \
    test "$(grep -c "17=$(printf '%s' "$ID" | xxd -p -c 200)" hep.bin)" -ge $((MESSAGES - 1))
stop_leaseline
check "the password is not in the log" bash -c '! grep -q hep-secret leaseline.log effective.toml'
