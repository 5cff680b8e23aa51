# Sourced by the scripts beside it: starts the real program on a loopback address of its own, runs independent SIP
# programs against it, looks at what they say and at the events, and ends what it began, by pid.
#
#   LEASELINE=path   the program (default: target/release/leaseline of this checkout)
#   KEEP=1           keep the work folder

set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
LEASELINE=${LEASELINE:-$ROOT/target/release/leaseline}
SCENARIOS=$HERE/sipp
NUMBER=+442079460500
WEB_NUMBER=+442079460000
FAILED=0
PIDS=()

# begin NAME: a work folder, an address of 127.0.0.0/8 that nobody else uses, two sounds.
begin() {
    TEST=$1
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/leaseline-$TEST.XXXXXX")
    trap finish EXIT
    trap 'exit 130' INT TERM
    [ -x "$LEASELINE" ] || { echo "not ok - no program at $LEASELINE (cargo build --release)"; FAILED=1; exit 1; }
    local net=$(( $$ % 60000 ))
    NET=127.$(( 16 + net / 250 % 200 )).$(( 1 + net % 250 ))
    NODE=$NET.1 CALLER=$NET.2 COMPANY=$NET.3 SECOND=$NET.4
    DATA=$WORK/data
    API=http://$NODE:8080
    cd "$WORK" || exit 1
    # Raw µ-law, as SIPp streams it: a different tone from each side.
    sox -q -n -r 8000 -c 1 -t ul caller.ul synth 70 sine 400 vol 0.5
    sox -q -n -r 8000 -c 1 -t ul company.ul synth 70 sine 1100 vol 0.5
    echo "# $TEST on $NODE"
}

# configuration: prints the configuration that start_leaseline uses. FORWARD, RING, RECORDING, SOURCE
# and NAT change it, LISTEN, RECORDING_EXTRA, TRUNK_EXTRA, COMPANY_EXTRA and EXTRA are added. With EXAMPLE it is that file of config/examples.
configuration() {
    if [ -n "${EXAMPLE:-}" ]; then
        example "$EXAMPLE"
        return
    fi
    local forward=${FORWARD:-}
    [ -n "$forward" ] || forward="\"sip:{number}@$COMPANY:5080\""
    cat <<TOML
[node]
id = "$TEST"
data_dir = "$DATA"
drain = "5s"
[sip]
listen = ["udp://$NODE:5060", "tcp://$NODE:5060"${LISTEN:-}]
[media]
address = "$NODE"
ports = "20000-27999"
[recording]
enabled = ${RECORDING:-true}
${RECORDING_EXTRA:-}
[http]
listen = "$NODE:8080"
[[trunk]]
name = "carrier"
match = ["${SOURCE:-$CALLER}"]
country = "GB"
nat = ${NAT:-false}
${TRUNK_EXTRA:-}
[[company]]
name = "acme"
forward_to = [$forward]
ring_timeout = "${RING:-20s}"
nat = ${NAT:-false}
${COMPANY_EXTRA:-}
[[site]]
name = "acme-site"
company = "acme"
origins = ["$API"]
[[pool]]
name = "acme-web"
company = "acme"
site = "acme-site"
kind = "dynamic"
numbers = ["+442079460000..+442079460009"]
[[pool]]
name = "acme-billboard"
company = "acme"
kind = "static"
numbers = ["$NUMBER"]
channel = { source = "billboard", medium = "offline", campaign = "ring road" }
[[sink]]
kind = "jsonl"
${EXTRA:-}
TOML
}

# example NAME: a worked example of config/examples with this test's addresses in place of those for documentation.
example() {
    sed -e "s/203\.0\.113\.7/$NODE/g; s/192\.0\.2\.10/${CARRIER:-$CALLER}/g; s/198\.51\.100\.20/${PBX:-$COMPANY}/g" \
        -e "s#^data_dir = .*#data_dir = \"$DATA\"#; s#^listen = \"127\.0\.0\.1:8080\"#listen = \"$NODE:8080\"#" \
        "$ROOT/config/examples/$1.toml"
}

