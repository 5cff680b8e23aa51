#!/usr/bin/env bash
# Kamailio in front of two of our nodes: its dispatcher probes them with OPTIONS and shares the calls between them, its
# Record-Route keeps it in the path of every dialog; a node that drains gets no new call and loses none.
. "$(dirname "$0")/lib.sh"
begin kamailio_front
EXAMPLE=kamailio-front
FRONT=$NET.10 NODE2=$NET.11
CARRIER=$FRONT
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
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "dispatcher.so"
modparam("dispatcher", "list_file", "$WORK/dispatcher.list")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_inactive_threshold", 1)
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        sl_send_reply("404", "Not here");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    t_check_trans();
    if (is_method("INVITE")) {
        record_route();
        if (!ds_select_dst("1", "4")) { sl_send_reply("503", "No node"); exit; }
        t_on_failure("NEXT");
        t_relay();
        exit;
    }
    sl_send_reply("405", "Method Not Allowed");
}
failure_route[NEXT] {
    if (t_is_canceled()) exit;
    if (t_check_status("503") && ds_next_dst()) { t_on_failure("NEXT"); t_relay(); }
}
CFG
printf '1 sip:%s:5060\n1 sip:%s:5060\n' "$NODE" "$NODE2" >dispatcher.list

start_leaseline
# The second node: the same configuration at another address, with a folder of its own.
sed -e "s/$NODE:/$NODE2:/g; s/address = \"$NODE\"/address = \"$NODE2\"/; s#$DATA#$DATA-2#" leaseline.toml >second.toml
"$LEASELINE" run --config second.toml >second.log 2>&1 &
SECOND_PID=$!
PIDS+=("$SECOND_PID")
for _ in $(seq 100); do curl -sf -o /dev/null "http://$NODE2:8080/readyz" && break; sleep 0.1; done
check "the second node is ready" curl -sf -o /dev/null "http://$NODE2:8080/readyz"

kamailio -f kamailio.cfg -DD -E -m 64 -M 8 -P "$WORK/kamailio.pid" -Y "$WORK" >kamailio.log 2>&1 &
FRONT_PID=$!
PIDS+=("$FRONT_PID")
wait_for_socket "$FRONT:5060" "$FRONT_PID"

# probes NODE: OPTIONS that this node answered.
probes() { curl -sf "http://$1:8080/metrics" | awk '/leaseline_sip_requests_total.*OPTIONS/ { n += $NF } END { print n + 0 }'; }
for _ in $(seq 100); do [ "$(probes "$NODE")" -gt 0 ] && [ "$(probes "$NODE2")" -gt 0 ] && break; sleep 0.1; done
check "the dispatcher probes both nodes" test "$(probes "$NODE")" -gt 0 -a "$(probes "$NODE2")" -gt 0

# through SCENARIO…: as `caller`, but to Kamailio.
through() {
    timeout 150 sipp -sf "$SCENARIOS/uac_answer.xml" -i "$CALLER" -p 5070 -mp 22000 -s "$NUMBER" -m "$CALLS" -r 2 \
        -d "$TALK" -nostdin -trace_err -error_file "$WORK/through.errors" "$FRONT:5060" >"$WORK/through.out" 2>&1
    CALLER_EXIT=$?
    [ $CALLER_EXIT = 0 ] || said through
}

TALK=1000 CALLS=6
company uas_answer
through
both "six calls through the proxy"
answered() { jq -c 'select(.type == "leaseline.call.ended" and .data.outcome == "answered")' "$1/events.jsonl" 2>/dev/null | wc -l; }
for _ in $(seq 50); do [ $(( $(answered "$DATA") + $(answered "$DATA-2") )) = 6 ] && break; sleep 0.1; done
check "both nodes had calls" test "$(answered "$DATA")" -gt 0 -a "$(answered "$DATA-2")" -gt 0
check "six were answered" test $(( $(answered "$DATA") + $(answered "$DATA-2") )) = 6
quiet

# A node that stops: it answers 503 while it drains, and its share goes to the other.
kill -TERM "$SECOND_PID"
CALLS=4
company uas_answer
through
both "four calls while one node goes away"
for _ in $(seq 50); do [ $(( $(answered "$DATA") + $(answered "$DATA-2") )) = 10 ] && break; sleep 0.1; done
check "all ten were answered" test $(( $(answered "$DATA") + $(answered "$DATA-2") )) = 10
quiet
stop_leaseline
