#!/usr/bin/env bash
# What we answer to the torture messages of RFC 4475 and RFC 5118, read by somebody else: no answer is malformed.
. "$(dirname "$0")/lib.sh"
begin torture_tshark
