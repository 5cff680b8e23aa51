#!/usr/bin/env bash
# Makes the captures of this folder again: independent phones (SIPp, baresip, linphone) over loopback, through the real
# program or directly. Each run gives other identifiers, times and hashes: afterwards take the hashes that it prints
# and the figures that tests/replay.rs sees into manifest.toml, look at them, and accept the new snapshots.
#
#   pcap-fixtures/make.sh [NAME…]      all, or these
#   LEASELINE=path                     the program (default: target/release/leaseline of this checkout)
#
# Needs tcpdump with the right to capture on lo, tshark and editcap, sip-tester, baresip-core, linphone-cli, sox, jq.
. "$(dirname "$0")/../tests/interop/lib.sh"
OUT=$ROOT/pcap-fixtures
OWN=$OUT/sipp
BARESIP=$(command -v baresip)

# place N: everybody gets an address of 127.200.N.0/24, the same in every run.
place() {
    NET=127.200.$1
    NODE=$NET.1 CALLER=$NET.2 COMPANY=$NET.3 SECOND=$NET.4
    API=http://$NODE:8080
}

capture() {
    tcpdump -i lo -U --immediate-mode -w "$WORK/$1.pcap" -Z root "net $NET.0/24 and (udp or icmp or port 5060) and not port 8080" \
        2>tcpdump.log &
    TCPDUMP=$!
    PIDS+=("$TCPDUMP")
    local i
    for i in $(seq 100); do grep -q 'listening on' tcpdump.log && return; sleep 0.05; done
    not_ok "tcpdump captures"
    exit 1
}

keep() {
    sleep 0.5
    kill -INT "$TCPDUMP" && wait "$TCPDUMP"
    [ $FAILED = 0 ] || return
    cp "$WORK/$1.pcap" "$OUT/$1.pcap"
    echo "# $1.pcap $(stat -c %s "$OUT/$1.pcap") bytes sha256 $(sha256sum "$OUT/$1.pcap" | cut -d' ' -f1)"
}

# one NAME N COMPANY-SCENARIO CALLER-SCENARIO: one call of two SIPps through Leaseline.
one() {
    begin "$1" && place "$2"
    start_leaseline
    capture "$1"
    company "$3"
    caller "$4"
    both "$1"
    quiet
    keep "$1"
    stop_leaseline
}

answered() { TALK=2000 one answered 1 uas_answer uac_answer; }
early_media() { TALK=1500 one early-media 2 uas_early uac_early; }
cancelled() { TALK=800 one cancelled 3 uas_ring uac_cancel; }
busy() { one busy 4 uas_busy uac_busy; }
hold() { one hold-resume 5 uas_hold uac_hold; }
company_hangs_up() { TALK=1000 one company-hangs-up 6 uas_bye uac_wait_bye; }

dtmf() {
    begin dtmf && place 7
    cp "$HERE/sipp/uas_answer.xml" "$OWN/uac_dtmf.xml" "$WORK"
    # SIPp's own recording of RFC 4733 packets.
    cp /usr/share/sip-tester/dtmf_2833_5.pcap "$WORK"
    SCENARIOS=$WORK
    start_leaseline
    capture dtmf
    company uas_answer
    caller uac_dtmf
    both dtmf
    keep dtmf
    stop_leaseline
}

# The first destination is busy, the second answers.
next_destination() {
    begin next-destination && place 8
    FORWARD="\"sip:first@$COMPANY:5080\", \"sip:second@$SECOND:5080\""
    TALK=1000
    start_leaseline
    capture next-destination
    company uas_busy
    FIRST=$COMPANY_PID
    company_at "$SECOND" uas_answer
    caller uac_answer
    both next-destination
    wait "$FIRST"
    keep next-destination
    stop_leaseline
}

# Nobody is at the first destination (ICMP port unreachable), the second does not answer in time, the third does.
ring_timeout() {
    begin ring-timeout && place 9
    RING=1500ms TALK=1000
    FORWARD="\"sip:nobody@$NET.5:5080\", \"sip:first@$COMPANY:5080\", \"sip:second@$SECOND:5080\""
    start_leaseline
    capture ring-timeout
    company uas_ring
    FIRST=$COMPANY_PID
    company_at "$SECOND" uas_answer
    caller uac_answer
    both ring-timeout
    wait "$FIRST"
    keep ring-timeout
    stop_leaseline
}

# Every 25th RTP packet of the caller and ten in a row of the company are taken out of a capture like `answered`.
loss() {
    begin loss && place 10
    TALK=2500
    start_leaseline
    capture whole
    company uas_answer
    caller uac_answer
    both loss
    sleep 0.5
    kill -INT "$TCPDUMP" && wait "$TCPDUMP"
    local caller company
    caller=$(tshark -r whole.pcap -Y "ip.src == $CALLER and udp.srcport == 22000" -T fields -e frame.number \
        2>/dev/null | awk 'NR % 25 == 0')
    company=$(tshark -r whole.pcap -Y "ip.src == $COMPANY and udp.srcport == 21000" -T fields -e frame.number \
        2>/dev/null | awk 'NR > 40 && NR <= 50')
    # shellcheck disable=SC2086 # one word each
    editcap -F pcap whole.pcap loss.pcap $caller $company
    TCPDUMP=0
    cp loss.pcap "$OUT/loss.pcap"
    echo "# loss.pcap without $(echo "$caller" | wc -l) + $(echo "$company" | wc -l) packets" \
        "sha256 $(sha256sum loss.pcap | cut -d' ' -f1)"
    stop_leaseline
}

