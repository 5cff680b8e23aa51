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

# baresip on both sides, PCMA. It names the machine's outer address in SDP (192.0.2.2, RFC 5737, when the capture was
# made) and sends from 127.0.0.1: two phones behind NAT.
baresip() {
    begin baresip && place 14
    CALLER=127.0.0.1 COMPANY=127.0.0.1 NAT=true
    FORWARD="\"sip:company@127.0.0.1:28080\""
    start_leaseline
    capture baresip
    baresip_home company 127.0.0.1:28080 1100 28100-28198 ";answermode=auto"
    PHONE_USER=+442079460990 baresip_home caller 127.0.0.1:29080 400 29100-29198
    start_baresip company 20
    start_baresip caller 3 -e "/dial sip:$NUMBER@$NODE:5060"
    wait "$PHONE_PID"
    quiet
    keep baresip
    stop_leaseline
}

# linphone calls a SIPp, PCMU.
linphone() {
    in_own_network linphone
    begin linphone && place 15
    CALLER=127.0.0.1 NAT=true
    start_leaseline
    capture linphone
    company uas_answer
    PHONE_USER=+442079460990 linphone_home caller 27080 400
    start_linphone caller
    tell caller "call sip:$NUMBER@$NODE:5060"
    sleep 4
    tell caller terminate
    sleep 1
    tell caller quit
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
