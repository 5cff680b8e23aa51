// The page script's own decisions, without a browser: `node --test tests/browser/`.
'use strict';

const test = require('node:test');
const assert = require('node:assert');
const { parse, formsOf, find, swapText, swapTree, visitOf, clientIds } = require('../../src/web/leaseline.js');

function swap(text, real, e164, display) {
  const forms = real.split(',').map((n) => parse(n, e164)).flatMap(formsOf);
  forms.sort((a, b) => b.digits.length - a.digits.length);
  return swapText(text, forms, { e164, display: display || e164, number: parse(e164) });
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
  );
  assert.deepStrictEqual(visit.utm, { source: 'yandex-direct', campaign: 'kitchens', term: 'oak kitchen' });
  assert.deepStrictEqual(visit.click_ids, { yclid: '123' });
  assert.strictEqual(visit.referrer, 'https://ya.ru/');
});

test('analytics ids are read from their cookies, old and new forms', () => {
  assert.deepStrictEqual(clientIds('_ga=GA1.1.111.222; _ga_ABC=GS2.1.s1700000000$o1$g0; _ym_uid=1699; other=x'), {
    ga: '111.222', ga_session: '1700000000', ym: '1699',
  });
  assert.deepStrictEqual(clientIds('_ga_ABC=GS1.1.1700000001.1.0'), { ga_session: '1700000001' });
  assert.deepStrictEqual(clientIds(''), {});
});

// ── a page in a few lines: what swapTree needs of the DOM ──

function text(value) {
  return { nodeType: 3, nodeName: '#text', nodeValue: value, firstChild: null };
}

function element(name, attributes, ...children) {
  const node = {
    nodeType: 1,
    nodeName: name.toUpperCase(),
    attributes: { ...attributes },
    children,
    firstChild: children[0] || null,
    hasAttribute: (key) => key in node.attributes,
    getAttribute: (key) => (key in node.attributes ? node.attributes[key] : null),
    setAttribute: (key, value) => { node.attributes[key] = value; },
    querySelectorAll: () => children.flatMap((c) => (c.nodeType === 1 ? [c, ...c.querySelectorAll('*')] : [])),
  };
  children.forEach((child, i) => { child.nextSibling = children[i + 1] || null; });
  return node;
}

const target = { e164: '+442079460007', display: '+44 20 7946 0007', number: parse('+442079460007') };
const forms = formsOf(parse('+44 20 7946 0999'));
const always = () => true;

test('text, tel: links and labels are swapped; nodes stay', () => {
  const inText = text('Ring +44 20 7946 0999');
  const inLink = text('(020) 7946 0999');
  const link = element('a', { href: 'tel:02079460999;ext=5', 'aria-label': 'Call 020 7946 0999' }, inLink);
  const page = element('body', {}, element('p', {}, inText), link);
  swapTree(page, forms, target, always);
  assert.strictEqual(inText.nodeValue, 'Ring +44 20 7946 0007');
  assert.strictEqual(inLink.nodeValue, '(020) 7946 0007');
  assert.strictEqual(link.getAttribute('href'), 'tel:+442079460007;ext=5');
  assert.strictEqual(link.getAttribute('aria-label'), 'Call 020 7946 0007');
});

test('a number split over inline elements keeps its elements', () => {
  const [a, b, c] = [text('020 '), text('7946'), text(' 0999')];
  swapTree(element('p', {}, a, element('b', {}, b), c), forms, { ...target, e164: '+442079461234', number: parse('+442079461234') }, always);
  assert.deepStrictEqual([a, b, c].map((n) => n.nodeValue), ['020 ', '7946', ' 1234']);
});

test('blocks, scripts and fields are borders', () => {
  const [a, b, inScript] = [text('020 7946'), text('0999'), text('"020 7946 0999"')];
  const page = element('body', {}, element('div', {}, a), element('div', {}, b), element('script', {}, inScript));
  swapTree(page, forms, target, always);
  assert.deepStrictEqual([a, b, inScript].map((n) => n.nodeValue), ['020 7946', '0999', '"020 7946 0999"']);
});

test('a second pass finds nothing to do', () => {
  const node = text('020 7946 0999');
  const page = element('p', {}, node);
  let writes = 0;
  const count = () => { writes++; return true; };
  swapTree(page, forms, target, count);
  swapTree(page, forms, target, count);
  assert.strictEqual(writes, 1);
});