# start_leaseline: returns when it takes calls.
start_leaseline() {
    configuration >leaseline.toml
    "$LEASELINE" check --config leaseline.toml >effective.toml || { not_ok "the configuration is good"; exit 1; }
    "$LEASELINE" run --config leaseline.toml >leaseline.log 2>&1 &
    NODE_PID=$!
    PIDS+=("$NODE_PID")
    local i
    for i in $(seq 200); do
        curl -sf -o /dev/null "$API/readyz" && return
        kill -0 "$NODE_PID" 2>/dev/null || break
        sleep 0.1
    done
    not_ok "the daemon is ready within 20 s"
    exit 1
}

# stop_leaseline: SIGTERM; must end with 0.
stop_leaseline() {
    kill "$NODE_PID" 2>/dev/null
    local i
    for i in $(seq 150); do kill -0 "$NODE_PID" 2>/dev/null || break; sleep 0.1; done
    kill -0 "$NODE_PID" 2>/dev/null && { not_ok "the daemon ends within 15 s of SIGTERM"; kill -9 "$NODE_PID"; }
    wait "$NODE_PID"
    check "the daemon ends with 0 on SIGTERM" test $? = 0
}

# company SCENARIO [sipp options]: a SIPp that plays the company's phone, in the background. CALLS: how many.
company() { company_at "$COMPANY" "$@"; }

company_at() {
    local address=$1 scenario=$2
    shift 2
    timeout 150 sipp -sf "$SCENARIOS/$scenario.xml" -i "$address" -p 5080 -mp 21000 -m "${CALLS:-1}" -d "${TALK:-2000}" \
        -nostdin -trace_err -error_file "$WORK/$scenario.errors" "$@" >"$WORK/$scenario.out" 2>&1 &
    COMPANY_PID=$!
    PIDS+=("$COMPANY_PID")
    wait_for_socket "$address:5080" "$COMPANY_PID"
}

# caller SCENARIO [sipp options]: a SIPp that plays the caller; waits for its end and sets CALLER_EXIT.
caller() {
    start_caller "$@"
    wait "$CALLER_PID"
    CALLER_EXIT=$?
    [ $CALLER_EXIT = 0 ] || said "$1"
}

# start_caller SCENARIO [sipp options]: the same in the background.
start_caller() {
    local scenario=$1
    shift
    timeout 150 sipp -sf "$SCENARIOS/$scenario.xml" -i "$CALLER" -p 5070 -mp 22000 -s "${DIAL:-$NUMBER}" \
        -m "${CALLS:-1}" -d "${TALK:-2000}" -nostdin -trace_err -error_file "$WORK/$scenario.errors" "$@" \
        "$NODE:5060" >"$WORK/$scenario.out" 2>&1 &
    CALLER_PID=$!
    PIDS+=("$CALLER_PID")
}

# both NAME: caller and company are content.
both() {
    check "$1: the caller is content" test "$CALLER_EXIT" = 0
    # When the caller failed the company may wait for ever.
    [ "$CALLER_EXIT" = 0 ] || kill "$COMPANY_PID" 2>/dev/null
    wait "$COMPANY_PID"
    check "$1: the company is content" test $? = 0
}

# wait_for_socket ADDRESS:PORT PID
wait_for_socket() {
    local i
    for i in $(seq 100); do
        ss -Hlnu "src = $1" | grep -q . && return
        ss -Hlnt "src = $1" | grep -q . && return
        kill -0 "$2" 2>/dev/null || break
        sleep 0.05
    done
    not_ok "something listens on $1"
}

# event NAME FILTER [COUNT]: within 10 s exactly COUNT (1) events of the file pass the jq filter; afterwards no more.
event() {
    local name=$1 filter=$2 want=${3:-1} got=0 i
    for i in $(seq 100); do
        got=$(count_events "$filter")
        [ "$got" -ge "$want" ] && break
        sleep 0.1
    done
    if [ "$got" = "$want" ]; then ok "$name"; else
        not_ok "$name: $got events instead of $want: $filter"
        jq -c 'select(.type | startswith("leaseline.call")) | [.type, .data.outcome, .data.sip_status, .data.reason]' \
            "$DATA/events.jsonl" 2>/dev/null | tail -5 | sed 's/^/# /'
    fi
}

