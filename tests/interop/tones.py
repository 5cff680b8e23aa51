#!/usr/bin/env python3
"""Looks for tones in a recording: tones.py FILE.wav CHECK…

left=400       most of the left channel's sound is at 400 Hz (right= likewise)
left!=1100     hardly anything of 1100 Hz is in the left channel
length=3.0     so many seconds, within 0.3
longer=2.0     at least so many seconds

Standard library only: a Goertzel filter over frames of 50 ms. Silent frames do not count, nor those beside them: where a
sound begins or ends, a frame has only a part of it.
"""
import array
import math
import sys
import wave

FRAME = 400


def power(samples, frequency, rate):
    """Share of the frame's energy at one frequency, 0 to 1."""
    w = 2 * math.cos(2 * math.pi * frequency / rate)
    a = b = 0.0
    for x in samples:
        a, b = x + w * a - b, a
    energy = sum(x * x for x in samples)
    tone = (a * a + b * b - w * a * b) * 2 / len(samples)
    return tone / energy if energy else 0.0


def share(channel, frequency, rate):
    """Share of the frames with sound whose sound is that tone; and how many frames have sound."""
    frames = [channel[i:i + FRAME] for i in range(0, len(channel) - FRAME, FRAME)]
    sounds = [sum(x * x for x in f) / FRAME > 300 ** 2 for f in frames]
    loud = [f for i, f in enumerate(frames) if all(sounds[max(i - 1, 0):i + 2])]
    hits = sum(power(f, frequency, rate) > 0.7 for f in loud)
    return (hits / len(loud) if loud else 0.0), len(loud)


def main():
    path, checks = sys.argv[1], sys.argv[2:]
    with wave.open(path) as f:
        rate, channels = f.getframerate(), f.getnchannels()
        data = array.array('h', f.readframes(f.getnframes()))
    sides = {'left': data[0::channels], 'right': data[1::channels] if channels > 1 else data}
    seconds = len(sides['left']) / rate
    bad = []
    for check in checks:
        key, value = check.split('=')
        if key == 'length':
            good, found = abs(seconds - float(value)) <= 0.3, f'{seconds:.2f} s'
        elif key == 'longer':
            good, found = seconds >= float(value), f'{seconds:.2f} s'
        else:
            shares = [share(sides[key.rstrip('!')], int(one), rate) for one in value.split('+')]
            hits, loud = sum(hits for hits, _ in shares), shares[0][1]
            found = f'{hits:.0%} of {loud} frames'
            good = hits <= 0.05 if key.endswith('!') else hits >= 0.9 and loud >= 10
        if not good:
            bad.append(f'{check}: found {found}')
    if bad:
        print(f'# {path}: ' + '; '.join(bad))
        sys.exit(1)


main()
