#!/usr/bin/env bash
# A third party's recorder (SIPREC) gets both sides of a call as they speak; without it the call goes on.
. "$(dirname "$0")/lib.sh"
begin siprec
COMPANY_EXTRA='siprec = "archive"'
EXTRA="[[siprec]]
name = \"archive\"
uri = [\"sip:srs@$SECOND:5080\"]
answer_timeout = \"2s\"
retries = 0"
start_leaseline

TALK=3000
python3 "$HERE/rtp_sink.py" "$SECOND" 23000 23002 copy.wav >sink.out 2>&1 &
SINK_PID=$!
PIDS+=("$SINK_PID")
wait_for_socket "$SECOND:23002" "$SINK_PID"
company_at "$SECOND" uas_siprec
RECORDER_PID=$COMPANY_PID
company uas_answer
caller uac_answer
both "a call that is copied"
wait "$RECORDER_PID"
check "the recorder is content" test $? = 0
wait "$SINK_PID"
check "the caller is left, the company right" python3 "$HERE/tones.py" copy.wav left=400 right=1100 left!=1100 right!=400 longer=2.0
check "nothing is missing, from one port a side" test "$(grep -c 'missing 0 sources 1' sink.out)" = 2
event "the recorder records" '.type == "leaseline.siprec.started" and .data.recorder == "archive"'
ended "our own recording is as ever" '.outcome == "answered" and .recording.state == "complete"'

company uas_answer
caller uac_answer
both "a call whose recorder is away"
event "its absence is told, once" '.type == "leaseline.siprec.failed" and (.data.again_in_ms | not)'
ended "and costs nothing" '.outcome == "answered" and .talk_ms > 2500' 2
quiet
stop_leaseline
check "journal and recordings verify" "$LEASELINE" verify "$DATA"