count_events() {
    [ -f "$DATA/events.jsonl" ] || { echo 0; return; }
    jq -c "select($1)" "$DATA/events.jsonl" 2>/dev/null | wc -l
}

# ended NAME FILTER [COUNT]: call.ended events whose data pass.
ended() { event "$1" ".type == \"leaseline.call.ended\" and (.data | $2)" "${3:-1}"; }

# quiet: nothing of any call remains.
quiet() {
    local i live
    for i in $(seq 100); do
        live=$(curl -sf "$API/v1/calls/live" | jq '(.calls? // .) | length' 2>/dev/null)
        [ "$live" = 0 ] && break
        sleep 0.1
    done
    check "no call is left over" test "$live" = 0
}

# recording: path of the recording of the last call that ended.
recording() {
    local path
    path=$(jq -r 'select(.type == "leaseline.call.ended") | .data.recording.path // empty' "$DATA/events.jsonl" | tail -1)
    case $path in /*) echo "$path" ;; *) [ -f "$DATA/$path" ] && echo "$DATA/$path" || echo "$DATA/recordings/$path" ;; esac
}

# tones CHECK…: content of the last recording; see tones.py.
tones() { check "recording: $*" python3 "$HERE/tones.py" "$(recording)" "$@"; }

# ── baresip and linphone ──

# in_own_network ARGUMENTS: runs the script again in a network namespace with nothing but loopback, because linphone would
# put an outer address into its description; skipped without the right to make one.
in_own_network() {
    [ -z "${ALONE:-}" ] || return 0
    unshare --net true 2>/dev/null || { echo "no right to make a network namespace"; exit 77; }
    command -v linphonec >/dev/null || { echo "linphonec is not installed"; exit 77; }
    # shellcheck disable=SC2016 # for the inner shell
    ALONE=1 exec unshare --net bash -c 'ip link set lo up && exec bash "$0" "$@"' "$(readlink -f "$0")" "$@"
}

# linphone_home NAME PORT TONE [LINES]: a folder of configuration, and a sound that it plays. RTP is 20 ports above SIP.
# LINES are added to its [sip] section.
linphone_home() {
    local name=$1 port=$2 tone=$3 lines=${4:-use_info=0}
    mkdir -p "$name/.local/share/linphone" "$name/.config/linphone"
    sox -q -n -r 8000 -c 1 -b 16 "$name/play.wav" synth 60 sine "$tone" vol 0.5
    cat >"$name/rc" <<CONFIG
[sip]
use_ipv6=0
sip_port=$port
sip_tcp_port=0
contact="$name" <sip:${PHONE_USER:-$name}@127.0.0.1>
media_encryption=none
$lines
[rtp]
audio_rtp_port=$((port + 20))
[net]
firewall_policy=0
[sound]
echocancellation=0
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
[audio_codec_1]
mime=PCMA
rate=8000
channels=1
enabled=1
CONFIG
}

# start_linphone NAME: it takes orders by `tell` and plays its sound.
declare -A ORDERS
start_linphone() {
    local name=$1 port i fd
    port=$(sed -n 's/^sip_port=//p' "$name/rc")
    mkfifo "$name.orders"
    HOME=$WORK/$name timeout 120 linphonec -c "$WORK/$name/rc" <"$name.orders" >"$name.log" 2>&1 &
    PHONE_PID=$!
    PIDS+=("$PHONE_PID")
    exec {fd}>"$name.orders"
    ORDERS[$name]=$fd
    for i in $(seq 100); do ss -Hlnu | grep -q ":$port " && break; sleep 0.1; done
    tell "$name" "soundcard use files"
    tell "$name" "play $WORK/$name/play.wav"
}

# tell NAME ORDER: what linphone's own prompt would be told.
tell() { echo "${*:2}" >&"${ORDERS[$1]}"; }

# heard NAME PATTERN [COUNT]: the phone NAME has printed it so often, within 10 s.
heard() {
    local i
    for i in $(seq 100); do [ "$(tr '\r' '\n' <"$1.log" | grep -c -- "$2")" -ge "${3:-1}" ] && return; sleep 0.1; done
    tail -5 "$1.log" | tr '\r\033' '\n ' | sed 's/^/# /'
    return 1
}

# baresip_home NAME ADDRESS:PORT TONE RTP-PORTS [ACCOUNT-PARAMETERS]: a folder of configuration; aufile plays without a
# sound card. It takes orders by `order` on the port 501 above.
baresip_home() {
    local name=$1 address=$2 tone=$3 rtp=$4 parameters=${5:-}
    mkdir -p "$name"
    sox -q -n -r 8000 -c 1 -b 16 "$name/play.wav" synth 60 sine "$tone" vol 0.5
    cat >"$name/config" <<CONFIG
sip_listen              $address
call_local_timeout      30
call_max_calls          4
audio_source            aufile,$WORK/$name/play.wav
audio_player            aufile,$WORK/$name/heard.wav
audio_alert             aufile,$WORK/$name/alert.wav
ausrc_srate             8000
auplay_srate            8000
rtp_ports               $rtp
module_path             $(dirname "$(find /usr/lib -name g711.so -path '*baresip*' | head -1)")
module                  g711.so
module                  aufile.so
module_app              account.so
module_app              menu.so
module_app              ctrl_tcp.so
ctrl_tcp_listen         ${address%:*}:$((${address##*:} + 501))
CONFIG
    : >"$name/contacts"
    echo "<sip:${PHONE_USER:-$name}@$address>;regint=0;audio_codecs=PCMA/8000/1$parameters" >"$name/accounts"
}

# start_baresip NAME SECONDS [OPTIONS]
start_baresip() {
    timeout 120 "$(type -P baresip)" -f "$WORK/$1" -t "$2" "${@:3}" >"$1.log" 2>&1 &
    PHONE_PID=$!
    PIDS+=("$PHONE_PID")
    wait_for_socket "$(sed -n 's/^sip_listen *//p' "$1/config")" "$PHONE_PID"
}

