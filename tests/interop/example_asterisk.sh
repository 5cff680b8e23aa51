#!/usr/bin/env bash
# A real Asterisk is the company's PBX: it answers, plays a tone, holds nobody, and hangs up; then it refuses; then a
# caller hangs up. Its OPTIONS (qualify) are answered, so it counts us among the reachable.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers/asterisk.sh"
asterisk_present
begin asterisk
PBX=$NET.20
mkdir -p ast
cat >ast/pjsip.conf <<CONF
[transport-udp]
type=transport
protocol=udp
bind=$PBX:5060
[leaseline]
type=endpoint
transport=transport-udp
context=from-leaseline
disallow=all
allow=alaw
allow=ulaw
aors=leaseline
trust_id_inbound=yes
direct_media=no
[leaseline]
type=aor
contact=sip:$NODE:5060
qualify_frequency=1
[leaseline]
type=identify
endpoint=leaseline
match=$NODE
CONF
cat >ast/extensions.conf <<'CONF'
[from-leaseline]
exten => +442079460500,1,Verbose(0,SEEN caller=${CALLERID(num)} name=${CALLERID(name)} source=${PJSIP_HEADER(read,X-Leaseline-Source)})
 same => n,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,PlayTones(1100)
 same => n,Wait(3)
 same => n,Hangup()
exten => +442079460000,1,Hangup(17)
exten => +442079460001,1,Answer()
 same => n,PlayTones(1100)
 same => n,Wait(60)
CONF
FORWARD="\"sip:{number}@$PBX:5060\""
start_asterisk "$PBX"
start_leaseline

caller uac_wait_bye
check "Asterisk answers, plays and hangs up: the caller is content" test "$CALLER_EXIT" = 0
ended "answered, ended by the company" '.outcome == "answered" and .hangup_by == "company" and .recording.state == "complete" and
    .ring_ms > 500 and .talk_ms > 2500 and .talk_ms < 4000'
tones left=400 right=1100 left!=1100 right!=400
check "Asterisk sees the caller and the source" grep -q 'SEEN caller=+44.* source=billboard' ast-run/log/full

DIAL=+442079460000 caller uac_busy
check "busy crosses" test "$CALLER_EXIT" = 0
ended "busy" '.outcome == "busy"'

TALK=2000
DIAL=+442079460001 caller uac_answer
check "the caller hangs up on Asterisk" test "$CALLER_EXIT" = 0
ended "answered, ended by the caller" '.outcome == "answered" and .hangup_by == "caller"'
quiet
check "Asterisk reaches us with OPTIONS" \
    bash -c "LD_LIBRARY_PATH=$AST_LIBRARIES $AST_HOME/root/usr/sbin/asterisk -C $WORK/ast/asterisk.conf -rx 'pjsip show contacts' | grep -q Avail"
stop_leaseline
