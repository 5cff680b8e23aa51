// The page script's own decisions, without a browser: `node --test tests/browser/`.
'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const test = require('node:test');
const assert = require('node:assert');

const WEB = join(__dirname, '../../src/web');

// The parts that need no page, as the built file has them: one scope.
function load() {
  const source = ['numbers', 'visit', 'page'].map((name) => readFileSync(join(WEB, `leaseline/${name}.js`), 'utf8')).join('\n');
  return new Function(`'use strict'; ${source}
    return { parse, formsOf, find, longestFirst, rewriteAll, rewriteLink, visitOf, clientIds, withoutLink, parts, read, write, sweep,
      aim(f, t, u) { forms = f; target = t; undo = u; }, onFight(f) { fought = f; } };`)();
}

const { parse, formsOf, find, longestFirst, rewriteAll, rewriteLink, visitOf, clientIds, withoutLink } = load();

const aimed = (e164, display) => ({ e164, display: display || e164, ...parse(e164) });

function swap(text, real, e164, display) {
  const forms = real.split(',').map((n) => parse(n, e164)).flatMap(formsOf).sort(longestFirst);
  return rewriteAll([text], forms, aimed(e164, display))[0];
}

test('a written number is read into country code and national number', () => {
  const table = [
    ['+44 20 7946 0999', null, '44', '2079460999'],
    ['+44 (0)20 7946 0999', null, '44', '2079460999'],
    ['0044 20 7946 0999', null, '44', '2079460999'],
    ['020 7946 0999', '+442079460007', '44', '2079460999'],
    ['8 (495) 123-45-67', '+74951234568', '7', '4951234567'],
    ['(202) 555-0123', '+12025550124', '1', '2025550123'],
    ['1-202-555-0123', '+12025550124', '1', '2025550123'],
    ['+358 9 4245 0001', null, '358', '942450001'],
  ];
  for (const [text, like, cc, nsn] of table) assert.deepStrictEqual(parse(text, like), { cc, nsn }, text);
  assert.strictEqual(parse('020 7946 0999'), null, 'a national form needs a country');
});

test('the written form is kept, whatever it is', () => {
  const table = [
    ['Call +44 20 7946 0999 now', 'Call +44 20 7946 0007 now'],
    ['+442079460999', '+442079460007'],
    ['0044 20 7946 0999', '0044 20 7946 0007'],
    ['020 7946 0999', '020 7946 0007'],
    ['(020) 7946-0999', '(020) 7946-0007'],
    ['+44 (0)20 7946 0999', '+44 (0)20 7946 0007'],
    ['02079460999.', '02079460007.'],
    ['020.7946.0999', '020.7946.0007'],
    ['020\u00a07946\u20110999', '020\u00a07946\u20110007'],
    ['020 7946 0999 ext. 12', '020 7946 0007 ext. 12'],
    ['Tel: 020 7946 0999 / 020 7946 0999', 'Tel: 020 7946 0007 / 020 7946 0007'],
    ['Since 1999: 020 7946 0999', 'Since 1999: 020 7946 0007'],
  ];
  for (const [text, wanted] of table) assert.strictEqual(swap(text, '+44 20 7946 0999', '+442079460007'), wanted);
});

test('digits that only look like the number stay', () => {
  for (const text of [
    '020 7946 09991',
    '1020 7946 0999',
    '+49 20 7946 0999',
    '020 7946 0998',
    'Order 442079460999123',
    '0 2 0 7 9 4 6 0 9 9 8',
    '020      7946      0999',
    'no number here',
  ]) {
    assert.strictEqual(swap(text, '+44 20 7946 0999', '+442079460007'), text);
  }
});

test('Russian 8 and +7 are one number', () => {
  assert.strictEqual(swap('8 (495) 123-45-67', '+7 495 123-45-67', '+74951234500'), '8 (495) 123-45-00');
  assert.strictEqual(swap('+7 (495) 123-45-67', '8 495 123 45 67', '+74951234500'), '+7 (495) 123-45-00');
});

test('another length or country is written as the server shows it', () => {
  assert.strictEqual(swap('Call (020) 7946 0999!', '+44 20 7946 0999', '+12025550123', '+1 202-555-0123'), 'Call +1 202-555-0123!');
});

test('several real numbers are all swapped', () => {
  const text = '020 7946 0999 or 0161 496 0999';
  assert.strictEqual(swap(text, '+44 20 7946 0999, +44 161 496 0999', '+442079460007'), '020 7946 0007 or 0207 946 0007');
});

test('a long text without the number is read in linear time', () => {
  const text = '0 '.repeat(100000) + '44'.repeat(100000);
  const start = process.hrtime.bigint();
  assert.strictEqual(swap(text, '+44 20 7946 0999', '+442079460007'), text);
  assert.ok(process.hrtime.bigint() - start < 2000000000n);
});

