#!/usr/bin/env bash
# Recordings stored in a real S3 server (moto, of PyPI), read back with boto3, verified offline.
. "$(dirname "$0")/lib.sh"
python3 -c 'import moto.server, boto3' 2>/dev/null || pip install --quiet 'moto[server]' boto3 >/dev/null 2>&1 ||
    { echo "moto is not here and cannot be installed"; exit 77; }
begin s3
S3=$NET.8
export AWS_ACCESS_KEY_ID=test-key AWS_SECRET_ACCESS_KEY=test-secret AWS_DEFAULT_REGION=eu-west-1
python3 -m moto.server -H "$S3" -p 9000 >moto.log 2>&1 &
S3_PID=$!
PIDS+=("$S3_PID")
for _ in $(seq 200); do curl -s -o /dev/null "http://$S3:9000/" && break; sleep 0.1; done
cat >bucket.py <<PY
import boto3, os, sys
s3 = boto3.client("s3", endpoint_url="http://$S3:9000")
if sys.argv[1] == "make":
    for bucket in ("calls", "lake"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
elif sys.argv[1] == "lake":
    for item in s3.list_objects_v2(Bucket="lake", Prefix="rows/lake-v1-").get("Contents", []):
        sys.stdout.write(s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read().decode())
else:
    for item in s3.list_objects_v2(Bucket="calls").get("Contents", []):
        path = os.path.join("copy", item["Key"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        s3.download_file("calls", item["Key"], path)
PY
check "the bucket is there" python3 bucket.py make
EXTRA="[[archive]]
kind = \"s3\"
endpoint = \"http://$S3:9000\"
bucket = \"calls\"
region = \"eu-west-1\"
prefix = \"node-1/\"
access_key = \"test-key\"
secret_key = \"test-secret\"
[[export]]
name = \"lake\"
kind = \"files\"
format = \"csv\"
every = \"0s\"
[export.storage]
endpoint = \"http://$S3:9000\"
bucket = \"lake\"
region = \"eu-west-1\"
path_style = true
prefix = \"rows/\"
access_key = \"test-key\"
secret_key = \"test-secret\""
start_leaseline
TALK=1000
for _ in 1 2; do
    company uas_answer
    caller uac_answer
    both "a call"
done
for _ in $(seq 100); do
    [ "$(grep -c recording.archived "$DATA/events.jsonl")" = 2 ] && break
    sleep 0.1
done
check "both calls are archived" test "$(grep -c recording.archived "$DATA/events.jsonl")" = 2
python3 bucket.py read
check "the bucket has sound and sidecars" test "$(find copy -type f | wc -l)" = 4
check "what boto3 reads is what was recorded" diff -r "$DATA/recordings" copy/node-1/recordings
check "verify is content with the copy" "$LEASELINE" verify copy/node-1/recordings
for _ in $(seq 100); do
    [ "$(grep -c export.sent "$DATA/events.jsonl")" = 2 ] && break
    sleep 0.1
done
python3 bucket.py lake >rows.csv
jq -r 'select(.type == "leaseline.call.ended") | .data.call_id' "$DATA/events.jsonl" | sort >ids.txt
check "the lake has a row for each call" diff ids.txt <(grep -v '^schema_version' rows.csv | cut -d, -f5 | sort)
ID=$(jq -r 'select(.type == "leaseline.call.ended") | .data.call_id' "$DATA/events.jsonl" | tail -1)
"$LEASELINE" erase --config leaseline.toml --call "$ID" >erased.txt
for _ in $(seq 100); do
    rm -rf copy
    python3 bucket.py read
    [ "$(find copy -type f | wc -l)" = 2 ] && break
    sleep 0.2
done
check "what is erased here is deleted there" test -z "$(find copy -name "$ID*")"
stop_leaseline
