// How telephone numbers are written, found in texts and written anew. No page is needed for this part.

// Between two digits of one number stand at most so many of these. Some cannot be seen: soft hyphen, marks of direction.
const SEPARATORS_MAX = 4;
const SEPARATOR = /[\s().\-\u2010-\u2015\u2212/·\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069]/;
const COUNTRY = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/;

const digitsOf = (text) => text.replace(/\D/g, '');
const trunkOf = (cc) => (cc === '7' ? '8' : cc === '1' ? '1' : '0');
const isDigit = (c) => /\d/.test(c || '');

// A written number as {cc, nsn}: country code and national number. `like` (E.164) lends its country to a national form.
function parse(text, like) {
  let digits = digitsOf(text);
  const written = text.trim();
  if (/^\(?\+/.test(written)) {
    digits = digits.replace(/^0+/, '');
  } else if (/^00/.test(digits)) {
    digits = digits.slice(2);
  } else {
    if (!like) return null;
    const cc = COUNTRY.exec(digitsOf(like))[0];
    if (cc === '1' ? digits.length === 11 && digits[0] === '1' : digits[0] === trunkOf(cc)) digits = digits.slice(1);
    return digits.length > 5 ? { cc, nsn: digits } : null;
  }
  const cc = (COUNTRY.exec(digits) || [''])[0];
  let nsn = digits.slice(cc.length);
  // "+44 (0)20 …": the trunk prefix is written for people, not dialled. Italy and San Marino dial theirs.
  if (/\(0\)/.test(written) && nsn[0] === '0' && cc !== '39' && cc !== '378') nsn = nsn.slice(1);
  return cc && nsn.length > 3 ? { cc, nsn } : null;
}

// The digits in which a number may be written, longest first, each with what stands before the national number.
function formsOf({ cc, nsn }) {
  const prefixes = new Set(['00' + cc, '011' + cc, cc + '0', cc, trunkOf(cc)]);
  if (nsn.length > 8) prefixes.add('');
  return [...prefixes].map((prefix) => ({ prefix, digits: prefix + nsn, cc, nsn })).sort(longestFirst);
}

const longestFirst = (a, b) => b.digits.length - a.digits.length;

// Where `digits` end that begin in `text` at `at`, with a few separators between them at most; or 0.
function endOf(text, at, digits) {
  for (let i = at, d = 0, gap = 0; i < text.length; i++) {
    if (text[i] === digits[d]) {
      gap = 0;
      if (++d === digits.length) return isDigit(text[i + 1]) ? 0 : i + 1;
    } else if (!d || !SEPARATOR.test(text[i]) || ++gap > SEPARATORS_MAX) {
      break;
    }
  }
  return 0;
}

// All numbers of `forms` in a text: [{start, end, form}], left to right, not overlapping.
function find(text, forms) {
  const found = [];
  for (let i = 0; i < text.length; i++) {
    if (!isDigit(text[i]) || isDigit(text[i - 1])) continue;
    const plus = text[i - 1] === '+';
    // "+49 20 7946 0999" is not "020 7946 0999" of another country.
    const foreign = !plus && /[\d+][\s(.-]?$/.test(text.slice(Math.max(i - 2, 0), i));
    for (const form of forms) {
      const { prefix, cc } = form;
      if (plus ? prefix !== cc && prefix !== cc + '0' : foreign && (cc === '1' || !prefix.includes(cc))) continue;
      const end = endOf(text, i, form.digits);
      if (!end) continue;
      let start = plus ? i - 1 : i;
      // A bracket that opens before the number and closes in it belongs to it: "(020) 7946 0999".
      if (text[start - 1] === '(' && text.slice(start, end).includes(')')) start--;
      found.push({ start, end, form });
      i = end - 1;
      break;
    }
  }
  return found;
}

// What to write instead of `written`: the same mask when the digits fit, else the number as the server shows it.
function rewrite(written, form, target) {
  if (target.cc !== form.cc || target.nsn.length !== form.nsn.length) return target.display;
  const digits = form.prefix + target.nsn;
  let d = 0;
  return written.replace(/\d/g, () => digits[d++]);
}

// The same for texts that follow one another on one line: a number may begin in one and end in another. Digits go where
// digits were; a number of another length goes whole into the first of its texts.
function rewriteAll(texts, forms, target) {
  const line = texts.join('');
  const fresh = texts.slice();
  for (const { start, end, form } of find(line, forms).reverse()) {
    const written = line.slice(start, end);
    const next = rewrite(written, form, target);
    let rest = next.length === written.length ? null : next;
    let offset = 0;
    texts.forEach((text, i) => {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, text.length);
      if (from < to) {
        const part = rest === null ? next.slice(offset + from - start, offset + to - start) : rest;
        fresh[i] = fresh[i].slice(0, from) + part + fresh[i].slice(to);
        if (rest) rest = '';
      }
      offset += text.length;
    });
  }
  return fresh;
}

// `tel:` and its like keep E.164, and what stands behind the number.
function rewriteLink(href, forms, target) {
  const [, scheme, number, rest] = /^\s*((?:tel|callto|sms):)([^;?]*)(.*)$/i.exec(href) || [];
  if (!scheme) return href;
  const digits = digitsOf(number.replace(/%\d\w/g, (code) => String.fromCharCode(parseInt(code.slice(1), 16))));
  return forms.some((form) => form.digits === digits) ? scheme + target.e164 + rest : href;
}
