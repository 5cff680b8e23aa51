#!/usr/bin/env bash
# A real Asterisk carries the calls itself, SIPp calls it and is its phone, and Leaseline hears of them over the Manager
# Interface alone: an answered call of a visitor, a busy one, one that the caller gives up, and one during which we are
# killed and started again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/peers/asterisk.sh"
asterisk_present
begin ears
PBX=$NET.20
mkdir -p ast
cat >ast/pjsip.conf <<CONF
[transport-udp]
type=transport
protocol=udp
bind=$PBX:5060
[carrier]
type=endpoint
transport=transport-udp
context=from-carrier
disallow=all
allow=ulaw
trust_id_inbound=yes
direct_media=no
[carrier]
type=identify
endpoint=carrier
match=$CALLER
[desk]
type=endpoint
transport=transport-udp
context=from-inside
disallow=all
allow=ulaw
aors=desk
direct_media=no
[desk]
type=aor
contact=sip:desk@$COMPANY:5080
CONF
cat >ast/extensions.conf <<CONF
[from-carrier]
exten => _+X.,1,Set(SIPCALLID=\${CHANNEL(pjsip,call-id)})
 same => n,Dial(PJSIP/desk,20)
 same => n,Hangup()
CONF
cat >ast/manager.conf <<CONF
[general]
enabled=yes
port=5038
bindaddr=$PBX
channelvars=SIPCALLID
[leaseline]
secret=a long: random text
deny=0.0.0.0/0.0.0.0
permit=127.0.0.0/255.0.0.0
read=call,dialplan,system
write=reporting
CONF
EXTRA="[[ears]]
name = \"office\"
kind = \"asterisk\"
address = \"$PBX:5038\"
user = \"leaseline\"
secret = \"a long: random text\"
contexts = [\"from-carrier\"]
country = \"GB\""
# Before the PBX is there: the link comes when it comes.
start_leaseline
start_asterisk "$PBX"

# standing: how the link stands.
standing() { curl -sf "$API/v1/ears" | jq -r '.ears[0].state'; }
up() {
    local i
    for i in $(seq 200); do [ "$(standing)" = up ] && break; sleep 0.1; done
    check "the link to Asterisk is up" test "$(standing)" = up
}
# dial NUMBER SCENARIO: SIPp calls Asterisk, not us; in the background.
dial() {
    timeout 60 sipp -sf "$SCENARIOS/$2.xml" -i "$CALLER" -p 5070 -mp 22000 -s "$1" -m 1 -d "${TALK:-2000}" -nostdin \
        -trace_err -error_file "$WORK/$2.errors" "$PBX:5060" >"$WORK/$2.out" 2>&1 &
    CALLER_PID=$!
    PIDS+=("$CALLER_PID")
}
hung_up() { wait "$CALLER_PID"; CALLER_EXIT=$?; }
up

LEASED=$(curl -sf -X POST "$API/v1/leases" -H 'Content-Type: application/json' \
    -d '{"site":"acme-site","visitor_id":"visitor-anna","session":{"utm":{"source":"newsletter"}}}' | jq -r .number)
company uas_answer
dial "$LEASED" uac_answer
hung_up
both "answered"
event "its beginning names the visitor" '.type == "leaseline.call.started" and .data.via == "asterisk" and
    .data.attribution.visitor_id == "visitor-anna" and .data.trunk == "office" and .data.caller == "+442079460990"'
ended "answered, and ended by the caller" '.outcome == "answered" and .hangup_by == "caller" and .forwarded_to == "PJSIP/desk" and
    .talk_ms > 1500 and .talk_ms < 4000 and .q850_cause == 16 and .via == "asterisk"'

company uas_busy
dial +442079460500 uac_busy
hung_up
ended "busy" '.outcome == "busy" and .attribution.method == "static_channel"'
wait "$COMPANY_PID" 2>/dev/null

company uas_ring
dial +442079460500 uac_cancel
hung_up
ended "given up by the caller" '.outcome == "cancelled" and .hangup_by == "caller"'
kill "$COMPANY_PID" 2>/dev/null
wait "$COMPANY_PID" 2>/dev/null

company uas_answer
TALK=8000 dial +442079460500 uac_answer
event "the fourth is answered" '.type == "leaseline.call.answered"' 2
kill -9 "$NODE_PID"
wait "$NODE_PID" 2>/dev/null
start_leaseline
up
check "it is in progress after the restart" test "$(curl -sf "$API/v1/calls/live" | jq '(.calls? // .) | length')" = 1
hung_up
both "through a crash of ours"
ended "heard to its end" '.outcome == "answered" and .talk_ms > 7000 and .reason == "pbx_hangup"'
event "four calls, each once" '.type == "leaseline.call.started"' 4
event "four ends" '.type == "leaseline.call.ended"' 4
quiet
stop_leaseline
