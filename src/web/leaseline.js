// Leaseline's page script: shows each visitor a telephone number of their own.
//
//   <script src="https://calls.example.com/leaseline.js" data-site="acme-site" data-number="+44 20 7946 0999" async></script>
//
// data-site    name of the site in the configuration
// data-number  the company's real number or numbers on this page, separated by commas. Without it: the numbers of
//              elements marked data-leaseline, else the one number that all tel: links share
// data-server  where the API is, when not beside this file
//
// Only text and href values are written; nodes are never replaced or moved, so frameworks keep their trees. Whatever
// goes wrong, the real number stays, and nothing is thrown into the page.
(function (root) {
  'use strict';

  var SEPARATORS_MAX = 4;
  var SEPARATOR = /[\s\u00a0\u2007\u2009\u202f().\-\u2010-\u2015/]/;
  var COUNTRY = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/;
  var INLINE = /^(?:A|ABBR|B|BDI|BDO|BIG|EM|FONT|I|LABEL|MARK|NOBR|S|SMALL|SPAN|STRONG|SUB|SUP|TIME|TT|U|WBR)$/;
  var SKIP = /^(?:SCRIPT|STYLE|NOSCRIPT|TEMPLATE|TEXTAREA|INPUT|SELECT|OPTION|IFRAME|OBJECT|CANVAS|SVG)$/i;
  var CLICK_IDS = ['gclid', 'gbraid', 'wbraid', 'yclid', 'ymclid', 'fbclid', 'msclkid', 'ttclid', 'twclid', 'li_fat_id', 'vkclid', 'rb_clickid'];

  // ── numbers ──

  function digitsOf(text) {
    return String(text).replace(/\D/g, '');
  }

  // A written number as {cc, nsn}: country code and national number. `like` (E.164) lends its country to a national form.
  function parse(text, like) {
    var digits = digitsOf(text);
    var trimmed = String(text).trim();
    if (/^\+|^\(\+/.test(trimmed)) {
      digits = digits.replace(/^0+/, '');
    } else if (/^00/.test(digits)) {
      digits = digits.slice(2);
    } else {
      if (!like) return null;
      var country = COUNTRY.exec(digitsOf(like))[0];
      if (country === '1' && digits.length === 11 && digits[0] === '1') digits = digits.slice(1);
      else if (digits[0] === trunkOf(country)) digits = digits.slice(1);
      return digits.length >= 6 ? { cc: country, nsn: digits } : null;
    }
    var cc = (COUNTRY.exec(digits) || [''])[0];
    var nsn = digits.slice(cc.length);
    // "+44 (0)20 …": the trunk prefix is written for people, not dialled. Italy and San Marino dial theirs.
    if (/\(0\)/.test(trimmed) && nsn[0] === '0' && cc !== '39' && cc !== '378') nsn = nsn.slice(1);
    return cc && nsn.length >= 4 ? { cc: cc, nsn: nsn } : null;
  }

  function trunkOf(cc) {
    return cc === '7' ? '8' : cc === '1' ? '1' : '0';
  }

  // The digits in which a number may be written, longest first, each with what stands before the national number.
  function formsOf(number) {
    var prefixes = ['00' + number.cc, number.cc + '0', number.cc, trunkOf(number.cc)];
    if (number.nsn.length >= 9) prefixes.push('');
    return prefixes
      .filter(function (p, i) { return prefixes.indexOf(p) === i; })
      .sort(function (a, b) { return b.length - a.length; })
      .map(function (prefix) { return { prefix: prefix, digits: prefix + number.nsn, number: number }; });
  }

  // Where `digits` stand in `text` from `at` on, with at most a few separators between; the end, or -1.
  function matchAt(text, at, digits) {
    var gap = 0;
    for (var i = at, d = 0; i < text.length; i++) {
      var c = text[i];
      if (c === digits[d]) {
        gap = 0;
        if (++d === digits.length) return /\d/.test(text[i + 1] || '') ? -1 : i + 1;
      } else if (d === 0 || !SEPARATOR.test(c) || ++gap > SEPARATORS_MAX) {
        return -1;
      }
    }
    return -1;
  }

  // All numbers of `forms` in a text: [{start, end, form}], left to right, not overlapping.
  function find(text, forms) {
    var found = [];
    for (var i = 0; i < text.length; i++) {
      if (!/\d/.test(text[i]) || /\d/.test(text[i - 1] || '')) continue;
      for (var f = 0; f < forms.length; f++) {
        var form = forms[f];
        var international = form.prefix.indexOf(form.number.cc) >= 0 && form.number.cc !== '1';
        // "+49 20 7946 0999" is not "020 7946 0999" of another country.
        if (!international && /[\d+][\s\u00a0(.-]?$/.test(text.slice(Math.max(i - 2, 0), i)) && text[i - 1] !== '+') continue;
        if (text[i - 1] === '+' && form.prefix !== form.number.cc && form.prefix !== form.number.cc + '0') continue;
        var end = matchAt(text, i, form.digits);
        if (end < 0) continue;
        var start = text[i - 1] === '+' ? i - 1 : i;
        // A bracket that opens before the number and closes in it belongs to it: "(020) 7946 0999".
        if (text[start - 1] === '(' && text.slice(start, end).indexOf(')') >= 0) start--;
        found.push({ start: start, end: end, form: form });
        i = end - 1;
        break;
      }
    }
    return found;
  }

  // What to write instead of `written`: the same grouping when the digits fit, else the number as the server shows it.
  function rewrite(written, form, target) {
    if (target.number.cc !== form.number.cc || target.number.nsn.length !== form.number.nsn.length) return target.display;
    var digits = form.prefix + target.number.nsn;
    var d = 0;
    return written.replace(/\d/g, function () { return digits[d++]; });
  }

  function swapText(text, forms, target) {
    var found = find(text, forms);
    for (var i = found.length - 1; i >= 0; i--) {
      var hit = found[i];
      text = text.slice(0, hit.start) + rewrite(text.slice(hit.start, hit.end), hit.form, target) + text.slice(hit.end);
    }
    return text;
  }

  // ── the page ──

  function isSkipped(element) {
    return SKIP.test(element.nodeName) || element.isContentEditable || element.hasAttribute('data-leaseline-skip');
  }

  function isInsideSkipped(element) {
    for (; element && element.nodeType === 1; element = element.parentNode) if (isSkipped(element)) return true;
    return false;
  }

  // Text nodes that are read as one line: a number may be split over several inline elements.
  function textRuns(top) {
    var runs = [];
    var run = [];
    function close() {
      if (run.length) runs.push(run);
      run = [];
    }
    (function walk(node) {
      if (node.nodeType === 3) {
        if (node.nodeValue) run.push(node);
      } else if (node.nodeType === 1 || node.nodeType === 11) {
        if (node.nodeType === 1 && isSkipped(node)) return close();
        var inline = node.nodeType === 1 && INLINE.test(node.nodeName);
        if (!inline) close();
        for (var child = node.firstChild; child; child = child.nextSibling) walk(child);
        if (!inline) close();
      }
    })(top);
    close();
    return runs;
  }

  // Swaps the numbers of one run; writes only the text nodes that change. `may(node)` says whether we may still write.
  function swapRun(run, forms, target, may) {
    var text = run.map(function (node) { return node.nodeValue; }).join('');
    if (!/\d/.test(text)) return 0;
    var found = find(text, forms);
    for (var i = found.length - 1; i >= 0; i--) {
      var hit = found[i];
      var written = text.slice(hit.start, hit.end);
      var fresh = rewrite(written, hit.form, target);
      if (fresh !== written) write(run, hit.start, hit.end, fresh, may);
    }
    return found.length;
  }

  // Puts `fresh` in place of characters start..end of the run: character by character when the lengths agree, else whole
  // into the first node.
  function write(run, start, end, fresh, may) {
    var offset = 0;
    var even = fresh.length === end - start;
    var first = true;
    run.forEach(function (node) {
      var value = node.nodeValue;
      var from = Math.max(start - offset, 0);
      var to = Math.min(end - offset, value.length);
      if (from < to) {
        var part = even ? fresh.slice(offset + from - start, offset + to - start) : first ? fresh : '';
        var next = value.slice(0, from) + part + value.slice(to);
        if (next !== value && may(node)) node.nodeValue = next;
        first = false;
      }
      offset += value.length;
    });
  }

  function swapLink(link, forms, target, may) {
    var href = link.getAttribute('href');
    var parts = /^\s*tel:([^;?]*)(.*)$/i.exec(href || '');
    if (!parts) return 0;
    var number;
    try { number = decodeURIComponent(parts[1]); } catch (e) { number = parts[1]; }
    var digits = digitsOf(number);
    if (!forms.some(function (form) { return form.digits === digits; })) return 0;
    var next = 'tel:' + target.e164 + parts[2];
    if (next !== href && may(link)) link.setAttribute('href', next);
    return 1;
  }

  function swapTree(top, forms, target, may) {
    var count = 0;
    textRuns(top).forEach(function (run) { count += swapRun(run, forms, target, may); });
    var elements = [];
    if (top.nodeType === 1) elements.push(top);
    if (top.querySelectorAll) elements = elements.concat([].slice.call(top.querySelectorAll('a[href],[aria-label],[title]')));
    elements.forEach(function (element) {
      if (isInsideSkipped(element)) return;
      if (element.nodeName === 'A' || element.nodeName === 'AREA') count += swapLink(element, forms, target, may);
      ['aria-label', 'title'].forEach(function (name) {
        var value = element.getAttribute(name);
        if (!value || !/\d{2}/.test(value)) return;
        var next = swapText(value, forms, target);
        if (next !== value && may(element)) element.setAttribute(name, next);
      });
    });
    return count;
  }

  // ── the visit ──

  function query(url) {
    var out = {};
    var at = url.indexOf('?');
    if (at < 0) return out;
    url.slice(at + 1).split('#')[0].split('&').slice(0, 100).forEach(function (pair) {
      var eq = pair.indexOf('=');
      if (eq < 1) return;
      try {
        var key = decodeURIComponent(pair.slice(0, eq)).toLowerCase();
        var value = decodeURIComponent(pair.slice(eq + 1).replace(/\+/g, ' '));
        if (value && !Object.prototype.hasOwnProperty.call(out, key)) out[key] = value.slice(0, 512);
      } catch (e) { /* not ours to judge: a broken escape is left out */ }
    });
    return out;
  }

  function visitOf(url, referrer) {
    var params = query(url);
    var visit = { landing_page: url.slice(0, 2048), utm: {}, click_ids: {} };
    if (referrer) visit.referrer = referrer.slice(0, 2048);
    Object.keys(params).forEach(function (key) {
      if (/^utm_[a-z_]{1,24}$/.test(key)) visit.utm[key.slice(4)] = params[key];
      else if (CLICK_IDS.indexOf(key) >= 0) visit.click_ids[key] = params[key];
    });
    return visit;
  }

  function isCampaign(visit) {
    return Object.keys(visit.utm).length > 0 || Object.keys(visit.click_ids).length > 0;
  }

  // Ids that analytics scripts keep in cookies of this site.
  function clientIds(cookie) {
    var ids = {};
    String(cookie).split(/;\s*/).forEach(function (pair) {
      var eq = pair.indexOf('=');
      var name = pair.slice(0, eq);
      var value = pair.slice(eq + 1);
      var m;
      if (name === '_ga' && (m = /^GA\d\.\d\.(\d+\.\d+)/.exec(value))) ids.ga = m[1];
      else if (/^_ga_/.test(name) && (m = /^GS\d\.\d\.s?(\d+)/.exec(value))) ids.ga_session = m[1];
      else if (name === '_ym_uid' && /^\d+$/.test(value)) ids.ym = value;
      else if (name === '_fbp' || name === '_fbc') ids[name.slice(1)] = value.slice(0, 256);
    });
    return ids;
  }

  var pure = { parse: parse, formsOf: formsOf, find: find, swapText: swapText, visitOf: visitOf, clientIds: clientIds, swapTree: swapTree };
  if (typeof module === 'object' && module.exports) {
    module.exports = pure;
    return;
  }

  // ── storage: any of it may be forbidden ──

  function keep(store, key, value) {
    try { root[store].setItem(key, value); } catch (e) { /* private mode, full or blocked */ }
  }

  function kept(store, key) {
    try { return root[store].getItem(key); } catch (e) { return null; }
  }

  function keptJson(key) {
    try { return JSON.parse(kept('sessionStorage', key)); } catch (e) { return null; }
  }

  function visitorId() {
    var id = kept('localStorage', 'leaseline_visitor');
    if (!id) id = (/(?:^|;\s*)leaseline_visitor=([\w.-]{1,64})/.exec(document.cookie) || [])[1];
    return id || undefined;
  }

  function keepVisitor(id) {
    if (!/^[\w.-]{1,64}$/.test(id || '')) return;
    keep('localStorage', 'leaseline_visitor', id);
    try {
      document.cookie = 'leaseline_visitor=' + id + '; Path=/; Max-Age=34560000; SameSite=Lax' +
        (location.protocol === 'https:' ? '; Secure' : '');
    } catch (e) { /* sandboxed page */ }
  }

  // A campaign in the address starts a new session; otherwise the tab keeps the one it began with.
  function session() {
    var fresh = visitOf(location.href, document.referrer);
    var old = keptJson('leaseline_session');
    var visit = old && old.utm && !isCampaign(fresh) ? old : fresh;
    keep('sessionStorage', 'leaseline_session', JSON.stringify(visit));
    var out = JSON.parse(JSON.stringify(visit));
    out.client_ids = clientIds(document.cookie);
    return out;
  }

  // ── at work ──

  var script = document.currentScript || document.querySelector('script[data-site][src*="leaseline"]');
  if (!script || root.leaseline) return;
  var site = script.getAttribute('data-site');
  var server = (script.getAttribute('data-server') || script.src.replace(/\/[^/]*(?:[?#].*)?$/, '')).replace(/\/$/, '');
  var settle;
  var api = {
    number: null,
    display: null,
    lease_id: null,
    ready: new Promise(function (resolve) { settle = resolve; }),
  };
  root.leaseline = api;

  var real = [];      // numbers as written for the company
  var shown = [];     // E.164 of numbers that we put on the page
  var target = null;  // what the page is to show: {e164, display, number}
  var forms = [];
  var timer = 0;
  var renewAfter = 30000;
  var beatAt = 0;
  var observer = null;
  var queue = [];
  var rewrites = new WeakMap();

  // A framework that puts its number back again and again wins: the page must not flicker or burn.
  function may(node) {
    var now = Date.now();
    var count = rewrites.get(node);
    if (!count || now - count.since > 1000) count = { since: now, n: 0, lost: count && count.lost };
    count.n++;
    count.lost = count.lost || count.n > 3;
    rewrites.set(node, count);
    return !count.lost;
  }

  function realNumbers() {
    var given = script.getAttribute('data-number');
    if (given) return given.split(',').map(function (n) { return n.trim(); }).filter(Boolean);
    var marked = [].slice.call(document.querySelectorAll('[data-leaseline]')).map(function (element) {
      return element.getAttribute('data-leaseline') || (element.getAttribute('href') || '').replace(/^tel:/i, '') || element.textContent;
    }).filter(function (n) { return digitsOf(n).length >= 6; });
    if (marked.length) return marked;
    var linked = [].slice.call(document.querySelectorAll('a[href^="tel:"]')).map(function (link) {
      return link.getAttribute('href').slice(4).split(/[;?]/)[0];
    });
    var same = linked.every(function (n) { return digitsOf(n) === digitsOf(linked[0]); });
    return linked.length && same ? [linked[0]] : [];
  }

  function show(e164, display) {
    var number = parse(e164);
    if (!number) return;
    target = { e164: e164, display: display || e164, number: number };
    if (!real.length) real = realNumbers();
    if (shown.indexOf(e164) < 0) shown.push(e164);
    forms = [];
    real.concat(shown).forEach(function (text) {
      var known = parse(text, e164);
      if (known && !(known.cc === number.cc && known.nsn === number.nsn)) forms = forms.concat(formsOf(known));
    });
    forms.sort(function (a, b) { return b.digits.length - a.digits.length; });
    sweep([document.body]);
    watch();
  }

  // Back to the company's own number.
  function restore() {
    if (!target || !real.length) return;
    var own = parse(real[0], target.e164);
    if (own) show('+' + own.cc + own.nsn, /^\+/.test(real[0]) ? real[0] : '+' + own.cc + own.nsn);
    api.number = api.display = api.lease_id = null;
  }

  function sweep(tops) {
    if (!target || !forms.length) return;
    tops.forEach(function (top) {
      if (top && top.isConnected !== false && !isInsideSkipped(top)) swapTree(top, forms, target, may);
    });
    // Our own writes are no news.
    if (observer) observer.takeRecords();
  }

  function watch() {
    if (observer || !root.MutationObserver) return;
    observer = new MutationObserver(function (records) {
      if (!queue.length) (document.hidden ? setTimeout : requestAnimationFrame)(quietly(flush));
      records.forEach(function (record) {
        // The line around a changed text: a number may be split over neighbours.
        var top = record.target.nodeType === 3 ? record.target.parentNode : record.target;
        while (top && top.parentNode && INLINE.test(top.nodeName)) top = top.parentNode;
        if (top && queue.indexOf(top) < 0 && queue.length < 1000) queue.push(top);
      });
    });
    observer.observe(document.documentElement, {
      subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['href', 'aria-label', 'title'],
    });
  }

  function flush() {
    var tops = queue;
    queue = [];
    sweep(tops.filter(function (top) {
      return !tops.some(function (other) { return other !== top && other.contains(top); });
    }));
  }

  // text/plain, so that no preflight is needed and a beacon may carry the same.
  function post(path, body) {
    var abort = root.AbortController ? new AbortController() : null;
    var late = setTimeout(function () { if (abort) abort.abort(); }, 5000);
    return fetch(server + path, {
      method: 'POST',
      mode: 'cors',
      credentials: 'omit',
      keepalive: true,
      headers: { 'content-type': 'text/plain' },
      body: JSON.stringify(body),
      signal: abort ? abort.signal : undefined,
    }).then(function (answer) {
      clearTimeout(late);
      if (!answer.ok) return Promise.reject(answer.status);
      return answer.status === 204 ? null : answer.json();
    }, function (error) {
      clearTimeout(late);
      return Promise.reject(error);
    });
  }

  function beacon(what, body) {
    if (!api.lease_id) return;
    var url = server + '/v1/leases/' + api.lease_id + '/' + what;
    var text = JSON.stringify(body || {});
    if (!(navigator.sendBeacon && navigator.sendBeacon(url, text))) {
      post('/v1/leases/' + api.lease_id + '/' + what, body || {}).catch(function () { /* nobody to tell */ });
    }
  }

  function take(lease) {
    beatAt = Date.now();
    keepVisitor(lease.visitor_id);
    if (!lease.swap || !lease.number) {
      restore();
      return;
    }
    renewAfter = Math.min(Math.max(lease.renew_after_ms || 30000, 1000), 600000);
    api.number = lease.number;
    api.display = lease.display || lease.number;
    api.lease_id = lease.lease_id;
    keep('sessionStorage', 'leaseline_lease', JSON.stringify({ site: site, number: lease.number, display: api.display, at: beatAt }));
    if (!target || target.e164 !== lease.number) show(lease.number, lease.display);
    beat();
  }

  function acquire() {
    return post('/v1/leases', { site: site, visitor_id: visitorId(), session: session() }).then(take);
  }

  function beat() {
    clearTimeout(timer);
    if (!document.hidden && api.lease_id) timer = setTimeout(quietly(renew), renewAfter);
  }

  function renew() {
    var id = api.lease_id;
    if (!id) return;
    post('/v1/leases/' + id + '/renew', {}).then(function (lease) {
      if (api.lease_id === id) take(lease);
    }).catch(function (why) {
      // The lease is gone: ask anew. Anything else may pass: the number is held for a while, so try again later.
      if (why === 404 || why === 410) return acquire().catch(quietly(restore));
      if (Date.now() - beatAt > 240000) restore();
      else beat();
    });
  }

  function quietly(run) {
    return function (event) {
      try { return run(event); } catch (e) { return undefined; }
    };
  }

  function isOurs(text) {
    var digits = digitsOf(text);
    return !!target && !!api.number && formsOf(target.number).some(function (form) { return digits.indexOf(form.digits) >= 0; });
  }

  function listen() {
    document.addEventListener('click', quietly(function (event) {
      var link = event.target && event.target.closest && event.target.closest('a[href^="tel:"]');
      if (link && isOurs(link.getAttribute('href'))) beacon('signal', { signal: 'tel_tap' });
    }), true);
    document.addEventListener('copy', quietly(function () {
      if (isOurs(String(getSelection()))) beacon('signal', { signal: 'copy' });
    }), true);
    document.addEventListener('visibilitychange', quietly(function () {
      if (document.hidden) clearTimeout(timer);
      else if (Date.now() - beatAt > renewAfter / 2) renew();
      else beat();
    }));
    root.addEventListener('pagehide', quietly(function () {
      clearTimeout(timer);
      beacon('release');
    }));
    // Back from the browser's page cache: the lease was released when we left.
    root.addEventListener('pageshow', quietly(function (event) {
      if (event.persisted) acquire().catch(quietly(restore));
    }));
  }

  function start() {
    if (/bot\b|crawl|spider|slurp|lighthouse/i.test(navigator.userAgent)) return settle(api);
    real = realNumbers();
    // The number of the page before, in this tab: ours still (a hold lasts five minutes at least), so nothing flickers.
    var before = keptJson('leaseline_lease');
    if (before && before.site === site && Date.now() - before.at < 240000) show(before.number, before.display);
    listen();
    acquire().catch(quietly(restore)).then(function () { settle(api); });
  }

  function whenReady(run) {
    if (document.prerendering) document.addEventListener('prerenderingchange', function () { whenReady(run); }, { once: true });
    else if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', run, { once: true });
    else run();
  }

  whenReady(quietly(start));
})(typeof window === 'object' ? window : this);
