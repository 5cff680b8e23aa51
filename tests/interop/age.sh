#!/usr/bin/env bash
# A recording that is encrypted at rest, opened with the program `age` alone; and by ours.
. "$(dirname "$0")/lib.sh"
begin age
age-keygen -o operator.key 2>keygen.txt
RECIPIENT=$(sed -n 's/.*public key: //p' operator.key)
RECORDING_EXTRA="recipients = [\"$RECIPIENT\"]
identity_file = \"operator.key\""
start_leaseline
TALK=1500
company uas_answer
caller uac_answer
both "a call"
ended "it is recorded" '.recording.state == "complete" and (.recording.path | endswith(".wav.age"))'
ID=$(jq -r 'select(.type == "leaseline.call.ended") | .data.call_id' "$DATA/events.jsonl" | tail -1)
WANTED=$(jq -r 'select(.type == "leaseline.call.ended") | .data.recording.original_sha256' "$DATA/events.jsonl" | tail -1)
FILE=$(find "$DATA/recordings" -name "$ID.wav.age")
KEY=$(find "$DATA/keys/recordings" -name "$ID.key.age")
check "no plain sound is left" test -z "$(find "$DATA" -name '*.wav' -o -name '*.part' -o -name '*.tmp')"
age -d -i operator.key "$KEY" >call.key
age -d -i call.key "$FILE" >call.wav
check "age opens it, and it is the WAV that was hashed" test "$(sha256sum <call.wav | cut -d' ' -f1)" = "$WANTED"
check "sox plays it: two channels" test "$(soxi -c call.wav)" = 2
"$LEASELINE" decrypt "$FILE" --identity operator.key --out . >opened.txt
check "ours opens it too" cmp -s "$ID.wav" call.wav
curl -sf "$API/v1/calls/$ID/recording" -o heard.wav
check "who may hear it hears it" cmp -s heard.wav call.wav
check "verify is content" "$LEASELINE" verify "$DATA"
"$LEASELINE" erase --config leaseline.toml --call "$ID" >erased.txt
check "erased with its key" test -z "$(find "$DATA" -name "$ID.wav*" -o -name "$ID.key*")"
stop_leaseline
