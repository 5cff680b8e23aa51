// The console in a real browser: `node tests/browser/console.mjs http://HOST:PORT AXE.min.js [FOLDER]` against a program that
// has calls, one of them in progress. With FOLDER pictures are left there. Exit 0 when all checks held.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Browser } from './webdriver.mjs';

const [base, axeFile, folder] = process.argv.slice(2);
if (!axeFile) {
  console.error('usage: node tests/browser/console.mjs http://HOST:PORT AXE.min.js [FOLDER]');
  process.exit(64);
}
if (folder) mkdirSync(folder, { recursive: true });
const axe = await readFile(axeFile, 'utf8');
const browser = await Browser.start({ width: 1280, height: 900 });
let failed = 0;

async function check(what, run) {
  const began = Date.now();
  try {
    await run();
    assert.deepEqual(await browser.complaints(), [], 'the browser complained');
    console.log(`ok   ${what} (${Date.now() - began} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${what}\n${error.stack}`);
  }
}

// The driver may come back before the style sheet is there.
async function open(url) {
  await browser.open(url);
  await browser.until('the whole page', 'return document.readyState === "complete" && document.styleSheets.length > 0');
}

async function cookie(name, value) {
  await browser.cdp('Network.setCookie', { name, value, url: base });
}

async function dress({ lang, theme, width }) {
  await cookie('leaseline_lang', lang);
  await cookie('leaseline_theme', theme);
  await browser.size(width, width < 600 ? 800 : 900);
}

// What is wrong with the page for those who do not see or do not use a mouse; only what is serious.
async function accessible(where) {
  await browser.run(`if (!window.axe) { ${axe} }`);
  const found = await browser.run(`return axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(' | ')))`);
  assert.deepEqual(found, [], `axe on ${where}`);
}

const WORN = [
  { lang: 'en', theme: 'light', width: 1280, axe: true },
  { lang: 'ru', theme: 'dark', width: 390, axe: true },
  { lang: 'en', theme: 'dark', width: 1280 },
  { lang: 'ru', theme: 'light', width: 390 },
];