# SIPp throws away a third of the SIP messages it sends or gets: retransmissions of both sides.
sip_loss() {
    begin sip-loss && place 11
    TALK=1000
    start_leaseline
    capture sip-loss
    company uas_answer -lost 30
    caller uac_answer -lost 30
    both sip-loss
    keep sip-loss
    stop_leaseline
}

# Two phones without anything between them, as pcapng.
direct() {
    begin direct && place 12
    TALK=1500
    capture direct
    company uas_early
    timeout 60 sipp -sf "$SCENARIOS/uac_early.xml" -i "$CALLER" -p 5070 -mp 22000 -s "$NUMBER" -m 1 -d 1500 -nostdin \
        "$COMPANY:5080" >direct.out 2>&1
    CALLER_EXIT=$?
    both direct
    sleep 0.5
    kill -INT "$TCPDUMP" && wait "$TCPDUMP"
    editcap -F pcapng direct.pcap "$OUT/direct.pcapng"
    echo "# direct.pcapng sha256 $(sha256sum "$OUT/direct.pcapng" | cut -d' ' -f1)"
}

# SIP over TCP on the caller's leg; two calls at once.
tcp() {
    begin tcp && place 13
    TALK=1000 CALLS=2
    start_leaseline
    capture tcp
    company uas_answer
    caller uac_answer -t t1 -r 10
    both tcp
    keep tcp
    stop_leaseline
}

# baresip_home NAME ADDRESS TONE PORTS: a folder of configuration. aufile plays without a sound card.
baresip_home() {
    local name=$1 address=$2 tone=$3 rtp=$4
    mkdir -p "$name"
    sox -q -n -r 8000 -c 1 -b 16 "$name/play.wav" synth 30 sine "$tone" vol 0.5
    cat >"$name/config" <<CONFIG
sip_listen              $address
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
module                  auconv.so
module                  auresamp.so
module_app              account.so
module_app              menu.so
CONFIG
    : >"$name/contacts"
}

# baresip on both sides, PCMA. It names the machine's outer address in SDP (192.0.2.2, RFC 5737, when the capture was
# made) and sends from 127.0.0.1: two phones behind NAT.
baresip() {
    begin baresip && place 14
    CALLER=127.0.0.1 COMPANY=127.0.0.1 NAT=true
    FORWARD="\"sip:company@127.0.0.1:28080\""
    start_leaseline
    capture baresip
    baresip_home company 127.0.0.1:28080 1100 28000-28098
    baresip_home caller 127.0.0.1:29080 400 29000-29098
    echo "<sip:company@127.0.0.1:28080>;regint=0;answermode=auto;audio_codecs=PCMA/8000/1" >company/accounts
    echo "<sip:+442079460990@127.0.0.1:29080>;regint=0;audio_codecs=PCMA/8000/1" >caller/accounts
    timeout 60 "$BARESIP" -f "$WORK/company" -t 20 >company.log 2>&1 &
    PIDS+=($!)
    wait_for_socket 127.0.0.1:28080 $!
    timeout 60 "$BARESIP" -f "$WORK/caller" -t 3 -e "/dial sip:$NUMBER@$NODE:5060" >caller.log 2>&1
    quiet
    keep baresip
    stop_leaseline
}

# linphone calls a SIPp, PCMU. In a network namespace of its own (needs root): linphone would put an outer IPv6 address
# into its SDP.
linphone() {
    if [ -z "${ALONE:-}" ]; then
        ALONE=1 exec unshare --net bash -c 'ip link set lo up && exec "$0" linphone' "$OUT/make.sh"
    fi
    begin linphone && place 15
    CALLER=127.0.0.1 NAT=true
    start_leaseline
    capture linphone
    company uas_answer
    sox -q -n -r 8000 -c 1 -b 16 play.wav synth 30 sine 400 vol 0.5
    mkdir -p linphone/.local/share/linphone linphone/.config/linphone
    cat >linphone/rc <<CONFIG
[sip]
use_ipv6=0
sip_port=27080
sip_tcp_port=0
contact="Caller" <sip:+442079460990@127.0.0.1>
media_encryption=none
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
    (
        sleep 1; echo "soundcard use files"; echo "play $WORK/play.wav"; echo "call sip:$NUMBER@$NODE:5060"
        sleep 4; echo terminate; sleep 1; echo quit
    ) | HOME=$WORK/linphone timeout 30 linphonec -c "$WORK/linphone/rc" >caller.log 2>&1
    quiet
    keep linphone
    stop_leaseline
}

ALL=(answered early_media cancelled busy hold company_hangs_up dtmf next_destination ring_timeout loss sip_loss direct
    tcp baresip linphone)
[ $# = 0 ] && set -- "${ALL[@]}"
CODE=0
for name in "$@"; do ( "$name" ) || CODE=1; done
exit $CODE
