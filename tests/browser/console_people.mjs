// People and their work in the console, in a real browser: `node tests/browser/console_people.mjs SETUP-LINK AXE.min.js [FOLDER]`
// against a program that has calls and no users yet. The first owner comes by the link; with FOLDER pictures are left there.
// Exit 0 when all checks held.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Browser } from './webdriver.mjs';

const [link, axeFile, folder] = process.argv.slice(2);
if (!axeFile) {
  console.error('usage: node tests/browser/console_people.mjs SETUP-LINK AXE.min.js [FOLDER]');
  process.exit(64);
}
if (folder) mkdirSync(folder, { recursive: true });
const base = new URL(link).origin;
const axe = await readFile(axeFile, 'utf8');
const browser = await Browser.start({ width: 1280, height: 900 });
const PASSWORD = 'a few long words';
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
    if (folder) await browser.screenshot(join(folder, `failed-${failed}.png`)).catch(() => {});
  }
}

// What is wrong with the page for those who do not see or do not use a mouse; only what is serious.
async function accessible(where) {
  await browser.run(`if (!window.axe) { ${axe} }`);
  const found = await browser.run(`return axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations
    .filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(' | ')))`);
  assert.deepEqual(found, [], `axe on ${where}`);
}

// The page that is open, in both themes, wide and as a phone.
async function look(name) {
  for (const [theme, width] of [['light', 1280], ['dark', 1280], ['light', 390], ['dark', 390]]) {
    await browser.size(width, width < 600 ? 800 : 900);
    await browser.run('document.documentElement.dataset.theme = arguments[0]', theme);
    const seen = await browser.run(`return { page: document.documentElement.scrollWidth, h1: document.querySelectorAll('h1').length,
      evil: !!document.querySelector('main script'), lang: document.documentElement.lang }`);
    assert.ok(seen.page <= width, `${name}: ${seen.page} px on ${width}`);
    assert.ok(seen.h1 === 1 && !seen.evil, name);
    await accessible(`${name}, ${theme}, ${width} px`);
    if (folder) await browser.screenshot(join(folder, `people-${name}-${seen.lang}-${theme}-${width}.png`));
  }
  await browser.size(1280, 900);
}

async function speak(lang) {
  await browser.cdp('Network.setCookie', { name: 'leaseline_lang', value: lang, url: base });
}

// Fills a form in and sends it; boxes take true and false.
function fill(form, fields, button) {
  return browser.run(`const form = document.querySelector(arguments[0]);
    for (const [name, value] of Object.entries(arguments[1])) {
      const field = form.elements[name];
      if (typeof value === 'boolean') field.checked = value; else field.value = value;
    }
    form.requestSubmit(arguments[2] ? form.querySelector(arguments[2]) : undefined);`, form, fields, button || '');
}

