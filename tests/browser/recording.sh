#!/usr/bin/env bash
# A recording plays in a browser: the WAV from the API as PCM and as G.711, and the file that a closed day leaves as Opus.
# Length, two channels, and each voice in its own (400 Hz left, 1100 Hz right), by headless Chromium's own decoders; what
# ffprobe says of the same files.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_recording

# record NAME: a call of two seconds, its id in ID, its length in LENGTH.
record() {
    TALK=2000
    company uas_answer
    caller uac_answer
    both "$1"
    ID=$(jq -r 'select(.type == "leaseline.call.ended") | .data.call_id' "$DATA/events.jsonl" | tail -1)
    LENGTH=$(jq -r 'select(.type == "leaseline.call.ended") | .data.recording.duration_ms' "$DATA/events.jsonl" | tail -1)
}

plays() { check "$1" node "$ROOT/tests/browser/recording.mjs" "$2" "$3" "$4"; }

# probed FILE CODEC
probed() {
    check "ffprobe: $2, two channels" test "$(ffprobe -v error -show_entries stream=codec_name,channels -of csv=p=0 "$1")" = "$2,2"
}

start_leaseline
record "a call as PCM"
plays "PCM plays" "$API/" "$API/v1/calls/$ID/recording" "$LENGTH"
probed "$(recording)" pcm_s16le
stop_leaseline

RECORDING_EXTRA='format = "g711"'
start_leaseline
record "a call as G.711"
plays "G.711 plays" "$API/" "$API/v1/calls/$ID/recording" "$LENGTH"
probed "$(recording)" pcm_mulaw
check "sox reads it" test "$(soxi -c "$(recording)")" = 2
stop_leaseline
check "verify is content with both" "$LEASELINE" verify "$DATA"

# A day is closed when it is over: these calls become calls of long ago.
mkdir -p "$DATA/recordings/2026/01"
mv "$(find "$DATA/recordings" -mindepth 3 -maxdepth 3 -type d ! -path '*/2026/01/*' | head -1)" "$DATA/recordings/2026/01/05"
RECORDING_EXTRA='archive_after = "24h"
archive_as = "opus"'
start_leaseline
for _ in $(seq 100); do [ "$(find "$DATA/recordings" -name '*.opus' | wc -l)" = 2 ] && break; sleep 0.1; done
check "both became Opus, and the WAVs are gone" test -z "$(find "$DATA/recordings" -name '*.wav')"
FILE=$DATA/recordings/2026/01/05/$ID.opus
probed "$FILE" opus
check "verify is content with the chain" "$LEASELINE" verify "$DATA/recordings"
# The API looks for a call on the day on which it was, which its id names.
TODAY=$DATA/recordings/$(date -u -d "@$((16#${ID:0:12} / 1000))" +%Y/%m/%d)
mkdir -p "$TODAY" && cp "$FILE" "$TODAY"
plays "Opus plays" "$API/" "$API/v1/calls/$ID/recording" "$LENGTH"
stop_leaseline
