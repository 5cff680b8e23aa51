// The demo page, the page script and the console in a real browser: `node tests/browser/run.mjs http://127.0.0.1:8080`.
// Wants a running `leaseline demo`, and chromium and chromedriver (CHROMIUM and CHROMEDRIVER name others).
// With --screenshots DIR it leaves pictures there. Exit 0 when all checks held.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Browser } from './webdriver.mjs';

const base = (process.argv[2] || '').replace(/\/$/, '');
const pictures = process.argv[3] === '--screenshots' ? process.argv[4] : null;
if (!/^https?:/.test(base)) {
  console.error('usage: node tests/browser/run.mjs http://HOST:PORT [--screenshots DIR]');
  process.exit(64);
}

const REAL = '+442079460999';
const CAMPAIGN = '?utm_source=yandex-direct&utm_medium=cpc&utm_campaign=kitchens&utm_term=oak+kitchen&yclid=123';
const browser = await Browser.start();
let failed = 0;

async function check(what, run) {
  const began = Date.now();
  try {
    await run();
    // The demo's caller may be on the phone with another call; the page says so and waits.
    const complaints = (await browser.complaints()).filter((text) => !/\/demo\/call .* 409 /.test(text));
    assert.deepEqual(complaints, [], 'the browser complained');
    console.log(`ok   ${what} (${Date.now() - began} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL ${what}\n${error.stack}`);
  }
}

function picture(name) {
  return pictures ? browser.screenshot(join(pictures, `${name}.png`)) : undefined;
}

const digits = (text) => text.replace(/\D/g, '');
const ready = () => browser.until('the leased number', 'return window.leaseline && window.leaseline.lease_id && { number: window.leaseline.number, visitor: window.leaseline.visitor_id }');

let first;