try {
  await open(`${base}/calls`);
  const calls = await browser.run('return [...document.querySelectorAll("a.row")].map((a) => a.getAttribute("href"))');
  const PAGES = {
    overview: '/', calls: '/calls', 'calls-none': '/calls?source=nobody', call: calls[calls.length - 1], 'call-evil': calls[calls.length - 2],
    live: '/live', pools: '/pools', pool: '/pools/acme-web', numbers: '/numbers', number: '/numbers/442079460000', planner: '/planner?price=1.50&channels=5',
    channel: '/channels/new', catalogue: '/catalogue', edit: '/catalogue/edit?part=pools&name=acme-web',
    'edit-company': '/catalogue/edit?part=companies&name=acme', 'edit-text': '/catalogue/edit?part=pools&name=acme-web&as=text', install: '/install', health: '/health',
    events: '/events', audit: '/events?kind=audit', 'sign-in': '/sign-in', missing: '/calls/00000000000000000000000000000000',
    sources: '/sources', 'source-down': '/sources?source=yandex-direct&model=linear&against=last&look_back=90', 'sources-none': '/sources?period=last_month',
    'sources-bad': '/sources?since=yesterday', channels: '/channels', 'channels-pools': '/channels?by=pool', models: '/models', repeat: '/repeat?period=7d',
    'missed-calls': '/missed', hours: '/hours?period=90d', regions: '/regions', agents: '/agents', quality: '/quality', 'audit-report': '/audit',
  };
  for (const worn of WORN) {
    await check(`every screen: ${worn.lang}, ${worn.theme}, ${worn.width} px`, async () => {
      await dress(worn);
      for (const [name, path] of Object.entries(PAGES)) {
        await open(base + path);
        const seen = await browser.run(`return {
          page: document.documentElement.scrollWidth, lang: document.documentElement.lang,
          title: document.title, h1: document.querySelectorAll('h1').length, evil: !!document.querySelector('main script'),
          paper: getComputedStyle(document.body).backgroundColor,
        }`);
        assert.ok(seen.page <= worn.width, `${name}: ${seen.page} px on ${worn.width}`);
        assert.equal(seen.lang, worn.lang, name);
        assert.equal(seen.h1, 1, name);
        assert.ok(seen.title.length > 11 && !seen.evil, name);
        assert.equal(seen.paper, worn.theme === 'dark' ? 'rgb(17, 21, 20)' : 'rgb(246, 245, 241)', name);
        if (worn.axe) await accessible(name);
        if (['missing', 'sources-bad'].includes(name)) await browser.complaints();
        if (folder) await browser.screenshot(join(folder, `${name}-${worn.lang}-${worn.theme}-${worn.width}.png`));
      }
    });
  }

  await dress({ lang: 'en', theme: 'light', width: 1280 });
  await check('the switches change language and colours, and stay', async () => {
    await open(`${base}/pools`);
    await browser.click('button[name="lang"][value="ru"]');
    await browser.until('Russian', 'return document.documentElement.lang === "ru" && location.pathname === "/pools"');
    await browser.click('button[name="theme"][value="dark"]');
    await browser.until('dark', 'return document.documentElement.dataset.theme === "dark"');
    await open(`${base}/calls`);
    assert.equal(await browser.run('return document.documentElement.lang + document.documentElement.dataset.theme'), 'rudark');
    await dress({ lang: 'en', theme: 'light', width: 1280 });
  });

  await check('the keyboard reaches everything, and shows where it is', async () => {
    await open(`${base}/calls`);
    const press = (value) => browser.send('POST', '/actions', { actions: [{ type: 'key', id: 'keys', actions: [{ type: 'keyDown', value }, { type: 'keyUp', value }] }] });
    await press('\uE004');
    assert.equal(await browser.run('return document.activeElement.className'), 'skip', 'the skip link is first');
    assert.ok(await browser.run('return document.activeElement.getBoundingClientRect().top >= 0'), 'and is seen');
    await press('\uE007');
    assert.equal(await browser.run('return document.activeElement.id'), 'main');
    const walked = new Set();
    let hidden = '';
    await browser.run('document.activeElement.blur(); document.body.focus(); scrollTo(0, 0)');
    await open(`${base}/calls`);
    for (let step = 0; step < 90; step += 1) {
      await press('\uE004');
      const at = await browser.run(`const a = document.activeElement; const s = getComputedStyle(a); return { what: a.tagName + (a.getAttribute('href') || a.name || a.className), line: s.outlineStyle, date: a.type === 'date' }`);
      walked.add(at.what);
      // Inside of a date field the browser shows the place itself.
      if (at.line === 'none' && !at.date && !at.what.startsWith('BODY')) hidden = at.what;
      if (at.what.startsWith('BODY')) break;
    }
    assert.equal(hidden, '', 'focus is seen');
    for (const wanted of ['A/live', 'INPUTsince', 'SELECToutcome', `A${calls[0]}`]) assert.ok(walked.has(wanted), `${wanted} of ${[...walked]}`);
    await browser.run('document.activeElement.blur()');
    await press('j');
    assert.equal(await browser.run('return document.activeElement.getAttribute("href")'), calls[0], 'j is the next row');
    await press('?');
    assert.ok(await browser.run('return document.getElementById("keys").open'));
    await press('\uE00C');
    await press('/');
    assert.equal(await browser.run('return document.activeElement.id'), 'search');
  });

  await check('filters stand in the address, and are saved by name', async () => {
    await open(`${base}/calls`);
    await browser.run('document.querySelector("input[name=source]").value = "yandex-direct"; document.querySelector("form.filters").requestSubmit()');
    await browser.until('the filter', 'return location.search.includes("source=yandex-direct") && document.querySelector("a.row") && [...document.querySelectorAll("td.c-origin")].every((cell) => cell.innerText.includes("yandex-direct"))');
    assert.match(await browser.run('return document.querySelector("main tbody").innerText'), /yandex-direct · kitchens/);
    await browser.run('window.prompt = () => "Direct"; document.querySelector("#saved-filters button").click()');
    await open(`${base}/calls`);
    assert.match(await browser.until('the name', 'const a = document.querySelector("#saved-filters a"); return a && a.href'), /source=yandex-direct/);
  });

  await check('R1: reports keep what was chosen in the address, on the way down and into a file', async () => {
    await open(`${base}/sources`);
    await browser.click('.presets a[href*="period=7d"]');
    await browser.until('seven days', 'return location.search === "?period=7d"');
    await browser.click('main tbody th a');
    await browser.until('one level down', 'return /period=7d&source=/.test(location.search)');
    await browser.run('document.querySelector("[name=model]").value = "linear"; document.querySelector("form.filters").requestSubmit()');
    await browser.until('another model', 'return /model=linear/.test(location.search) && /period=7d/.test(location.search) && /source=/.test(location.search)');
    assert.match(await browser.run('return document.querySelector("main thead").innerText + document.querySelector("main .sheet thead").innerText'), /Linear/);
    assert.equal(await browser.run('return document.querySelectorAll(".presets [aria-current]").length'), 1);
    const file = await browser.run('return fetch(document.querySelector("main .actions a").href).then((answer) => answer.text().then((text) => answer.status + " " + text.split("\\r\\n")[0]))');
    assert.match(file, /^200 name,/);
    await open(`${base}/quality`);
    assert.ok(await browser.run('return document.querySelectorAll(".plot circle").length') > 0, 'the form said who called');
  });

  await check('C8: the player has its place in the waveform, speed and jumps', async () => {
    await open(base + calls[calls.length - 1]);
    assert.equal(await browser.run('return document.querySelectorAll(".wave path").length'), 2, 'two voices');
    assert.equal(await browser.run('return document.querySelector("audio").readyState'), 0, 'who looks has not listened');
    await browser.run('document.querySelector("audio").load(); document.querySelector("audio").preload = "metadata"');
    await browser.until('the sound', 'return document.querySelector("audio").readyState >= 1');
    const ms = await browser.run('return Number(document.querySelector(".wave").dataset.ms)');
    const seconds = await browser.run('return document.querySelector("audio").duration');
    assert.ok(Math.abs(seconds * 1000 - ms) < 50, `${seconds} s, ${ms} ms`);
    await browser.run('const s = document.querySelector("[data-speed]"); s.value = "2"; s.dispatchEvent(new Event("change"))');
    assert.equal(await browser.run('return document.querySelector("audio").playbackRate'), 2);
    await browser.run(`const w = document.querySelector('.wave'); const b = w.getBoundingClientRect();
      w.dispatchEvent(new MouseEvent('click', { clientX: b.left + b.width / 2, clientY: b.top + 5, bubbles: true }))`);
    await browser.until('the place', 'return Number(document.querySelector(".wave .place").getAttribute("x1")) > 100');
    assert.ok(await browser.run('return document.querySelectorAll(".rung").length') >= 8, 'the ladder');
  });

  await check('the live board follows, and hangs up', async () => {
    await open(`${base}/live`);
    await browser.until('the stream', 'return document.getElementById("stream").classList.contains("good")');
    await browser.until('the call', 'return document.querySelectorAll("#board tbody tr").length === 1');
    await browser.run('document.querySelector("#board button.danger").click()'); // the board may be drawn anew at any moment
    await browser.until('nothing', 'return location.pathname === "/live" && !document.querySelector("#board tbody tr")');
  });

  await check('P18: the wizard makes a channel, the install check watches it (R7)', async () => {
    await open(`${base}/channels/new`);
    const next = (text) => browser.run(`for (const [name, value] of Object.entries(arguments[0])) document.querySelector('[name="' + name + '"]').value = value;
      document.querySelector('form.wide-form').requestSubmit()`, text);
    await next({ name: 'direct', site: 'acme-site' });
    await browser.until('step 2', 'return document.querySelector("[name=traffic]") && document.querySelector("select[name=traffic]")');
    await next({ traffic: 'yandex_direct' });
    await browser.until('step 3', 'return document.querySelector("textarea[name=numbers]")');
    await next({ numbers: '020 7946 0700\n(020) 7946-0701' });
    await browser.until('step 4', 'return document.querySelector("input[name=hold][type=text]")');
    if (folder) await browser.screenshot(join(folder, 'wizard-4.png'));
    await next({});
    await browser.until('step 5', 'return location.search === "?pool=direct" && document.querySelector("#snippet")');
    assert.match(await browser.run('return document.querySelector("#snippet").textContent'), /data-site="acme-site"/);
    await browser.until('the checks', 'return document.querySelectorAll(".checks-list .tag.good").length >= 4');
    if (folder) await browser.screenshot(join(folder, 'wizard-5.png'));
    await accessible('step 5');
  });

  await check('a change of the catalogue shows its diff, is saved, and taken back', async () => {
    await open(`${base}/catalogue/edit?part=pools&name=direct`);
    const numbers = (text) => browser.run('document.querySelector("[name=\\"e.numbers\\"]").value = arguments[0]; document.querySelector("form.wide-form .primary").click()', text);
    await numbers('+442079460700\nnowhere');
    await browser.until('what is wrong, beside its field', 'return document.querySelector(".bad-text") && document.querySelector("[name=\\"e.numbers\\"][aria-invalid=true]")');
    assert.match(await browser.run('return document.querySelector("[name=\\"e.numbers\\"]").value'), /nowhere/, 'what was typed is kept');
    await accessible('a form with a mistake');
    assert.match((await browser.complaints()).join(), /catalogue\/diff .* 422/, 'the answer is a refusal');
    if (folder) await browser.screenshot(join(folder, 'edit-wrong.png'));
    await numbers('+442079460700..+442079460705');
    const diff = await browser.until('the diff', 'const d = document.querySelector(".diff"); return d && d.innerText');
    assert.match(diff, /442079460705/);
    if (folder) await browser.screenshot(join(folder, 'diff.png'));
    await browser.run('document.querySelector("form.wide-form").requestSubmit()');
    await browser.until('saved', 'return location.search === "?saved=1" && document.querySelector(".notice")');
    if (folder) await browser.screenshot(join(folder, 'catalogue-saved.png'));
    await open(`${base}/catalogue/versions/1`);
    await browser.run('document.querySelector("form[action=\\"/catalogue/rollback\\"]").requestSubmit()');
    await browser.until('rolled back', 'return location.search === "?saved=1"');
    assert.match(await browser.run('return document.querySelector("main").innerText'), /Version 3/);
  });

  await check('pages are whole without JavaScript', async () => {
    await browser.cdp('Emulation.setScriptExecutionDisabled', { value: true });
    await browser.open(`${base}/calls`);
    const found = await browser.send('POST', '/elements', { using: 'css selector', value: 'a.row' });
    assert.ok(found.length >= 4, `${found.length} rows`);
    // Nothing in the page can be asked now: the driver itself waits for what is looked for.
    await browser.send('POST', '/timeouts', { implicit: 15000 });
    await browser.click('a.row');
    await browser.send('POST', '/element', { using: 'css selector', value: '.timeline li' });
    await browser.send('POST', '/timeouts', { implicit: 0 });
    await browser.cdp('Emulation.setScriptExecutionDisabled', { value: false });
  });
} finally {
  await browser.stop();
}
console.log(failed ? `${failed} failed` : 'all checks held');
process.exit(failed ? 1 : 0);
