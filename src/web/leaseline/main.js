// At work: consent, identity, the lease and its life, and when the page is read.
//
//   <script src="https://calls.example.com/leaseline.js" data-site="shop" data-number="+44 20 7946 0999" async></script>
//
// data-site      name of the site in the configuration
// data-number    the company's real number or numbers on this page, separated by commas. Without it: the numbers of
//                elements marked data-leaseline, else the one number that all tel: links share
// data-server    where the API is, when not beside this file
// data-consent   full (default), anonymous (nothing is kept, no click ids, one lease a page) or off (nothing is asked),
//                until leaseline.consent() or Google's Consent Mode says otherwise
// data-swap      now, load (after the page has loaded and is idle) or manual (after leaseline.start()). Default: now, and
//                load on pages made by Next, Nuxt and their like, which must find their text as they sent it
// data-timeout   milliseconds after which the real number stays (800)
// data-callback  a global function that shows the number: called with {number, display}, or null for the real one. The page
//                is left alone then, unless the function gives true
// data-deep      also open shadow roots
//
// Whatever goes wrong, the real number stays, and nothing is thrown into the page.
const script = document.currentScript || document.querySelector('script[data-site][src*=leaseline]');
if (!script || window.leaseline) return;

const VISITOR = 'leaseline_visitor';
const LEASE = 'leaseline_lease';
const TABS = 'leaseline_tabs';
const SHOWN = 'data-leaseline-shown';
const YEAR = 34560000;
// Globals of others that put numbers on pages, too.
const OTHERS = ['CallTrk', 'MARCHEX_DNI_SCANNER', 'Invoca', 'call_value', '_googWcmGet'];
const root = document.documentElement;
const tab = '' + Math.random();

