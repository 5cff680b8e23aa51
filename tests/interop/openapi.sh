#!/usr/bin/env bash
# The OpenAPI document against the running program (schemathesis, of PyPI): no answer is a 5xx, and each is documented. The
# version and the seed are fixed: what is asked today is asked tomorrow.
. "$(dirname "$0")/lib.sh"
python3 -c 'import schemathesis' 2>/dev/null || pip install --quiet 'schemathesis==4.32.5' >/dev/null 2>&1 ||
    { echo "schemathesis is not here and cannot be installed"; exit 77; }
begin openapi
start_leaseline
# Something to be asked about: a lease and a call.
curl -sf -H 'Content-Type: application/json' -d '{"site":"acme-site","visitor_id":"v-1"}' "$API/v1/leases" >lease.json
company uas_answer
caller uac_answer
both "a call"
# What streams without an end is left out: the events, the feed.
check "every answer is documented, none is a 5xx" timeout 240 python3 -m schemathesis.cli run "$API/v1/openapi.json" \
    --phases coverage,fuzzing --max-examples 10 --seed 1 --no-color --warnings off --suppress-health-check all \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --exclude-path-regex '/events$|/v1/feed' --request-timeout 20
stop_leaseline
