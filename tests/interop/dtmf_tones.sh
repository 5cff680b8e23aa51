#!/usr/bin/env bash
# Keys as tones in the audio, made by sox: heard where the trunk says so, each once, and let through as they are.
. "$(dirname "$0")/lib.sh"
begin dtmf_tones
TRUNK_EXTRA='dtmf = "inband"'
# key NAME LOW HIGH: 80 ms of it, and 80 ms of nothing.
key() {
    sox -q -n -r 8000 -c 1 -b 16 "$1.wav" synth 0.08 sine "$2" synth 0.08 sine mix "$3" vol 0.5 pad 0 0.08
}
key one 697 1209
key five 770 1336
key pound 941 1477
sox -q -n -r 8000 -c 1 -b 16 silence.wav trim 0 0.5
sox -q silence.wav one.wav five.wav five.wav pound.wav silence.wav silence.wav silence.wav -t ul caller.ul
start_leaseline
company uas_answer
TALK=1500 caller uac_answer
both "tones"
ended "every key once" '[.dtmf[] | [.side, .digit]] == [["caller", "1"], ["caller", "5"], ["caller", "5"], ["caller", "#"]]'
ended "as long as they were" '[.dtmf[] | select(.for_ms > 50 and .for_ms < 110)] | length == 4'
quiet
stop_leaseline
