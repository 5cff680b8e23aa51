#!/usr/bin/env bash
# Every screen of the console in headless Chromium, on what a running program has: visitors, calls, recordings, a changed
# catalogue. Both themes, both languages, wide and as a phone; axe-core finds nothing serious; the keyboard reaches all.
# SCREENSHOTS=DIR keeps pictures there.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_console
npm pack --silent axe-core@4.14.1 >npm.log 2>&1 || { echo "axe-core cannot be fetched: $(tail -1 npm.log)"; exit 77; }
tar xzf axe-core-*.tgz package/axe.min.js

AGENT='Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'

# call NUMBER FROM SECONDS [PATIENCE]: one call through the program.
call() { timeout "${4:-20}" "$LEASELINE" call "$1" --to "$NODE:5060" --from "$2" --for "$3" >>calls.log 2>&1; }

# visit VISITOR QUERY: a number for a visitor, whose lease is in LEASE and number in LEASED.
visit() {
    local body answer
    body=$(jq -nc --arg v "$1" --arg page "$API/kitchens/?$2" '{site: "acme-site", visitor_id: $v,
        session: {landing_page: $page, referrer: "https://www.example.org/search?q=oak", client_ids: {ga: "1.2"}}}')
    # A program of no browser is a crawler.
    answer=$(curl -sf -A "$AGENT" -H "Origin: $API" -H 'content-type: application/json' --data "$body" "$API/v1/leases")
    LEASE=$(jq -r .lease_id <<<"$answer") LEASED=$(jq -r .number <<<"$answer")
}

SOURCE=127.0.0.0/8
# Nobody is there.
EXTRA='[[export]]
name = "crm"
kind = "webhook"
url = "http://127.0.0.1:9/hook"
secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="'
start_leaseline
"$LEASELINE" answer --listen "$COMPANY:5080" >answer.log 2>&1 &
PIDS+=("$!")
wait_for_socket "$COMPANY:5080" "$!"
visit v-1 'utm_source=yandex-direct&utm_medium=cpc&utm_campaign=kitchens&utm_term=%D0%B4%D0%BE%D1%81%D1%82%D0%B0%D0%B2%D0%BA%D0%B0+%D0%BF%D0%B8%D1%86%D1%86%D1%8B&yclid=123'
curl -sf -o /dev/null -H "Origin: $API" -H 'content-type: application/json' --data '{"signal":"tel_tap"}' "$API/v1/leases/$LEASE/signal"
call "$LEASED" +442079460901 1s
visit v-2 'utm_source=%3Cscript%3Ealert(1)%3C/script%3E&utm_campaign=Очень-длинное-название-рекламной-кампании-без-единого-пробела-на-пятьдесят-букв'
call "$LEASED" +442079460902 1s
for n in 3 4 5; do visit "v-$n" "utm_source=newsletter&utm_campaign=april-$n"; done
call "$NUMBER" +442079460903 1s
call "$WEB_NUMBER" +442079460901 1s
ended "all calls are over" '.outcome == "answered"' 4
# What reports tell of: a cost, a deal, a form that says who a caller was, a report that somebody took out.
day=$(date -u +%F)
send() { curl -sf -o /dev/null -X "$1" -H 'content-type: application/json' --data "$3" "$API$2" || not_ok "$1 $2"; }
send POST /v1/costs "{\"company\":\"acme\",\"rows\":[{\"day\":\"$day\",\"source\":\"yandex-direct\",\"medium\":\"cpc\",\"campaign\":\"kitchens\",\"amount\":\"125.50\"}]}"
send POST /v1/leads '{"site":"acme-site","visitor_id":"v-1","phone":"+442079460901"}'
first=$(curl -sf "$API/v1/calls?caller=%2B442079460901" | jq -r '.calls[-1].call_id')
send PUT "/v1/calls/$first/value" '{"deal_id":"D-1","stage":"won","value":90000,"currency":"EUR"}'
curl -sf -o /dev/null "$API/v1/reports/sources?format=csv" || not_ok "a report as a file"
call "$NUMBER" +442079460904 400s 420 &
LIVE=$!
PIDS+=("$LIVE")
check "the console in a browser" node "$ROOT/tests/browser/console.mjs" "$API" "$WORK/package/axe.min.js" ${SCREENSHOTS:+"$SCREENSHOTS"}
# From the first owner on nobody is let in without signing in.
LINK=$(grep -oE 'http://[^ ]*/setup#[A-Za-z0-9_-]+' leaseline.log | tail -1)
check "people and their work in a browser" node "$ROOT/tests/browser/console_people.mjs" "$LINK" "$WORK/package/axe.min.js" ${SCREENSHOTS:+"$SCREENSHOTS"}
stop_leaseline
