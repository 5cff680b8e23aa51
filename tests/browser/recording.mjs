// A recording in headless Chromium: `node tests/browser/recording.mjs PAGE RECORDING MILLISECONDS`, both URLs of one origin.
// The audio element must say the right length, and decodeAudioData must give two channels: 400 Hz left, 1100 Hz right.
import assert from 'node:assert/strict';
import { Browser } from './webdriver.mjs';

const [page, recording, milliseconds] = process.argv.slice(2);
if (!milliseconds) {
  console.error('usage: node tests/browser/recording.mjs PAGE RECORDING MILLISECONDS');
  process.exit(64);
}
const wanted = Number(milliseconds) / 1000;

// Runs in the page.
const listen = `
  const [url] = arguments;
  return (async () => {
    const audio = document.createElement('audio');
    const ready = new Promise((resolve, reject) => {
      audio.addEventListener('loadedmetadata', resolve);
      audio.addEventListener('error', () => reject(new Error('audio: ' + audio.error.code + ' ' + audio.error.message)));
    });
    audio.preload = 'auto';
    audio.src = url;
    await ready;
    const bytes = await (await fetch(url)).arrayBuffer();
    const sound = await new OfflineAudioContext(2, 8000, 8000).decodeAudioData(bytes);
    const hertz = [];
    for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
      // From the middle: both are talking there.
      const samples = sound.getChannelData(channel);
      const from = Math.floor(samples.length / 4), to = Math.floor(samples.length * 3 / 4);
      let crossings = 0;
      for (let at = from; at < to; at += 1) if (samples[at] < 0 !== samples[at + 1] < 0) crossings += 1;
      hertz.push(crossings / 2 / ((to - from) / sound.sampleRate));
    }
    return { element: audio.duration, decoded: sound.duration, channels: sound.numberOfChannels, hertz };
  })();
`;

const browser = await Browser.start();
try {
  await browser.open(page);
  const heard = await browser.run(listen, recording);
  console.log(JSON.stringify(heard));
  assert.equal(heard.channels, 2);
  assert.ok(Math.abs(heard.element - wanted) < 0.05, `${heard.element} s, not ${wanted}`);
  assert.ok(Math.abs(heard.decoded - wanted) < 0.05, `${heard.decoded} s, not ${wanted}`);
  assert.ok(Math.abs(heard.hertz[0] - 400) < 20, `left has ${heard.hertz[0]} Hz`);
  assert.ok(Math.abs(heard.hertz[1] - 1100) < 40, `right has ${heard.hertz[1]} Hz`);
} finally {
  await browser.stop();
}
