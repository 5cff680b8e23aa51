#!/usr/bin/env bash
# c1: a visitor taps the number on the page, the call comes over SIP, and the event names that visitor and why; another
# visitor, who sees the same number, is told apart.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_tap
WEB=8090
EXTRA=$(cat <<TOML
[[site]]
name = "shop"
company = "acme"
origins = ["http://www.shop.example:$WEB"]
[[pool]]
name = "shop-web"
company = "acme"
site = "shop"
kind = "dynamic"
numbers = ["+442079460100"]
TOML
)
start_leaseline
mkfifo until
node "$ROOT/tests/browser/tap.mjs" "$API" "$NODE" $WEB "$WORK/seen.json" <until >visit.log 2>&1 &
VISIT_PID=$!
PIDS+=("$VISIT_PID")
exec 9>until
for _ in $(seq 600); do
    [ -f seen.json ] && break
    kill -0 "$VISIT_PID" 2>/dev/null || break
    sleep 0.1
done
check "two visitors see a number, one taps" test -f seen.json
[ -f seen.json ] || sed 's/^/# /' visit.log
check "it is one number" jq -e '.first.number == .second.number and .first.visitor != .second.visitor' seen.json
TAPPED=$(jq -r .second.visitor seen.json)
LEASE=$(jq -r .second.lease seen.json)

company uas_answer
DIAL=$(jq -r .second.number seen.json) caller uac_answer
both "a call to the number on the page"
ended "c1_the_event_names_the_visitor_who_tapped" ".attribution.kind == \"visitor\" and .attribution.visitor_id == \"$TAPPED\"
    and .attribution.lease_id == \"$LEASE\" and .attribution.session.utm.campaign == \"april\""
ended "and says why" ".attribution.candidates | map(select(.visitor_id == \"$TAPPED\"))[0] | .probability > 0.5
    and (.evidence | any(contains(\"tapped\")))"
event "the lease knows of the tap" ".type == \"leaseline.lease.signal\" and .data.signal == \"tel_tap\"
    and .data.visitor_id == \"$TAPPED\" and .data.page.tapped_at != null"
exec 9>&-
wait "$VISIT_PID"
check "the visitors leave" test $? = 0
stop_leaseline