function code(secret, step) {
  const bits = [...secret.replace(/=+$/, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from((bits.match(/.{8}/g) || []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + step));
  const hash = createHmac('sha1', key).update(counter).digest();
  const at = hash[19] & 15;
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, '0');
}

const at = (path) => browser.until(path, 'return document.readyState === "complete" && location.pathname + location.search === arguments[0]', path);
const text = (selector) => browser.until(selector, 'const e = document.querySelector(arguments[0]); return e && e.textContent', selector);
let secret = '';

try {
  await speak('en');
  await check('the first owner comes by the link, in the console’s frame and in two languages', async () => {
    await browser.open(link);
    await browser.until('who it is for', 'return document.getElementById("link-field").hidden && location.hash === ""');
    assert.equal(await browser.run('return document.getElementById("first").hidden'), false);
    await look('setup');
    await browser.click('button[name="lang"][value="ru"]');
    await browser.until('Russian', 'return document.documentElement.lang === "ru" && document.getElementById("link-field").hidden');
    await browser.click('button[name="lang"][value="en"]');
    await browser.until('English', 'return document.documentElement.lang === "en" && document.getElementById("link-field").hidden');
    await fill('#setup', { user: 'olga', password: PASSWORD });
    await at('/');
    assert.match(await text('.me'), /olga/);
  });

  await check('an authenticator is set up from the picture, with its recovery codes', async () => {
    await browser.open(`${base}/account`);
    await browser.click('button[name="offer"]');
    await browser.until('the picture', 'return document.querySelector(".qr svg path, .qr svg rect")');
    secret = await text('#totp-secret');
    await look('totp');
    await fill('form[action="/account/totp/confirm"]', { code: '000000' });
    await browser.until('the refusal', 'return document.querySelector("[role=alert]") && document.querySelector(".qr svg")');
    await browser.complaints();
    await fill('form[action="/account/totp/confirm"]', { code: code(secret, 0) });
    assert.equal((await text('#codes')).trim().split('\n').length, 10);
    await look('recovery');
    await browser.click('a[href="/account?done=totp-on"]');
    await at('/account?done=totp-on');
    await look('account');
  });

  await check('one signs in by name, password and code, and comes back to where one was', async () => {
    await browser.run('document.querySelector("form[action=\\"/sign-out\\"]").requestSubmit()');
    await at('/sign-in');
    await browser.open(`${base}/missed`);
    await at('/sign-in?next=%2Fmissed');
    await fill('#sign-in-form', { user: 'olga', password: 'wrong' });
    assert.match(await text('[role=alert]'), /wrong/);
    await browser.complaints();
    await look('sign-in-wrong');
    await fill('#sign-in-form', { user: 'olga', password: PASSWORD });
    await browser.until('the second step', 'return document.querySelector("#code-form")');
    await look('sign-in-code');
    await fill('#code-form', { code: code(secret, 1) });
    await at('/missed');
  });

  await check('C7, C8: a label is set, and a comment stands at its place in the talk', async () => {
    await browser.open(`${base}/calls`);
    const calls = await browser.run('return [...document.querySelectorAll("a.row")].map((a) => a.getAttribute("href"))');
    const card = calls[calls.length - 1];
    await browser.open(base + card);
    await browser.click('.choices button[value="good"]');
    await browser.until('the label', 'return location.search === "?done=label" && document.querySelector(".choices button[value=good]").getAttribute("aria-pressed") === "true"');
    await browser.run('const a = document.querySelector("audio"); a.preload = "metadata"; a.load()');
    await browser.until('the sound', 'return document.querySelector("audio").readyState >= 1');
    await browser.run('document.querySelector("audio").currentTime = 0.5');
    await browser.click('[data-now]');
    assert.equal(await browser.run('return document.querySelector("form.comment").elements.at.value'), '0:00.5');
    await fill('form.comment', { text: 'Asks for the price twice.\n<b>Good</b> close.' });
    await browser.until('the comment', 'return location.search === "?done=comment" && document.querySelector(".comments .said")');
    assert.equal(await text('.comments .said'), 'Asks for the price twice.\n<b>Good</b> close.');
    await browser.run('document.querySelector("audio").currentTime = 0');
    await browser.click('.comments a[data-seek]');
    await browser.until('the place', 'return location.hash !== "#t=0.5" && document.querySelector("audio").currentTime >= 0.45');
    await browser.run('document.querySelector("audio").pause()');
    await fill('form.deal', { amount: '1200.50', stage: 'won', deal_id: 'D-17' });
    await browser.until('the deal', 'return location.search === "?done=value"');
    await fill('form.score', { 'card:overall': '80', agent: 'carol' });
    await browser.until('the score', 'return location.search === "?done=score"');
    await browser.click('form[action$="/consent"] button[value="true"]');
    await browser.until('the consent', 'return location.search === "?done=consent"');
    await look('card');
    await speak('ru');
    await browser.open(base + card);
    await look('card');
    await speak('en');
  });

  await check('a user is added with a role, and gets a link', async () => {
    await browser.open(`${base}/users`);
    await fill('form[action="/users"]', { name: 'ben', 'grant:agent@acme': true });
    assert.match(await text('#link'), /\/setup#/);
    await look('user-link');
    await browser.open(`${base}/users`);
    await look('users');
    await browser.click('a.row[href="/users?user=ben"]');
    await at('/users?user=ben');
    await look('user');
    await fill('form[action="/users/change"]', { 'grant:marketer@acme': true }, 'button[value="roles"]');
    await at('/users?user=ben&done=roles');
  });

  await check('a token is made for a program, and shown once', async () => {
    await browser.open(`${base}/tokens`);
    await fill('form[action="/tokens"]', { name: 'crm', 'scope:calls': true, 'scope:reports': true, 'company:acme': true, expires: '2099-12-31' });
    const token = await text('#token');
    const answer = await fetch(`${base}/v1/calls`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 200);
    await look('token');
    await browser.open(`${base}/tokens`);
    assert.ok(!(await text('main')).includes(token));
    await look('tokens');
  });

  await check('exports are seen with their states, and a dry run shows what would be sent', async () => {
    await browser.open(`${base}/exports`);
    assert.match(await text('main table'), /crm/);
    await look('exports');
    await browser.open(`${base}/exports/log?name=crm`);
    await look('deliveries');
    await fill('form[action="/exports/dry-run"]', { confidence: '0' });
    await browser.until('the dry run', 'return location.pathname === "/exports/dry-run" && document.querySelector(".tiles")');
    await look('dry-run');
  });

  await check('C11, R2: contacts are listed with consent; costs are checked and imported', async () => {
    await browser.open(`${base}/contacts?consent=given`);
    assert.equal(await browser.run('return document.querySelectorAll("table.contacts tbody tr").length'), 1);
    await browser.open(`${base}/contacts`);
    await look('contacts');
    await browser.open(`${base}/costs`);
    await fill('form[action="/costs"]', { text: 'day,source,amount\n2026-11-01,google,5\n2026-13-01,google,x\n' }, 'button[value="check"]');
    assert.match(await text('.problem'), /Line 3:/);
    await browser.complaints();
    await look('costs-wrong');
    await fill('form[action="/costs"]', { text: 'day,source,amount,clicks\n2026-11-01,yandex-direct,12.50,10\n2026-11-02,newsletter,3,1\n' }, 'button[value="check"]');
    await browser.until('the sums', 'return document.querySelector(".notice")');
    await look('costs-checked');
    await browser.click('button[value="import"]');
    await browser.until('the import', 'return location.search.startsWith("?done=costs")');
    await speak('ru');
    for (const path of ['costs', 'contacts', 'users', 'tokens', 'exports', 'account']) {
      await browser.open(`${base}/${path}`);
      await look(path);
    }
    await speak('en');
  });

  await check('signing out and in works without JavaScript', async () => {
    await browser.open(`${base}/account`);
    await browser.cdp('Emulation.setScriptExecutionDisabled', { value: true });
    await browser.open(`${base}/account`);
    // Nothing in the page can be asked now: the driver itself waits for what is looked for.
    await browser.send('POST', '/timeouts', { implicit: 15000 });
    await browser.click('header form[action="/sign-out"] button');
    const type = async (selector, value) => {
      const found = await browser.send('POST', '/element', { using: 'css selector', value: selector });
      await browser.send('POST', `/element/${Object.values(found)[0]}/value`, { text: value });
    };
    await type('#sign-in-form input[name="user"]', 'olga');
    await type('#sign-in-form input[name="password"]', PASSWORD);
    await browser.click('#sign-in-form button');
    await browser.send('POST', '/element', { using: 'css selector', value: '#code-form input[name="code"]' });
    await browser.send('POST', '/timeouts', { implicit: 0 });
    await browser.cdp('Emulation.setScriptExecutionDisabled', { value: false });
  });
} finally {
  await browser.stop();
}
console.log(failed ? `${failed} failed` : 'all checks held');
process.exit(failed ? 1 : 0);
