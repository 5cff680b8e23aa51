#!/usr/bin/env bash
# The same call over IPv6, signalling and media; the test phones of the program itself stand on both sides.
. "$(dirname "$0")/lib.sh"
begin ipv6
# shellcheck disable=SC2317 # called by start_leaseline
configuration() {
    cat <<TOML
[node]
data_dir = "$DATA"
[sip]
listen = ["udp://[::1]:$SIP", "tcp://[::1]:$SIP"]
[media]
address = "::1"
ports = "26000-26099"
[http]
listen = "$NODE:8080"
[[trunk]]
name = "six"
match = ["::1/128"]
[[company]]
name = "acme"
forward_to = ["sip:+442079460999@[::1]:$((SIP + 1))"]
[[pool]]
name = "billboard"
company = "acme"
kind = "static"
numbers = ["+442079460500"]
channel = { source = "billboard" }
[[sink]]
kind = "jsonl"
TOML
}
SIP=$((25000 + $$ % 400 * 2))
start_leaseline
"$LEASELINE" answer --listen "[::1]:$((SIP + 1))" --ring 300ms --calls 1 >answer.log 2>&1 &
PIDS+=($!)
wait_for_socket "[::1]:$((SIP + 1))" $!
check "a call over IPv6 is answered" timeout 30 "$LEASELINE" call +442079460500 --to "[::1]:$SIP" --for 2s
ended "heard on both sides and recorded" '.outcome == "answered" and .recording.state == "complete" and
    .media.caller.relayed > 80 and .media.company.relayed > 80 and (.forwarded_to | contains("[::1]"))'
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