try {
  await check('a visitor sees a number of their own, in every form the page has', async () => {
    await browser.open(`${base}/demo${CAMPAIGN}`);
    first = await ready();
    assert.match(first.number, /^\+44207946\d{4}$/);
    assert.notEqual(first.number, REAL);
    const seen = await browser.run(`return {
      hero: document.querySelector('.hero-text p').innerText,
      head: document.querySelector('.head-call').innerText,
      button: document.querySelector('#call-link').innerText,
      links: [...document.querySelectorAll('a[href^="tel:"]')].map((a) => a.getAttribute('href')),
      real: document.querySelector('.behind-head .mono').innerText,
    }`);
    const four = first.number.slice(-4);
    assert.equal(seen.head, `+44 20 7946 ${four}`);
    assert.ok(seen.hero.includes(`020 7946 ${four}`), seen.hero);
    assert.equal(seen.button, `Call (020) 7946-${four}`);
    assert.deepEqual(seen.links, [`tel:${first.number}`, `tel:${first.number}`]);
    assert.equal(digits(seen.real), digits(REAL), 'a part marked data-leaseline-skip stays');
    await picture('demo');
  });

  await check('the same visitor keeps the number, another gets another', async () => {
    await browser.open(`${base}/demo`);
    assert.deepEqual(await ready(), first);
    assert.deepEqual(await browser.run('return JSON.parse(sessionStorage.leaseline_session).utm.campaign'), 'kitchens');
    await browser.run(`const forget = () => {
        localStorage.clear();
        sessionStorage.clear();
        for (const domain of ['', '; Domain=' + location.hostname]) document.cookie = 'leaseline_visitor=; Path=/; Max-Age=0' + domain;
      };
      for (const end of ['pagehide', 'visibilitychange']) addEventListener(end, forget);`);
    await browser.open(`${base}/demo?utm_source=newsletter&utm_medium=email&utm_campaign=april`);
    const other = await ready();
    assert.notEqual(other.visitor, first.visitor);
    assert.notEqual(other.number, first.number);
  });

  await check('what comes into the page later is swapped; who fights back wins', async () => {
    await browser.open(`${base}/demo${CAMPAIGN}`);
    first = await ready();
    const four = first.number.slice(-4);
    await browser.run(`
      const p = document.createElement('p');
      p.id = 'late';
      p.innerHTML = 'Late: <b>020</b> 7946 <i>0999</i>, <a href="tel:02079460999">ring</a>';
      document.querySelector('.hero-text').append(p);
      const stubborn = document.createElement('p');
      stubborn.id = 'stubborn';
      stubborn.append('020 7946 0999');
      window.restored = 0;
      new MutationObserver(() => {
        if (stubborn.firstChild.nodeValue !== '020 7946 0999') { window.restored++; stubborn.firstChild.nodeValue = '020 7946 0999'; }
      }).observe(stubborn, { characterData: true, subtree: true });
      document.querySelector('.hero-text').append(stubborn);`);
    await browser.until('the late number', 'return document.querySelector("#late").innerText.includes(arguments[0])', `020 7946 ${four}`);
    assert.equal(await browser.run('return document.querySelector("#late").innerHTML'),
      `Late: <b>020</b> 7946 <i>${four}</i>, <a href="tel:${first.number}">ring</a>`);
    await browser.until('the end of the fight', `
      const now = window.restored;
      if (window.before === now && now > 0) return true;
      window.before = now;
      return new Promise((resolve) => setTimeout(resolve, 200, false));`);
    assert.ok(await browser.run('return window.restored') < 10, 'the script gives up soon');
  });

  await check('a call is watched, attributed and heard', async () => {
    await browser.open(`${base}/demo${CAMPAIGN}`);
    const { number } = await ready();
    await browser.until('the button', 'return !document.querySelector("#call").disabled');
    await browser.click('#call');
    await browser.until('steps', 'return document.querySelectorAll("#steps li").length > 3');
    const verdict = await browser.until('the event', 'const v = document.querySelector("#event .verdict"); return v && v.innerText');
    assert.match(verdict, /yandex.direct · kitchens/i);
    assert.match(verdict, /oak kitchen/);
    const event = JSON.parse(await browser.until('the whole event', `
      const text = document.querySelector("#event pre.json").textContent;
      return text.includes('"specversion"') && text;`));
    assert.equal(event.specversion, '1.0');
    assert.equal(event.type, 'leaseline.call.ended');
    assert.equal(event.data.number, number);
    assert.equal(event.data.outcome, 'answered');
    assert.equal(event.data.attribution.session.click_ids.yclid, '123');
    assert.equal(event.data.attribution.visitor_id, await browser.run('return leaseline.visitor_id'));
    const seconds = await browser.until('the recording', 'const a = document.querySelector("#event audio"); return a && a.readyState >= 1 && a.duration');
    assert.ok(Math.abs(seconds - event.data.talk_ms / 1000) < 1.5, `${seconds} s of ${event.data.talk_ms} ms`);
    await browser.until('the waveform', `
      const canvas = document.querySelector('#event canvas');
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100) colours.add(data[i] >> 5 << 6 | data[i + 1] >> 5 << 3 | data[i + 2] >> 5);
      return colours.size > 2;`);
    await picture('demo-called');
  });

  await check('the demo fits a phone, light and dark', async () => {
    for (const scheme of ['light', 'dark']) {
      await browser.scheme(scheme);
      await browser.size(360, 740);
      const [page, screen] = await browser.run('return [document.documentElement.scrollWidth, innerWidth]');
      assert.ok(page <= screen, `${page} px on ${screen}`);
      await picture(`demo-phone-${scheme}`);
    }
    await browser.scheme('light');
    await browser.size(1400, 900);
  });

  await check('the console lists the call and plays it', async () => {
    await browser.open(`${base}/calls`);
    assert.match(await browser.run('return document.querySelector("main tbody tr").innerText'), /yandex.direct · kitchens/i);
    await browser.click('a.row');
    await browser.run('document.querySelector(".player audio").preload = "metadata"');
    await browser.until('the recording', 'const a = document.querySelector(".player audio"); return a && a.readyState >= 1');
    assert.match(await browser.run('return location.pathname'), /\/calls\/[0-9a-f]{32}$/);
    assert.equal(await browser.run('return document.querySelectorAll(".wave path").length'), 2, 'both voices');
    await picture('console');
    for (const page of ['/', '/live', '/numbers', '/events']) {
      await browser.open(base + page);
      await browser.until(page, 'return document.querySelector("main h1")');
    }
    await browser.until('an event', 'return document.querySelector(".events summary")');
  });

  // A page of a site that is not configured: the script gets no number there.
  const page = createServer((request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><p id="text">020 7946 0999</p><a href="tel:+442079460999">ring</a>
      <script>window.errors = []; addEventListener('error', (e) => errors.push(e.message)); addEventListener('unhandledrejection', (e) => errors.push(String(e.reason)));</script>
      <script src="${base}/leaseline.js" data-site="acme-site" data-number="${REAL}" async></script>`);
  });
  await new Promise((resolve) => page.listen(0, '127.0.0.1', resolve));
  try {
    await browser.open(`http://127.0.0.1:${page.address().port}/`);
    await check('where no number is given the real one stays, and nothing is thrown', async () => {
      await browser.until('the answer', 'return window.leaseline && window.leaseline.ready.then(() => true)');
      assert.equal(await browser.run('return document.querySelector("#text").innerText'), '020 7946 0999');
      assert.equal(await browser.run('return document.querySelector("a").getAttribute("href")'), `tel:${REAL}`);
      assert.deepEqual(await browser.run('return errors'), []);
      assert.equal(await browser.run('return window.leaseline.number'), null);
      // The refused request itself is what the browser notes; it is not the page's error.
      await browser.complaints();
    });
  } finally {
    page.close();
  }
} finally {
  await browser.stop();
}
console.log(failed ? `${failed} failed` : 'all checks held');
process.exit(failed ? 1 : 0);
