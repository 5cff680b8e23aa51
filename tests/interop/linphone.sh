#!/usr/bin/env bash
# linphone is the company's phone: it answers, holds and resumes, presses a key and hangs up. What it plays is found in
# the recording's right channel; hold and key stand in the list of gaps. In a network namespace of its own, because linphone would put
# an outer address into its description; without the right to make one the script is skipped.
if [ -z "${ALONE:-}" ]; then
    unshare --net true 2>/dev/null || { echo "no right to make a network namespace"; exit 77; }
    command -v linphonec >/dev/null || { echo "linphonec is not installed"; exit 77; }
    ALONE=1 exec unshare --net bash -c 'ip link set lo up && exec bash "$0"' "$(readlink -f "$0")"
fi
. "$(dirname "$0")/lib.sh"
begin linphone
SOURCE=127.0.0.0/8 NAT=true FORWARD="\"sip:{number}@127.0.0.1:27080\""
start_leaseline
sox -q -n -r 8000 -c 1 -b 16 play.wav synth 40 sine 1100 vol 0.5
mkdir -p home/.local/share/linphone home/.config/linphone
cat >linphone.rc <<CONFIG
[sip]
use_ipv6=0
sip_port=27080
sip_tcp_port=0
contact="Company" <sip:company@127.0.0.1>
media_encryption=none
use_info=0
use_rfc2833=1
[rtp]
audio_rtp_port=27100
[net]
firewall_policy=0
[sound]
echocancellation=0
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
[audio_codec_1]
mime=PCMA
rate=8000
channels=1
enabled=1
CONFIG
mkfifo orders
HOME=$WORK/home timeout 60 linphonec -c "$WORK/linphone.rc" <orders >linphone.log 2>&1 &
PHONE_PID=$!
PIDS+=("$PHONE_PID")
exec 9>orders
for _ in $(seq 100); do ss -Hlnu | grep -q ':27080 ' && break; sleep 0.1; done
tell() { echo "$*" >&9; }
# said_within PATTERN: linphone has printed it within 10 s.
said_within() {
    local i
    for i in $(seq 100); do grep -q "$1" linphone.log && return; sleep 0.1; done
    return 1
}
tell "soundcard use files"
tell "play $WORK/play.wav"

"$LEASELINE" call "$NUMBER" --to "$NODE:5060" --for 30s --json >caller.json 2>caller.err &
CALLER_PID=$!
PIDS+=("$CALLER_PID")
check "linphone rings" said_within "Receiving new incoming call"
tell answer
check "linphone talks" said_within "Call .* with .* connected\|Media streams established"
sleep 3
tell pause
check "linphone holds" said_within "Call .* is now paused\|Pausing call"
sleep 2
tell resume
check "linphone resumes" said_within "resumed\|[Rr]esuming"
sleep 2
tell 5
sleep 1
tell terminate
wait "$CALLER_PID"
check "the caller saw the call through" test $? = 0
ended "answered, ended by the company" '.outcome == "answered" and .hangup_by == "company" and .recording.state == "complete"'
# linphone plays its file to whom it holds; the one who is held has to be quiet.
ended "the hold is in the list of gaps" '[.recording.gaps[] | select(.channel == "caller" and .cause == "hold")] | length >= 1'
ended "the key is in the list of gaps" '[.recording.gaps[] | select(.channel == "company" and .cause == "dtmf")] | length == 1'
tones right=1100 left!=1100
quiet
tell quit
stop_leaseline
