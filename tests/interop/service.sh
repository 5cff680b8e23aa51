#!/usr/bin/env bash
# The systemd unit stays hardened: exposure of at most 2.0 of 10.
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v systemd-analyze >/dev/null; then
    [ "${CI:-}" = true ] && { echo "not ok - systemd-analyze is missing"; exit 1; }
    echo "skip - systemd-analyze is missing"
    exit 77
fi
level=$(systemd-analyze security --no-pager --offline=true "$ROOT/systemd/leaseline.service" | awk '/Overall exposure/ {print $(NF-2)}')
echo "# exposure $level"
if awk "BEGIN {exit !(\"$level\" != \"\" && $level <= 2.0)}"; then echo "ok - the unit is hardened"; else
    echo "not ok - exposure $level is above 2.0"
    exit 1
fi