test('find says where', () => {
  const forms = formsOf(parse('+44 20 7946 0999'));
  assert.deepStrictEqual(find('a +44 20 7946 0999 b', forms).map((h) => [h.start, h.end]), [[2, 18]]);
});

test('the visit holds the campaign and click ids of the address', () => {
  const visit = visitOf(
    'https://acme.example/?utm_source=yandex-direct&utm_campaign=kitchens&utm_term=oak+kitchen&yclid=123&x=%zz&__proto__=1#top',
    'https://ya.ru/',
    true,
  );
  assert.deepStrictEqual(visit.utm, { source: 'yandex-direct', campaign: 'kitchens', term: 'oak kitchen' });
  assert.deepStrictEqual(visit.click_ids, { yclid: '123' });
  assert.strictEqual(visit.referrer, 'https://ya.ru/');
});

test('without consent to advertising no click id leaves the page', () => {
  const visit = visitOf('https://acme.example/a?gclid=1&utm_source=x#b', '', false);
  assert.deepStrictEqual(visit, { landing_page: 'https://acme.example/a', utm: { source: 'x' }, click_ids: {} });
});

test('our own parameter is taken out of an address, and nothing else', () => {
  for (const [url, wanted] of [
    ['/?_leaseline=a-b_c', '/'], ['/?x=1&_leaseline=a#top', '/?x=1#top'], ['/?_leaseline=a&x=1', '/?x=1'], ['/?x=1&_leaseline=a&y=2', '/?x=1&y=2'],
    ['/?not_leaseline=1', '/?not_leaseline=1'], ['/', '/'],
  ]) assert.strictEqual(withoutLink(url), wanted);
});

test('links keep E.164 and what stands behind it; other numbers and schemes stay', () => {
  const forms = formsOf(parse('+44 20 7946 0999'));
  const to = aimed('+442079460007');
  for (const [href, wanted] of [
    ['tel:+44-20-7946-0999', 'tel:+442079460007'], ['TEL:02079460999;ext=5', 'TEL:+442079460007;ext=5'],
    ['tel:%2B44%2020%207946%200999', 'tel:+442079460007'], ['callto:00442079460999', 'callto:+442079460007'],
    ['tel:+442079460998', 'tel:+442079460998'], ['mailto:02079460999@x', 'mailto:02079460999@x'], ['/02079460999', '/02079460999'],
  ]) assert.strictEqual(rewriteLink(href, forms, to), wanted);
});

test('analytics ids are read from their cookies, old and new forms', () => {
  assert.deepStrictEqual(clientIds('_ga=GA1.1.111.222; _ga_ABC=GS2.1.s1700000000$o1$g0; _ym_uid=1699; other=x=y', true), {
    ga: '111.222', ga_session: '1700000000', ym: '1699',
  });
  assert.deepStrictEqual(clientIds('_ga_ABC=GS1.1.1700000001.1.0; _fbp=fb.1', false), { ga_session: '1700000001' });
  assert.deepStrictEqual(clientIds('', true), {});
});

// ── a page in a few lines: what the walk needs of the DOM ──

function text(value) {
  return { nodeType: 3, nodeName: '#text', nodeValue: value, lastChild: null };
}

function element(name, attributes, ...children) {
  const node = {
    nodeType: 1,
    nodeName: name.toUpperCase(),
    isConnected: true,
    attributes: { ...attributes },
    lastChild: children[children.length - 1] || null,
    hasAttribute: (key) => key in node.attributes,
    getAttribute: (key) => (key in node.attributes ? node.attributes[key] : null),
    setAttribute: (key, value) => { node.attributes[key] = value; },
  };
  children.forEach((child, i) => { child.previousSibling = children[i - 1] || null; child.parentNode = node; });
  return node;
}

const REAL = formsOf(parse('+44 20 7946 0999'));

// Sweeps a page; gives how often it could have been interrupted.
function swept(page, e164 = '+442079460007', forms = REAL, { script = load(), undo = false } = {}) {
  script.aim(forms, aimed(e164), undo);
  return [...script.sweep([page])].length;
}

test('text, tel: links and labels are swapped; nodes stay', () => {
  const inText = text('Ring +44 20 7946 0999');
  const inLink = text('(020) 7946 0999');
  const link = element('a', { href: 'tel:02079460999;ext=5', 'aria-label': 'Call 020 7946 0999', title: '020 7946 0999' }, inLink);
  swept(element('body', {}, element('p', {}, inText), link));
  assert.strictEqual(inText.nodeValue, 'Ring +44 20 7946 0007');
  assert.strictEqual(inLink.nodeValue, '(020) 7946 0007');
  assert.deepStrictEqual(link.attributes, { href: 'tel:+442079460007;ext=5', 'aria-label': 'Call 020 7946 0007', title: '020 7946 0007' });
});

