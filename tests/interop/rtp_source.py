#!/usr/bin/env python3
"""Sends raw G.711 µ-law files as RTP, each from a port of its own to one of the other side's, until it is ended:
rtp_source.py FROM TO SECONDS FILE:FROM_PORT:TO_PORT…

Standard library only.
"""
import random
import socket
import struct
import sys
import time


def main():
    here, there, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    streams = []
    for word in sys.argv[4:]:
        path, source, target = word.split(':')
        with open(path, 'rb') as f:
            sound = f.read()
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.bind((here, int(source)))
        streams.append((out, (there, int(target)), sound, random.getrandbits(32)))
    began = time.monotonic()
    for n in range(int(seconds * 50)):
        time.sleep(max(0, began + n * 0.02 - time.monotonic()))
        for out, target, sound, ssrc in streams:
            at = n * 160 % (len(sound) - 160)
            out.sendto(struct.pack('>BBHII', 0x80, 0, n & 0xFFFF, n * 160, ssrc) + sound[at:at + 160], target)


main()