# order NAME COMMAND [PARAMETERS]: what baresip's own prompt would be told; prints its answer.
order() {
    python3 - "$(sed -n 's/^ctrl_tcp_listen *//p' "$1/config")" "$2" "${3:-}" <<'PY'
import json, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
text = json.dumps({"command": sys.argv[2], "params": sys.argv[3], "token": "t"})
with socket.create_connection((host, int(port)), 5) as prompt:
    prompt.sendall(b"%d:%s," % (len(text), text.encode()))
    prompt.settimeout(5)
    said = b""
    while b'"token":"t"' not in said:
        more = prompt.recv(65536)
        if not more:
            break
        said += more
print(said.decode(errors="replace"))
PY
}

check() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name"; fi
}

ok() { echo "ok - $1"; }

not_ok() {
    echo "not ok - $1"
    FAILED=1
}

# What a SIPp that failed has to say.
said() {
    tail -20 "$WORK/$1.errors" 2>/dev/null | sed 's/^/# /'
    grep -E 'Failed call|Unexpected|Successful' "$WORK/$1.out" 2>/dev/null | tail -4 | sed 's/^/# /'
}

finish() {
    local code=$? pid
    for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
    for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && wait "$pid" 2>/dev/null; done
    [ $code = 0 ] || FAILED=1
    if [ $FAILED != 0 ]; then
        echo "# the daemon's last words:"
        tail -15 "$WORK/leaseline.log" 2>/dev/null | sed 's/^/# /'
    fi
    cd /
    if [ -n "${KEEP:-}" ]; then echo "# kept: $WORK"; else rm -rf "$WORK"; fi
    exit $FAILED
}
