#!/usr/bin/env bash
# The worked example for Asterisk, with a real Asterisk: it answers, plays a tone and hangs up; it is busy; the caller hangs
# up; it transfers the caller to another extension (REFER), which we call while the recording goes on. Its OPTIONS
# (qualify) are answered, and ours by it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers/asterisk.sh"
asterisk_present
begin asterisk
PBX=$NET.20 EXAMPLE=asterisk
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
cat >ast/extensions.conf <<CONF
[from-leaseline]
exten => +442079460500,1,Verbose(0,SEEN caller=\${CALLERID(num)} name=\${CALLERID(name)} source=\${PJSIP_HEADER(read,X-Leaseline-Source)})
 same => n,Ringing()
 same => n,Wait(1)
 same => n,Answer()
 same => n,PlayTones(1100)
 same => n,Wait(3)
 same => n,Hangup()
exten => +442079460501,1,Hangup(17)
exten => +442079460000,1,Answer()
 same => n,PlayTones(1100)
 same => n,Wait(60)
exten => +442079460502,1,Answer()
 same => n,PlayTones(1100)
 same => n,Wait(2)
 same => n,Transfer(PJSIP/sip:600@$PBX:5060)
 same => n,Wait(30)
exten => 600,1,Verbose(0,TRANSFERRED caller=\${CALLERID(num)})
 same => n,Answer()
 same => n,PlayTones(1700)
 same => n,Wait(2)
 same => n,Hangup()
CONF
start_asterisk "$PBX"
start_leaseline

caller uac_wait_bye
check "Asterisk answers, plays and hangs up: the caller is content" test "$CALLER_EXIT" = 0
ended "answered, ended by the company" '.outcome == "answered" and .hangup_by == "company" and .recording.state == "complete" and
    .ring_ms > 500 and .talk_ms > 2500 and .talk_ms < 4000'
tones left=400 right=1100 left!=1100 right!=400
check "Asterisk sees the caller, the source in the name and in the header" \
    grep -q 'SEEN caller=+44.* name=billboard · ring road source=billboard' ast-run/log/full

DIAL=+442079460501 caller uac_busy
check "busy crosses" test "$CALLER_EXIT" = 0
ended "busy" '.outcome == "busy"'

TALK=2000
DIAL=+442079460000 caller uac_answer
check "the caller hangs up on Asterisk" test "$CALLER_EXIT" = 0
ended "answered, ended by the caller" '.outcome == "answered" and .hangup_by == "caller"'

DIAL=+442079460502 caller uac_wait_reinvite
check "a transferred caller hears the new party to its end" test "$CALLER_EXIT" = 0
check "Asterisk gets the caller at the new extension" grep -q 'TRANSFERRED caller=+44' ast-run/log/full
ended "one call, with its transfer and one recording" '.number == "+442079460502" and .outcome == "answered" and
    (.transfers | length) == 1 and .recording.state == "complete" and .talk_ms > 3500'
tones left=400 right=1100+1700 left!=1100 left!=1700
quiet
check "Asterisk reaches us with OPTIONS" \
    bash -c "LD_LIBRARY_PATH=$AST_LIBRARIES $AST_HOME/root/usr/sbin/asterisk -C $WORK/ast/asterisk.conf -rx 'pjsip show contacts' | grep -q Avail"
stop_leaseline