test('a number split over inline elements keeps its elements', () => {
  const [a, b, c] = [text('020 '), text('7946'), text(' 0999')];
  swept(element('p', {}, a, element('b', {}, b), c), '+442079461234');
  assert.deepStrictEqual([a, b, c].map((n) => n.nodeValue), ['020 ', '7946', ' 1234']);
});

test('blocks, scripts, fields and messengers are borders', () => {
  const texts = ['020 7946', '0999', '"020 7946 0999"', '020 7946 0999', '020 7946 0999'].map(text);
  swept(element('body', {}, element('div', {}, texts[0]), element('div', {}, texts[1]), element('script', {}, texts[2]),
    element('a', { href: 'https://wa.me/442079460999' }, texts[3]), element('a', { href: 'sms:02079460999' }, texts[4])));
  assert.deepStrictEqual(texts.map((n) => n.nodeValue), ['020 7946', '0999', '"020 7946 0999"', '020 7946 0999', '020 7946 0999']);
  const marked = element('a', { href: 'sms:02079460999', 'data-leaseline': '' }, text('020 7946 0999'));
  swept(element('body', {}, marked));
  assert.strictEqual(marked.getAttribute('href'), 'sms:+442079460007', 'unless the page says so');
});

test('many numbers in one text are one write, and a second pass finds nothing to do', () => {
  const node = { nodeType: 3, nodeName: '#text', lastChild: null };
  let value = '020 7946 0999, '.repeat(50);
  let writes = 0;
  Object.defineProperty(node, 'nodeValue', { get: () => value, set: (next) => { writes++; value = next; } });
  const page = element('p', {}, node);
  const script = load();
  swept(page, undefined, undefined, { script });
  swept(page, undefined, undefined, { script });
  assert.strictEqual(writes, 1);
  assert.strictEqual(value, '020 7946 0007, '.repeat(50));
});

test('who puts the number back a fourth time within a second wins, and that is told once', () => {
  const node = text('020 7946 0999');
  const page = element('p', {}, node);
  const script = load();
  let told = 0;
  script.onFight(() => { told++; });
  for (let i = 0; i < 20; i++) {
    node.nodeValue = '020 7946 0999';
    swept(page, undefined, undefined, { script });
  }
  assert.strictEqual(node.nodeValue, '020 7946 0999');
  assert.strictEqual(told, 1);
});

test('what was there comes back as it was, whichever of several numbers it was', () => {
  const [a, b] = [text('(020) 7946 0999'), text('0161 496 0999')];
  const page = element('p', {}, a, element('div', {}, b));
  const script = load();
  const both = [...REAL, ...formsOf(parse('+44 161 496 0999'))].sort(longestFirst);
  swept(page, '+442079460007', both, { script });
  assert.deepStrictEqual([a, b].map((n) => n.nodeValue), ['(020) 7946 0007', '0207 946 0007']);
  swept(page, '+442079460999', formsOf(parse('+442079460007')), { script, undo: true });
  assert.deepStrictEqual([a, b].map((n) => n.nodeValue), ['(020) 7946 0999', '0161 496 0999']);
});

test('a page can be read in small steps', () => {
  const many = Array.from({ length: 1000 }, () => element('p', {}, text('020 7946 0999')));
  assert.ok(swept(element('body', {}, ...many)) >= 2000);
  let deep = element('p', {}, text('020 7946 0999'));
  for (let i = 0; i < 50000; i++) deep = element('div', {}, deep);
  swept(deep);
});

// ── the built file ──

test('the committed build is what src/web/leaseline/build makes, and small', (t) => {
  const size = readFileSync(join(WEB, 'leaseline.min.js.gz')).length;
  assert.ok(size <= 6144, `${size} bytes with gzip`);
  const unpacked = execFileSync('gzip', ['-dc', join(WEB, 'leaseline.min.js.gz')]);
  assert.ok(unpacked.equals(readFileSync(join(WEB, 'leaseline.min.js'))), 'the compressed file is another one');
  const folder = mkdtempSync(join(tmpdir(), 'leaseline-build-'));
  try {
    const made = spawnSync(join(WEB, 'leaseline/build'), [join(folder, 'made.js')], { encoding: 'utf8' });
    if (made.status === 77) return t.skip(made.stderr.trim());
    assert.strictEqual(made.status, 0, made.stderr);
    assert.ok(readFileSync(join(folder, 'made.js')).equals(readFileSync(join(WEB, 'leaseline.min.js'))), 'run src/web/leaseline/build and commit');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
