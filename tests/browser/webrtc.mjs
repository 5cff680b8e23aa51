// A phone in a browser speaks: SIP.js with its own WebRTC in headless Chromium, over secure WebSocket, with digest.
// `node tests/browser/webrtc.mjs wss://HOST:PORT NUMBER FOLDER PORT SOUND.wav`: FOLDER holds an unpacked sip.js package,
// PORT is the page's, whose origin our configuration names, SOUND is what the microphone hears.
import assert from 'node:assert/strict';
import { serve } from './pages.mjs';
import { Browser } from './webdriver.mjs';

const [server, number, folder, port, sound] = process.argv.slice(2);
if (!sound) {
  console.error('usage: node tests/browser/webrtc.mjs wss://HOST:PORT NUMBER FOLDER PORT SOUND.wav');
  process.exit(64);
}

// Runs in the page: one call of some seconds; gives what WebRTC says of it, every second.
const place = `
  const [server, number, user, password, options] = given;
  const { UserAgent, Inviter, SessionState } = await import('/lib/index.js');
  const agent = new UserAgent({
    uri: UserAgent.makeURI('sip:' + user + '@leaseline.invalid'),
    authorizationUsername: user, authorizationPassword: password,
    transportOptions: { server }, logLevel: 'error',
    sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 1000, peerConnectionConfiguration: { iceServers: [] } },
  });
  await agent.start();
  // What makes speech of a tone: nothing.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const session = new Inviter(agent, UserAgent.makeURI('sip:' + number + '@leaseline.invalid'), {
    inviteWithoutSdp: options.late || false,
    sessionDescriptionHandlerOptions: { constraints: { audio, video: false } },
  });
  const states = [], samples = [], statuses = [];
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const established = new Promise((resolve) => session.stateChange.addListener((state) => {
    states.push(state);
    if (state === SessionState.Established || state === SessionState.Terminated) resolve(state);
  }));
  const over = new Promise((resolve) => session.stateChange.addListener((state) => {
    if (state === SessionState.Terminated) resolve();
  }));
  // The tone that is heard, by the strongest of 2048 bins.
  let analyser;
  const listen = async () => {
    const stream = session.sessionDescriptionHandler.remoteMediaStream;
    // Without an element that plays it nothing is decoded.
    const player = new Audio();
    player.srcObject = stream;
    await player.play();
    const context = new AudioContext();
    await context.resume();
    analyser = context.createAnalyser();
    analyser.fftSize = 4096;
    context.createMediaStreamSource(stream).connect(analyser);
  };
  const tone = () => {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    return Math.round(bins.indexOf(Math.max(...bins)) * analyser.context.sampleRate / analyser.fftSize);
  };
  const look = async () => {
    const connection = session.sessionDescriptionHandler.peerConnection;
    const all = [...(await connection.getStats()).values()];
    const of = (type, more = () => true) => all.find((one) => one.type === type && more(one)) || {};
    const heard = of('inbound-rtp'), told = of('outbound-rtp'), transport = of('transport');
    const pair = of('candidate-pair', (one) => one.id === transport.selectedCandidatePairId);
    samples.push({
      dtls: transport.dtlsState, cipher: transport.srtpCipher, tls: transport.tlsVersion, ice: pair.state,
      role: transport.dtlsRole, answered: pair.responsesReceived,
      received: heard.packetsReceived || 0, lost: heard.packetsLost, discarded: heard.packetsDiscarded,
      energy: heard.totalAudioEnergy || 0, tone: tone(), sent: told.packetsSent || 0,
      reported: of('remote-inbound-rtp').roundTripTime,
      codec: (all.find((one) => one.id === heard.codecId) || {}).mimeType,
      ufrag: /a=ice-ufrag:(\\S+)/.exec(connection.currentRemoteDescription.sdp)[1],
    });
  };
  await session.invite({ requestDelegate: {
    onAccept: (r) => statuses.push(r.message.statusCode),
    onReject: (r) => statuses.push(r.message.statusCode),
  } });
  if (await established === SessionState.Established) {
    await listen();
    await pause(options.talk / 2);
    await look();
    if (options.restart) {
      await session.invite({ sessionDescriptionHandlerOptions: {
        constraints: { audio, video: false }, offerOptions: { iceRestart: true },
      } });
    }
    await pause(options.talk / 2);
    await look();
    await session.bye();
    await over;
  }
  await agent.stop();
  return { states, statuses, samples };
`;

const flags = [
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${sound}`,
  // A machine without a network has loopback only.
  '--allow-loopback-in-peer-connection',
];
const pages = await serve(folder, port);
const browser = await Browser.start({ insecure: true, flags });
let failed = 0;

// A call after which the browser has heard and said as much as it should.
async function call(what, options, codec) {
  try {
    const given = [server, number, 'browser', 'a browser secret', { talk: 4000, ...options }];
    const said = await browser.run(`const given = [...arguments]; return (async () => {${place}})();`, ...given);
    const told = JSON.stringify(said);
    assert.deepEqual(said.states, ['Establishing', 'Established', 'Terminated'], told);
    const [first, last] = said.samples;
    for (const sample of said.samples) {
      assert.equal(sample.dtls, 'connected', told);
      assert.equal(sample.codec, codec, told);
    }
    assert.ok(first.received > 50 && last.received > first.received + 50, `packets heard: ${told}`);
    assert.ok(first.sent > 50 && last.sent > first.sent + 50, `packets said: ${told}`);
    assert.ok(last.energy > 0.01 && Math.abs(last.tone - 1100) < 30, `the other side is heard: ${told}`);
    assert.equal(options.restart || false, first.ufrag !== last.ufrag, `names of ICE: ${told}`);
    console.log(`ok - ${what}: ${last.tls} ${last.cipher} ${last.codec}, ${last.received} packets heard`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${what}\n${error.stack}`);
  }
}

try {
  await browser.open(pages.base);
  await call('a browser calls', {}, process.env.CODEC);
  await call('ICE begins anew in a call', { restart: true }, process.env.CODEC);
  await call('the browser answers our offer', { late: true }, process.env.LATE_CODEC || process.env.CODEC);
} finally {
  await browser.stop();
  pages.server.close();
}
process.exitCode = failed ? 1 : 0;
