#!/usr/bin/env bash
# 183 with sound: the caller hears the company before it answers.
. "$(dirname "$0")/lib.sh"
begin early_media
start_leaseline
company uas_early
caller uac_early
both "early media"
ended "answered after early media" '.outcome == "answered" and .ring_ms >= 900'
# The recording starts at the answer.
tones left=400 right=1100 length=2.0
quiet
stop_leaseline
