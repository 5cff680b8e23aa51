#!/usr/bin/env bash
# The worked example of a carrier where we log in, with Kamailio as the carrier: it challenges REGISTER and lets us in,
# sends calls to the Contact that we registered, challenges our own calls; the registration is refreshed, is lost when
# Kamailio goes away and found again when it is back, and ends when we stop.
. "$(dirname "$0")/lib.sh"
begin registering_trunk
EXAMPLE=registering-trunk
CARRIER=$NET.10
# The PBX listens where SIPp does.
PBX=$COMPANY
cat >kamailio.cfg <<CFG
#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
listen=udp:$CARRIER:5060
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
# Short, so that a test sees refreshes: half of it is our pause between them.
modparam("registrar", "max_expires", 4)
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (is_method("REGISTER")) {
        if (!pv_auth_check("\$td", "a long random text", "0", "1")) {
            xlog("L_ERR", "challenged REGISTER\n");
            auth_challenge("\$td", "1");
            exit;
        }
        consume_credentials();
        append_to_reply("Service-Route: <sip:$CARRIER;lr>\r\n");
        if (!save("location")) sl_reply_error();
        xlog("L_ERR", "saved REGISTER of \$au expires=\$hdr(Expires)\n");
        exit;
    }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        sl_send_reply("404", "Not here");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    t_check_trans();
    if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
    record_route();
    if (\$si == "$NODE") {
        # Our customer's own call, to the mobile: only with his password.
        if (!pv_auth_check("\$rd", "a long random text", "0", "0")) {
            xlog("L_ERR", "challenged INVITE\n");
            auth_challenge("\$rd", "1");
            exit;
        }
        consume_credentials();
        xlog("L_ERR", "took INVITE of \$au for \$rU by \$hdr(Route)\n");
        loose_route();
        \$du = "sip:$SECOND:5080";
    } else {
        # A call from the public network: the number is in To, the Request-URI becomes the registered Contact.
        \$ru = "sip:acme@$CARRIER";
        if (!lookup("location")) { sl_send_reply("404", "Nobody is registered"); exit; }
    }
    t_relay();
}
CFG

start_carrier() {
    kamailio -f kamailio.cfg -DD -E -m 64 -M 8 -P "$WORK/kamailio.pid" -Y "$WORK" >>kamailio.log 2>&1 &
    CARRIER_PID=$!
    PIDS+=("$CARRIER_PID")
    wait_for_socket "$CARRIER:5060" "$CARRIER_PID"
}

# noted PATTERN [COUNT]: Kamailio has written it so often within 10 s.
noted() {
    local i
    for i in $(seq 100); do [ "$(grep -c "$1" kamailio.log)" -ge "${2:-1}" ] && return; sleep 0.1; done
    tail -5 kamailio.log | sed 's/^/# /'
    return 1
}

# state FILTER: within 90 s `GET /v1/trunks` shows the registration so.
state() {
    local i
    for i in $(seq 900); do
        curl -sf "$API/v1/trunks" | jq -e "$1" >/dev/null && return
        sleep 0.1
    done
    curl -sf "$API/v1/trunks" | sed 's/^/# /'
    return 1
}

start_carrier
configuration() { example registering-trunk | sed "s/$COMPANY:5060/$COMPANY:5080/"; }
start_leaseline
check "REGISTER is challenged" noted "challenged REGISTER"
check "and accepted with credentials" noted "saved REGISTER of acme"
event "that is an event" '.type == "leaseline.trunk.registered" and .data.trunk == "carrier"'

# through NAME: as `caller`, but to Kamailio.
through() {
    timeout 60 sipp -sf "$SCENARIOS/uac_answer.xml" -i "$CALLER" -p 5070 -mp 22000 -s "$NUMBER" -m 1 -d 1000 -nostdin \
        -trace_err -error_file "$WORK/$1.errors" "$CARRIER:5060" >"$1.out" 2>&1
    CALLER_EXIT=$?
    [ $CALLER_EXIT = 0 ] || said "$1"
}

TALK=1000
company uas_answer
through incoming
both "a call over the registered Contact"
ended "it is the trunk's and its number is found" '.outcome == "answered" and .trunk == "carrier" and .number == "'$NUMBER'"'

# Nobody is at the PBX: the mobile is called through the carrier, which asks for the password.
company_at "$SECOND" uas_answer
through mobile
both "a call of ours through the carrier"
check "our INVITE is challenged" noted "challenged INVITE"
check "and taken with credentials" noted "took INVITE of acme for +442079460990"
check "it has the route that the registrar asked for" noted "took INVITE .* by <sip:$CARRIER;lr>"
ended "the mobile has answered" '.outcome == "answered" and .route.attempts[-1].destination == "mobile"'
check "the registration is refreshed" noted "saved REGISTER of acme" 4

# The carrier goes away. Kamailio keeps registrations in memory only: back again it knows nobody.
kill "$CARRIER_PID" && wait "$CARRIER_PID" 2>/dev/null
check "the registration is lost" state '.trunks[] | select(.name == "carrier") | .registration.registered == false'
event "that is an event, too" '.type == "leaseline.trunk.unregistered"'
: >kamailio.log
start_carrier
check "it is found again" state '.trunks[] | select(.name == "carrier") | .registration.registered == true'
event "and told" '.type == "leaseline.trunk.registered"' 2
company uas_answer
through again
both "calls come again"
quiet
: >kamailio.log
stop_leaseline
check "we take ourselves out at the end" noted "saved REGISTER of acme expires=0"
