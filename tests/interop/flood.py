"""A flood of INVITEs from strangers, and honest calls beside it: how much later are they set up?

Plays the caller, the company's phone and the strangers; prints figures and exits 0 when the bound holds."""

import argparse
import multiprocessing
import select
import socket
import statistics
import sys
import threading
import time

NUMBER = "+442079460500"
SDP = ("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n"
       "m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n")


def request(method, node, us, call, cseq, to_tag="", body="", branch=None):
    ip, port = us
    lines = [
        f"{method} sip:{NUMBER}@{node}:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP {ip}:{port};branch={branch or f'z9hG4bK-{call}-{cseq}-{method}'}",
        "Max-Forwards: 70",
        f"From: <sip:07700900123@{ip}>;tag=f-{call}",
        f"To: <sip:{NUMBER}@{node}>{to_tag}",
        f"Call-ID: {call}@{ip}",
        f"CSeq: {cseq} {method}",
        f"Contact: <sip:a@{ip}:{port}>",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def company(address):
    """Answers every INVITE at once, and every BYE."""
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.bind((address, 5080))
    while True:
        data, peer = phone.recvfrom(65535)
        head = data.decode(errors="replace").split("\r\n\r\n")[0].split("\r\n")
        method = head[0].split(" ")[0]
        if method not in ("INVITE", "BYE"):
            continue
        keep = [line for line in head[1:] if line.split(":")[0] in ("Via", "From", "Call-ID", "CSeq")]
        to = next(line for line in head if line.startswith("To:"))
        body = SDP.format(ip=address, port=31000) if method == "INVITE" else ""
        lines = ["SIP/2.0 200 OK", *keep, to if ";tag=" in to else to + ";tag=company",
                 f"Contact: <sip:phone@{address}:5080>"]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        phone.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), peer)


def honest(caller, node, name, seconds):
    """Calls one after the other; gives the milliseconds from INVITE to 200 of each."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind((caller, 0))
    us, took = line.getsockname(), []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        call = f"{name}-{len(took)}"
        invite = request("INVITE", node, us, call, 1, body=SDP.format(ip=caller, port=30000))
        began = time.monotonic()
        answer = exchange(line, invite, (node, 5060), lambda text: text.startswith("SIP/2.0 2"))
        took.append((time.monotonic() - began) * 1000)
        tag = next(part for part in answer.split("\r\n") if part.startswith("To:")).split(";tag=")[1]
        line.sendto(request("ACK", node, us, call, 1, f";tag={tag}"), (node, 5060))
        bye = request("BYE", node, us, call, 2, f";tag={tag}")
        exchange(line, bye, (node, 5060), lambda text: text.startswith("SIP/2.0 2") and " BYE\r\n" in text)
        time.sleep(0.02)
    return took


def exchange(line, message, to, is_answer):
    """Sends, and again as RFC 3261 has it, until the answer comes."""
    wait, line_until = 0.5, time.monotonic() + 16
    line.sendto(message, to)
    again = time.monotonic() + wait
    while time.monotonic() < line_until:
        line.settimeout(max(0.001, again - time.monotonic()))
        try:
            text = line.recv(65535).decode(errors="replace")
        except TimeoutError:
            line.sendto(message, to)
            wait, again = wait * 2, time.monotonic() + wait * 2
            continue
        if is_answer(text):
            return text
    sys.exit("not ok - an honest request had no answer within 16 s")


def stranger(net, index, node, rate, seconds, result):
    """One share of the flood, from eight addresses."""
    lines = []
    for host in range(8):
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.bind((f"{net}.{10 + 8 * index + host}", 0))
        line.connect((node, 5060))
        lines.append(line)
    body = SDP.format(ip="198.18.0.1", port=40000)
    flood = [request("INVITE", node, line.getsockname(), f"s{index}-{n}", 1, body=body) for n, line in
             ((n, lines[n % 8]) for n in range(512))]
    sent, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * rate)
        if due <= sent:
            time.sleep(0.0005)
            continue
        for n in range(sent, min(due, sent + 512)):
            try:
                lines[n % 8].send(flood[n % 512])
            except OSError:
                pass
        sent = min(due, sent + 512)
    time.sleep(0.2)
    heard = len(select.select(lines, [], [], 0)[0])
    result.put((sent, time.monotonic() - began - 0.2, heard))


def show(name, took):
    ordered = sorted(took)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(f"# {name}: {len(took)} calls, set up in {statistics.median(took):.2f} ms (median), "
          f"{p95:.2f} (95 %), {ordered[-1]:.2f} (worst)", flush=True)
    return statistics.median(took), p95


def main():
    parser = argparse.ArgumentParser()
    for name in ("node", "caller", "company", "strangers"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--extra", type=float, default=50)
    args = parser.parse_args()
    threading.Thread(target=company, args=(args.company,), daemon=True).start()
    honest(args.caller, args.node, "warm", 0.5)
    median, p95 = show("without", honest(args.caller, args.node, "without", 3))
    results, shares = multiprocessing.Queue(), 2
    floods = [multiprocessing.Process(target=stranger, args=(args.strangers, index, args.node, args.rate / shares,
                                                             args.seconds, results)) for index in range(shares)]
    for flood in floods:
        flood.start()
    time.sleep(0.3)
    flooded_median, flooded_p95 = show("flooded", honest(args.caller, args.node, "flooded", args.seconds - 0.6))
    shares = [results.get(timeout=10) for _ in floods]
    for flood in floods:
        flood.join()
    rate = sum(sent / seconds for sent, seconds, _ in shares)
    heard = sum(heard for _, _, heard in shares)
    print(f"# the flood: {rate:.0f} INVITE/s of {args.rate}, {heard} strangers heard something; "
          f"extra {flooded_median - median:.2f} ms (median), {flooded_p95 - p95:.2f} ms (95 %)", flush=True)
    return 0 if heard == 0 and flooded_p95 - p95 < args.extra else 1


if __name__ == "__main__":
    sys.exit(main())
