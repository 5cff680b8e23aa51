#!/usr/bin/env bash
# kill -9 in the middle of ten recorded calls: every WAV opens, at most a second is missing, every call has its end.
. "$(dirname "$0")/lib.sh"
begin kill9
start_leaseline
CALLS=10 TALK=20000
company uas_answer
(caller uac_answer -r 10) &
PIDS+=($!)
event "ten calls are up" '.type == "leaseline.call.answered"' 10
sleep 4
kill -9 "$NODE_PID"
wait "$NODE_PID" 2>/dev/null
kill "$COMPANY_PID" 2>/dev/null

start_leaseline
ended "ten ends, none twice" 'true' 10
ended "they say that they were lost" '.outcome == "lost_in_crash"' 10
short=0
count=0
for wav in $(find "$DATA/recordings" -name '*.wav'); do
    count=$((count + 1))
    python3 "$HERE/tones.py" "$wav" left=400 right=1100 longer=3.0 || short=1
done
check "ten recordings" test "$count" = 10
check "at most a second is missing of each" test $short = 0
check "nothing unfinished is left" test -z "$(find "$DATA/recordings" -name '*.part')"
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