const option = (name) => script.getAttribute('data-' + name);
const site = option('site');
const server = (option('server') || script.src.replace(/\/[^/]*([?#].*)?$/, '')).replace(/\/$/, '');
const fuse = +option('timeout') || 800;
deep = option('deep') !== null;

let mode = option('consent') || 'full';
let ads = mode === 'full';
let asked = false;     // whether the page has begun
let real = [];         // the company's numbers, as the page writes them
let shown = [];        // numbers that we, or a copy of this page, put there
let lease = null;      // what the server lent
let sent = '';         // what it knows of the visit
let turns = 0;         // how often a number was asked for
let busy = 0;          // how many of these are under way
let tapped = 0;
let timer = 0;
let frame = false;
let job = null;
let dirty = new Set();
let free = false;      // whether the page may be written
let settle;

const api = window.leaseline = {
  number: null, display: null, lease_id: null, consent, scan: () => mark([root]), start: go,
  ready: new Promise((resolve) => { settle = resolve; }),
};

const quietly = (run) => (...given) => { try { return run(...given); } catch (e) { /* the page is not to know */ } };
const on = (where, names, run, capture) => names.split(' ').forEach((name) => where.addEventListener(name, quietly(run), capture));
const isFull = () => mode === 'full';

// ── what is kept: only with consent, and any of it may be forbidden ──

function kept(key, store = 'localStorage') {
  try { return isFull() ? JSON.parse(window[store].getItem(key)) : null; } catch (e) { return null; }
}

function keep(key, value, store = 'localStorage') {
  try { if (isFull()) window[store].setItem(key, JSON.stringify(value)); } catch (e) { /* private mode, full or blocked */ }
}

const cookie = quietly((name) => (document.cookie.match('(?:^|; *)' + name + '=([\\w.-]+)') || [])[1]);
const setCookie = quietly((name, value, age, domain) => {
  document.cookie = name + '=' + value + '; Path=/; SameSite=Lax; Max-Age=' + age + (domain ? '; Domain=' + domain : '') +
    (location.protocol === 'https:' ? '; Secure' : '');
});

// The widest domain that takes a cookie: what is registered, and no public suffix.
function widest() {
  const labels = location.hostname.split('.');
  for (let i = labels.length; i--;) {
    const domain = labels.slice(i).join('.');
    setCookie('leaseline_probe', 1, 9, domain);
    const took = cookie('leaseline_probe');
    setCookie('leaseline_probe', 1, 0, domain);
    if (took) return domain;
  }
}

// A campaign in the address starts a new session; otherwise the tab keeps the one it began with.
function session() {
  const fresh = visitOf(withoutLink(location.href), document.referrer, ads);
  const old = kept('leaseline_session', 'sessionStorage');
  const visit = old && old.utm && !isCampaign(fresh) ? old : { ...fresh, at: Date.now() };
  keep('leaseline_session', visit, 'sessionStorage');
  const { at, ...known } = visit;
  if (!ads) known.click_ids = {};
  if (isFull()) {
    known.client_ids = clientIds(document.cookie, ads);
    known.client = {
      page: withoutLink(location.href), screen: screen.width + 'x' + screen.height,
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone, consent: ads ? 'ads' : 'analytics',
    };
  }
  return [known, Date.now() - at];
}

// ── the server ──

// A text goes as text/plain: no preflight is needed, and a beacon may carry the same.
async function post(path, body) {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), fuse);
  const answer = await fetch(server + '/v1/leases' + path, {
    method: 'POST', body: JSON.stringify(body), keepalive: true, signal: abort.signal, credentials: isFull() ? 'include' : 'omit',
  });
  if (!answer.ok) throw answer.status;
  return answer.json();
}

function tell(what, body) {
  if (lease) navigator.sendBeacon(server + '/v1/leases/' + lease.lease_id + '/' + what, JSON.stringify(body || {}));
}

const signal = (name) => tell('signal', { signal: name });

async function acquire() {
  if (mode === 'off') return;
  const turn = ++turns;
  busy++;
  const [visit, age] = session();
  const known = isFull() ? {
    visitor_id: cookie(VISITOR) || kept(VISITOR) || api.visitor_id, domain: widest(), link: query(location.href).get(LINK),
  } : { anonymous: true };
  if (known.link) history.replaceState(history.state, '', withoutLink(location.href));
  if (navigator.maxTouchPoints > 1 && /Macintosh/.test(navigator.userAgent)) known.device = 'tablet';
  sent = JSON.stringify(visit);
  const answer = await post('', { site, ...known, session: visit, age_ms: age }).finally(() => busy--);
  // What was asked for before consent changed is of no use any more.
  if (turn === turns) take(answer);
}

// Identifiers that came late, or another page of the same visit.
function update() {
  const [visit, age] = session();
  const text = JSON.stringify(visit);
  if (text === sent || !lease) return;
  sent = text;
  tell('session', { session: visit, age_ms: age });
}

async function renew() {
  const before = lease;
  try {
    const fresh = before && await post('/' + before.lease_id + '/renew', {});
    if (before && lease === before) take(fresh);
  } catch (why) {
    // The lease is gone: ask anew. Anything else may pass: the number is held for a while, so try again later.
    if (why === 404) await acquire().catch(lose);
    else fail();
  }
}

// Nobody answers: the number is still this visitor's for a while.
function fail() {
  if (lease && Date.now() < lease.until) beat();
  else lose();
}

function beat() {
  clearTimeout(timer);
  if (!document.hidden && lease) timer = setTimeout(quietly(renew), lease.renew_after_ms);
}

function take(answer) {
  const now = Date.now();
  if (answer.visitor_id) {
    keep(VISITOR, answer.visitor_id);
    // The server's own is better: browsers forget what scripts set within a week.
    if (isFull() && cookie(VISITOR) !== answer.visitor_id) setCookie(VISITOR, answer.visitor_id, YEAR, widest());
  }
  if (!answer.number) return lose();
  use({ ...answer, site, until: now + answer.held_for_ms });
  keep(LEASE, lease);
  keep(TABS, { ...tabs(), [tab]: now });
  beat();
}

function use(fresh) {
  lease = fresh;
  api.visitor_id = lease.visitor_id;
  api.number = lease.number;
  api.display = lease.display;
  api.lease_id = lease.lease_id;
  show(lease.number, lease.display);
}

// Back to the company's own number.
function lose() {
  lease = api.number = api.display = api.lease_id = null;
  keep(LEASE, null);
  hide();
}

// Other tabs of this visitor, but for those that died without a word.
function tabs() {
  return Object.fromEntries(Object.entries(kept(TABS) || {}).filter(([name, at]) => name !== tab && Date.now() - at < 3600000));
}

// ── the page ──

const listed = () => {
  const given = option('number');
  if (given) return given.split(',');
  const marked = [...document.querySelectorAll('[data-leaseline]')]
    .map((element) => element.getAttribute('data-leaseline') || (element.getAttribute('href') || element.textContent).replace(/^tel:/, ''))
    .filter((number) => digitsOf(number).length > 5);
  if (marked.length) return marked;
  const linked = [...document.querySelectorAll('a[href^="tel:"]')].map((link) => link.getAttribute('href').slice(4).split(/[;?]/)[0]);
  return new Set(linked.map(digitsOf)).size === 1 ? [linked[0]] : [];
};

function aim(e164, display, from, back) {
  const number = parse(e164);
  if (!number) return;
  undo = back;
  target = { ...number, e164, display };
  forms = from.map((text) => parse(text, e164)).filter((known) => known && (known.cc !== number.cc || known.nsn !== number.nsn))
    .flatMap(formsOf).sort(longestFirst);
  mark([root]);
}

function show(e164, display) {
  if (!free) return;
  if (!real.length) real = listed();
  if (!shown.includes(e164)) shown.push(e164);
  if (!render({ number: e164, display })) return;
  // Whoever keeps or copies the page as it is now tells the next reader's script which number to replace.
  root.setAttribute(SHOWN, e164);
  if (!target || target.e164 !== e164) aim(e164, display, real.concat(shown), false);
}

function hide() {
  if (!shown.length || !render(null) || !real.length) return;
  root.removeAttribute(SHOWN);
  const own = parse(real[0], shown[0]);
  if (own) aim('+' + own.cc + own.nsn, real[0].trim(), shown, true);
}

// The page may show the number itself; when its function gives something true, we do as well.
function render(detail) {
  const callback = window[option('callback')];
  return !callback || callback(detail);
}

const observer = new MutationObserver((records) => mark(records.map((record) => {
  // The line around a changed text: a number may be split over neighbours.
  let top = record.target;
  while (top.parentNode && INLINE.test(top.nodeName)) top = top.parentNode;
  return top;
})));

entered = (node) => observer.observe(node, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
fought = () => signal('fought_back');

function mark(tops) {
  if (!target) return;
  for (const top of tops) dirty.add(top);
  if (!frame) (document.hidden ? setTimeout : requestAnimationFrame)(quietly(work));
  frame = true;
}

// At most 4 ms a frame, unless it must be done now.
function work(now) {
  const until = performance.now() + 4;
  frame = false;
  for (;;) {
    if (!job && dirty.size) {
      const all = dirty;
      const isInside = (node) => node && (all.has(node) || isInside(node.parentNode));
      job = sweep([...all].filter((top) => !isInside(top.parentNode)));
      dirty = new Set();
    }
    if (!job) break;
    if (job.next().done) job = null;
    if (now !== true && performance.now() > until) break;
  }
  // Our own writes are no news.
  observer.takeRecords();
  if (job) mark([]);
}

function isOurs(text) {
  const digits = digitsOf(text);
  return lease && formsOf(parse(lease.number)).some((form) => digits.includes(form.digits));
}

// A link to another of our sites carries who follows it.
function decorate(link) {
  if (!lease || !lease.link || !lease.link.hosts.includes(link.host) || link.host === location.host) return;
  const href = link.getAttribute('href');
  const [, head, hash] = /^([^#]*)(.*)$/.exec(link.href);
  link.href = head + (head.includes('?') ? '&' : '?') + LINK + '=' + lease.link.token + hash;
  setTimeout(() => link.setAttribute('href', href));
}

// Another page of the same visit, or the same one in sight again. Who got no number may get one now.
const viewed = quietly((name = 'view') => {
  signal(name);
  if (lease) update();
  else if (!document.hidden && !busy) acquire().catch(fail);
});

function listen() {
  on(document, 'click auxclick', (event) => {
    const link = event.target.closest && event.target.closest('a[href]');
    if (!link) return;
    if (link.protocol === 'tel:' && isOurs(link.href)) {
      tapped = Date.now();
      signal('tel_tap');
    }
    decorate(link);
  }, true);
  on(document, 'copy', () => { if (isOurs(String(getSelection()))) signal('copy'); }, true);
  on(document, 'visibilitychange', () => {
    viewed(document.hidden ? 'hidden' : 'visible');
    if (document.hidden) beat();
    else renew();
  });
  on(window, 'pagehide', () => {
    clearTimeout(timer);
    const others = tabs();
    keep(TABS, others);
    // Dialling is not leaving, and neither is one tab of several.
    if (Date.now() - tapped > 600000 && !Object.keys(others).length) tell('release');
  });
  on(window, 'pageshow', (event) => {
    if (!event.persisted) return;
    signal('restore');
    acquire().catch(fail);
  });
  // Another tab got a lease of its own at the same time: the one that sorts first wins, in both.
  on(window, 'storage', ({ key, newValue }) => {
    const other = isFull() && key === LEASE && JSON.parse(newValue);
    if (!other || !lease || other.site !== site || other.lease_id >= lease.lease_id) return;
    tell('release');
    use(other);
  });
  // A printed number outlives every lease.
  on(window, 'beforeprint', () => { hide(); work(true); });
  on(window, 'afterprint', () => { if (lease) show(lease.number, lease.display); });
  for (const name of ['pushState', 'replaceState']) {
    const before = history[name];
    history[name] = function (...given) {
      const from = location.href;
      before.apply(this, given);
      if (location.href !== from) viewed();
    };
  }
  on(window, 'popstate', () => viewed());
}

// ── consent ──

function consent(given) {
  const before = mode + ads;
  if (given.trim) {
    mode = given;
    ads = isFull();
  } else {
    if (given.analytics != null) mode = given.analytics ? 'full' : 'anonymous';
    if (given.ads != null) ads = !!given.ads;
  }
  if (!asked || mode + ads === before) return;
  if (!isFull()) {
    tell('release');
    for (const store of ['localStorage', 'sessionStorage']) {
      try { [VISITOR, LEASE, TABS, 'leaseline_session'].forEach((key) => window[store].removeItem(key)); } catch (e) { /* blocked */ }
    }
    for (const domain of ['', widest()]) setCookie(VISITOR, '', 0, domain);
    delete api.visitor_id;
    lose();
  }
  acquire().catch(lose);
}

function heard([what, , flags]) {
  if (what !== 'consent' || !flags) return;
  const granted = (flag) => flag && flag === 'granted';
  consent({ analytics: granted(flags.analytics_storage), ads: granted(flags.ad_storage) });
}

// ── the beginning ──

// From here on the page may be written.
function go() {
  if (free) return;
  free = true;
  real = listed();
  entered(root);
  if (lease) show(lease.number, lease.display);
  else hide();
}

// Pages that a framework takes over in the browser: it must find its text as the server wrote it.
const HYDRATED = '[id^="__n"],#___gatsby,[data-server-rendered],[ng-server-context],astro-island,script[src*="/_n"]';

function begin() {
  const layer = window.dataLayer = window.dataLayer || [];
  layer.forEach(quietly(heard));
  const push = layer.push;
  layer.push = function (...entries) {
    entries.forEach(quietly(heard));
    return push.apply(this, entries);
  };
  asked = true;

  const leaked = root.getAttribute(SHOWN);
  if (leaked) shown.push(leaked);
  const before = kept(LEASE);
  if (before && before.site === site && Date.now() < before.until) use(before);
  listen();
  acquire().catch(fail).then(() => settle(api));

  const swap = option('swap');
  const after = (state, event, run) => (state.includes(document.readyState) ? run() : on(window, event, run));
  const hydrated = () => swap !== 'now' && document.querySelector(HYDRATED);
  const loaded = () => (window.requestIdleCallback || setTimeout)(quietly(go));
  if (swap === 'load') after('complete', 'load', loaded);
  else if (swap === 'manual') ;
  else if (option('number') && !hydrated()) go();
  else after('interactivecomplete', 'DOMContentLoaded', () => (hydrated() ? after('complete', 'load', loaded) : go()));
  if (deep) {
    const attach = Element.prototype.attachShadow;
    Element.prototype.attachShadow = function (given) {
      mark([this]);
      return attach.call(this, given);
    };
  }
  // Analytics makes its ids after us.
  after('complete', 'load', () => setTimeout(quietly(() => {
    api.others = OTHERS.filter((name) => name in window);
    if (api.others[0]) signal('other_tracker');
    update();
  }), 3000));
}

if (document.prerendering) on(document, 'prerenderingchange', begin);
else quietly(begin)();
