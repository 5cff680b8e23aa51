// A browser phone (SIP.js in headless Chromium) calls a tracking number over secure WebSocket, with digest:
// `node tests/browser/phone.mjs wss://HOST:PORT NUMBER FOLDER PORT`, FOLDER holding an unpacked sip.js package, PORT
// the page's, whose origin our configuration names.
// Signalling is the browser's; the session description is a plain one of our own: media of browsers is `webrtc.mjs`.
import assert from 'node:assert/strict';
import { serve } from './pages.mjs';
import { Browser } from './webdriver.mjs';

const [server, number, folder, port] = process.argv.slice(2);
if (!port) {
  console.error('usage: node tests/browser/phone.mjs wss://HOST:PORT NUMBER FOLDER PORT');
  process.exit(64);
}

const pages = await serve(folder, port);

// Runs in the page.
const place = `
  const [server, number, user, password, talk] = given;
  const { UserAgent, Inviter, SessionState } = await import('/lib/index.js');
  const sdp = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 29990 RTP/AVP 8 0', ''].join('\\r\\n');
  const handler = () => ({
    close() {},
    getDescription: async () => ({ body: sdp, contentType: 'application/sdp' }),
    hasDescription: (type) => type === 'application/sdp',
    setDescription: async (text) => { heard.push(text.split('\\r\\n').filter((line) => line.startsWith('m='))[0]); },
    sendDtmf: () => false,
    rollbackDescription: async () => {},
  });
  const heard = [], states = [], statuses = [];
  const agent = new UserAgent({
    uri: UserAgent.makeURI('sip:' + user + '@leaseline.invalid'),
    authorizationUsername: user, authorizationPassword: password,
    transportOptions: { server }, sessionDescriptionHandlerFactory: handler, logLevel: 'error',
  });
  await agent.start();
  const session = new Inviter(agent, UserAgent.makeURI('sip:' + number + '@leaseline.invalid'));
  const over = new Promise((resolve) => session.stateChange.addListener((state) => {
    states.push(state);
    if (state === SessionState.Established) setTimeout(() => session.bye(), talk);
    if (state === SessionState.Terminated) resolve();
  }));
  await session.invite({ requestDelegate: {
    onProgress: (r) => statuses.push(r.message.statusCode),
    onAccept: (r) => statuses.push(r.message.statusCode),
    onReject: (r) => statuses.push(r.message.statusCode),
  } });
  await over;
  await agent.stop();
  return { states, statuses, heard };
`;

const browser = await Browser.start({ insecure: true });
let failed = 0;
async function check(what, run) {
  try {
    await run();
    console.log(`ok - ${what}`);
  } catch (error) {
    failed++;
    console.log(`not ok - ${what}\n${error.stack}`);
  }
}

// The body waits: WebDriver waits for the promise that it gives.
const inPage = (...args) => browser.run(`const given = [...arguments]; return (async () => {${place}})();`, ...args);

try {
  await browser.open(pages.base);
  await check('a browser phone logs in, calls and hangs up', async () => {
    const said = await inPage(server, number, 'browser', 'a browser secret', 1500);
    assert.deepEqual(said.states, ['Establishing', 'Established', 'Terminated']);
    assert.ok(said.statuses.includes(180) && said.statuses.includes(200), `${said.statuses}`);
    assert.match(said.heard.at(-1), /^m=audio \d+ RTP\/AVP 0/);
  });
  await check('a wrong password is not let in', async () => {
    const said = await inPage(server, number, 'browser', 'not it', 100);
    assert.deepEqual(said.states, ['Establishing', 'Terminated']);
    assert.ok(said.statuses.every((status) => status >= 400), `${said.statuses}`);
  });
} finally {
  await browser.stop();
  pages.server.close();
}
process.exitCode = failed ? 1 : 0;
