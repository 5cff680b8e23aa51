#!/usr/bin/env bash
# Kamailio logs in to us: a proxy whose `uac` module answers our challenge with a name and a password. With a wrong one
# the call goes no further.
. "$(dirname "$0")/lib.sh"
begin kamailio_login
FRONT=$NET.30
# SIPp's phones listen on 5080 here. The example offers MD5 only: more than Kamailio 5.6 knows would not help.
configuration() { example 3cx | sed "s/$COMPANY:5060/$COMPANY:5080/"; }
start_leaseline

# front PASSWORD: Kamailio between the caller and us.
front() {
    cat >kamailio.cfg <<CFG
#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
listen=udp:$FRONT:5060
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "uac.so"
modparam("uac", "restore_mode", "none")
modparam("uac", "auth_username_avp", "\$avp(user)")
modparam("uac", "auth_password_avp", "\$avp(password)")
modparam("uac", "auth_realm_avp", "\$avp(realm)")
request_route {
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        exit;
    }
    if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
    record_route();
    \$du = "sip:$NODE:5060";
    t_on_failure("LOGIN");
    t_relay();
}
failure_route[LOGIN] {
    if (!t_check_status("401|407")) exit;
    \$avp(user) = "office";
    \$avp(password) = "$1";
    \$avp(realm) = "leaseline";
    if (uac_auth()) t_relay();
}
CFG
    kamailio -f kamailio.cfg -DD -E -m 64 -M 8 -P "$WORK/kamailio.pid" -Y "$WORK" >>kamailio.log 2>&1 &
    FRONT_PID=$!
    PIDS+=("$FRONT_PID")
    wait_for_socket "$FRONT:5060" "$FRONT_PID"
}

# through SCENARIO NAME: as `caller`, but to Kamailio.
through() {
    timeout 60 sipp -sf "$SCENARIOS/$1.xml" -i "$CALLER" -p 5070 -mp 22000 -s "$NUMBER" -m 1 -d 1000 -nostdin \
        -trace_err -error_file "$WORK/$1.errors" "$FRONT:5060" >"$1.out" 2>&1
    CALLER_EXIT=$?
}

front "a long random text"
company uas_answer
through uac_answer
[ $CALLER_EXIT = 0 ] || said uac_answer
both "Kamailio logs in and calls"
ended "it is a call of the PBX" '.outcome == "answered" and .trunk == "3cx"'
kill "$FRONT_PID" && wait "$FRONT_PID" 2>/dev/null

front "another text"
through uac_answer
check "a wrong password is refused" grep -q "unexpected.*401\|SIP/2.0 401" uac_answer.errors
quiet
stop_leaseline
