#!/usr/bin/env python3
"""Listens on two RTP ports and writes what comes (G.711 µ-law) as stereo: rtp_sink.py ADDRESS LEFT_PORT RIGHT_PORT FILE.wav

Ends two seconds after the last packet, or after 60 s. Prints how many packets each port got and how many were missing.
Standard library only.
"""
import array
import select
import socket
import sys
import time
import wave


def linear(byte):
    """ITU-T G.711, µ-law."""
    byte = ~byte & 0xFF
    value = (((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)
    return 0x84 - value if byte & 0x80 else value - 0x84


def main():
    address, ports, path = sys.argv[1], [int(port) for port in sys.argv[2:4]], sys.argv[4]
    sockets = []
    for port in ports:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((address, port))
        sockets.append(one)
    heard, sources = [{}, {}], [set(), set()]
    started, last = time.monotonic(), None
    while time.monotonic() - started < 60 and (last is None or time.monotonic() - last < 2):
        for ready in select.select(sockets, [], [], 0.2)[0]:
            packet, source = ready.recvfrom(2048)
            side = sockets.index(ready)
            last = time.monotonic()
            sources[side].add(source)
            if packet[1] & 0x7F == 0:
                heard[side][int.from_bytes(packet[2:4], 'big')] = packet[12:]
    table = [linear(byte) for byte in range(256)]
    channels = [[table[byte] for number in sorted(side) for byte in side[number]] for side in heard]
    length = min(len(channel) for channel in channels)
    data = array.array('h', [sample for pair in zip(channels[0][:length], channels[1][:length]) for sample in pair])
    with wave.open(path, 'wb') as f:
        f.setnchannels(2)
        f.setsampwidth(2)
        f.setframerate(8000)
        f.writeframes(data.tobytes())
    for side, name in enumerate(['left', 'right']):
        numbers = sorted(heard[side])
        missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
        print(f'{name} {len(numbers)} missing {missing} sources {len(sources[side])}')


main()
