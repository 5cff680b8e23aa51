#!/usr/bin/env bash
# Nobody has us call a place that the configuration does not have: not by 3xx, not by REFER (rows D06, D07). A redirection
# that the configuration follows, to where its calls go anyway, is followed.
. "$(dirname "$0")/lib.sh"
begin redirected
TALK=1000
start_leaseline
COUNT=0
for target in "sip:+882123456789@$COMPANY:5080" "sip:x@$SECOND:5080" "sip:$NUMBER@$NODE:5060"; do
    COUNT=$((COUNT + 1))
    company uas_redirect -s "$target"
    caller uac_refused
    both "302 to $target"
    ended "it was not followed" '.reason == "redirection_refused" and .sip_status == 502' $COUNT
done

COUNT=0
for target in "sip:+882123456789@$COMPANY:5080" "sip:x@$SECOND:5080"; do
    COUNT=$((COUNT + 1))
    company uas_refer -s "$target"
    caller uac_answer
    both "REFER of the company to $target"
    ended "the call went on" '.outcome == "answered" and (.transfers | not) and .hangup_by == "caller"' $COUNT
done
company uas_answer
caller uac_refer
both "REFER of the caller"
ended "and ended as it should" '.outcome == "answered" and (.transfers | not)' 3
quiet
stop_leaseline

DATA=$WORK/data2
FORWARD="{ uri = \"sip:{number}@$COMPANY:5080\", redirects = \"follow\" }"
COMPANY_EXTRA="[company.busy]
forward_to = [\"sip:box@$SECOND:5080\"]"
start_leaseline
company uas_redirect -s "sip:+882123456789@$SECOND:5080"
caller uac_refused
both "302 to a premium number at a host that is called"
ended "it was not followed either" '.reason == "redirection_refused"'
company uas_redirect -s "sip:201@$SECOND:5080"
FIRST=$COMPANY_PID
company_at "$SECOND" uas_answer
caller uac_answer
both "302 to a phone there"
wait "$FIRST"
check "the one that redirected is content" test $? = 0
ended "the contact had the call" '.outcome == "answered" and (.forwarded_to | contains("201@"))
    and [.route.attempts[].status] == [302, 200] and .route.attempts[1].redirected'
quiet
stop_leaseline
