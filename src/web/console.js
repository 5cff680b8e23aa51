// The console: reads the API, keeps its state in the address, and draws. It decides nothing.
import { clock, duration, el, hostOf, json, OUTCOMES, outcomeTag, percent, player, source } from '/assets/ui.js';

const main = document.getElementById('main');
let session = { authorised: false, token_required: false, demo: false };
let shown = 0; // counts views, so that a late answer does not draw over a newer one

// ── API ──

class Refused extends Error {
  constructor(status, problem) {
    super((problem && problem.detail) || `The server answered ${status}.`);
    this.status = status;
    this.code = problem && problem.code;
  }
}

async function api(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: 'same-origin', ...options });
  } catch {
    throw new Refused(0, { detail: 'Leaseline does not answer. Is it running?' });
  }
  if (answer.status === 204 || answer.status === 202) return null;
  const body = await answer.json().catch(() => null);
  if (!answer.ok) {
    if (answer.status === 401 && session.authorised) {
      session.authorised = false;
      signIn();
    }
    throw new Refused(answer.status, body);
  }
  return body;
}

function address() {
  return new URLSearchParams(location.search);
}

function go(changes, replace) {
  const params = address();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') params.delete(key);
    else params.set(key, value);
  }
  const query = params.toString();
  history[replace ? 'replaceState' : 'pushState'](null, '', query ? `/?${query}` : '/');
  show();
}

// ── frame ──

const VIEWS = { calls: callsView, live: liveView, numbers: numbersView, events: eventsView };
let stop = () => {};

function show() {
  if (session.token_required && !session.authorised) return signIn();
  stop();
  stop = () => {};
  const name = VIEWS[address().get('view')] ? address().get('view') : 'calls';
  for (const link of document.querySelectorAll('#nav a')) {
    if (new URL(link.href).searchParams.get('view') === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.title = `${name[0].toUpperCase()}${name.slice(1)} · Leaseline`;
  const turn = ++shown;
  Promise.resolve(VIEWS[name]((...nodes) => {
    if (turn === shown) main.replaceChildren(...nodes);
    return turn === shown;
  })).catch((error) => {
    if (turn === shown && !(error.status === 401)) main.replaceChildren(problem(error));
  });
}

function problem(error) {
  return el('div', { class: 'sheet empty', role: 'alert' },
    el('p', { class: 'bad-text' }, error.message),
    error.code ? el('p', { class: 'mono soft' }, error.code) : null,
    el('p', {}, el('button', { type: 'button', onclick: show }, 'Try again')));
}

function signIn(message) {
  stop();
  ++shown;
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true });
  const form = el('form', { class: 'sheet sign-in' },
    el('h1', {}, 'Sign in'),
    el('label', { for: 'token' }, 'Token, as in ', el('span', { class: 'mono' }, '[http] token'), ' of the configuration'),
    input,
    message ? el('p', { class: 'bad-text', role: 'alert' }, message) : null,
    el('button', { class: 'primary' }, 'Sign in'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await api('/session', { method: 'POST', headers: { authorization: `Bearer ${input.value}` } });
      await start();
    } catch (error) {
      signIn(error.status === 401 ? 'This is not the token.' : error.message);
    }
  });
  main.replaceChildren(form);
  input.focus();
}

async function health() {
  const tag = document.getElementById('health');
  let words = 'not answering';
  let mood = 'bad';
  try {
    const answer = await fetch('/readyz');
    const body = await answer.json();
    if (answer.ok) {
      const stale = body.lease_table === 'stale';
      const waiting = body.journal === 'waiting_for_disk';
      words = waiting ? 'disk refuses the journal' : stale ? 'taking calls, lease table stale' : 'taking calls';
      mood = waiting || stale ? 'warn' : 'good';
    } else {
      words = body.code || `answers ${answer.status}`;
      mood = 'warn';
    }
    if (!session.token_required || session.authorised) {
      const live = (await api('/v1/calls/live')).calls.length;
      const count = document.getElementById('live-count');
      count.textContent = live;
      count.hidden = !live;
    }
  } catch { /* said by the tag */ }
  tag.textContent = words;
  tag.className = `tag ${mood}`;
}

// ── calls ──

const FILTERS = ['outcome', 'pool', 'company', 'source', 'campaign', 'q', 'since', 'until'];

let listed = null; // the list on the screen and what it was asked for: opening a call leaves it as it is

async function callsView(draw) {
  const params = address();
  const id = params.get('call');
  const key = FILTERS.map((name) => params.get(name) || '').join('\n');
  if (!(listed && listed.key === key && id && listed.list.isConnected)) {
    listed = { key, list: await callList(params) };
  }
  for (const row of listed.list.querySelectorAll('tr.link')) {
    if (row.dataset.call === id) row.setAttribute('aria-current', 'true');
    else row.removeAttribute('aria-current');
  }
  const side = el('div', { class: 'card-side' });
  if (!draw(el('div', { class: id ? 'split open' : 'split' }, listed.list, id ? side : null))) return;
  if (id) await card(id, side).catch((error) => side.replaceChildren(problem(error)));
}

async function callList(params) {
  const asked = new URLSearchParams({ limit: '50' });
  for (const name of FILTERS) if (params.get(name)) asked.set(name, params.get(name));
  const [page, pools] = await Promise.all([api(`/v1/calls?${asked}`), api('/v1/pools')]);
  const list = el('div', {});
  const rows = el('tbody', {});
  const more = el('div', { class: 'more' });
  let cursor = page.next_cursor;

  function add(calls) {
    rows.append(...calls.map(callRow));
    more.replaceChildren(cursor
      ? el('button', { type: 'button', onclick: next }, 'Older calls')
      : el('span', { class: 'soft' }, rows.childElementCount ? 'No older calls.' : ''));
  }

  async function next(event) {
    event.target.disabled = true;
    try {
      asked.set('cursor', cursor);
      const older = await api(`/v1/calls?${asked}`);
      cursor = older.next_cursor;
      add(older.calls);
    } catch (error) {
      more.append(el('span', { class: 'bad-text' }, error.message));
      event.target.disabled = false;
    }
  }

  add(page.calls);
  list.append(el('h1', {}, 'Calls'), filters(params, pools.pools),
    page.calls.length
      ? el('div', { class: 'sheet' }, el('table', { class: 'calls' },
        el('thead', {}, el('tr', {}, ...[['Time'], ['Caller'], ['Came from'], ['Sure', 'wide-only narrow-hide'], ['Number dialled', 'wide-only narrow-hide'], ['Outcome'], ['Talk', 'num narrow-hide']].map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))), rows))
      : noCalls(params), more);
  return list;
}

function noCalls(params) {
  if (FILTERS.some((name) => params.get(name))) {
    return el('div', { class: 'sheet empty' }, 'No call fits these filters. ', el('a', { href: '/?view=calls' }, 'Show all'));
  }
  return el('div', { class: 'sheet empty' }, 'No calls yet. ',
    session.demo ? el('a', { href: '/demo?utm_source=yandex-direct&utm_medium=cpc&utm_campaign=kitchens&utm_term=oak+kitchen&yclid=123' }, 'Make one on the demo page') : 'The first one shows here when it ends.');
}

function filters(params, pools) {
  const form = el('form', { class: 'filters', role: 'search' },
    el('label', {}, 'Number or caller', el('input', { name: 'q', value: params.get('q') || '', inputmode: 'tel', placeholder: '+44…' })),
    el('label', {}, 'Outcome', el('select', { name: 'outcome' }, el('option', { value: '' }, 'any'),
      ...Object.entries(OUTCOMES).map(([value, [word]]) => el('option', { value, selected: params.get('outcome') === value }, word)))),
    el('label', {}, 'Pool', el('select', { name: 'pool' }, el('option', { value: '' }, 'any'),
      ...pools.map((pool) => el('option', { value: pool.name, selected: params.get('pool') === pool.name }, pool.name)))),
    el('label', {}, 'From', el('input', { type: 'date', name: 'since', value: (params.get('since') || '').slice(0, 10) })),
    el('label', {}, 'To', el('input', { type: 'date', name: 'until', value: (params.get('until') || '').slice(0, 10) })),
    el('button', { class: 'primary' }, 'Show'),
    FILTERS.some((name) => params.get(name)) ? el('a', { href: '/?view=calls' }, 'Clear') : null);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    go({ call: null, ...Object.fromEntries(new FormData(form)) });
  });
  form.addEventListener('change', (event) => {
    if (event.target.tagName === 'SELECT') form.requestSubmit();
  });
  return form;
}

function callRow(call) {
  const from = source(call.attribution);
  const params = address();
  params.set('call', call.call_id);
  const link = el('a', { class: 'row', href: `/?${params}` }, clock(call.started_at, true));
  const open = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    go({ call: call.call_id });
  };
  link.addEventListener('click', open);
  return el('tr', { class: 'link', 'data-call': call.call_id, onclick: open },
    el('td', { class: 'nowrap' }, link),
    el('td', { class: 'mono nowrap' }, call.caller || el('span', { class: 'soft' }, 'withheld')),
    el('td', {}, from.words, el('small', {}, call.pool)),
    el('td', { class: 'nowrap wide-only narrow-hide' }, sure(from.confidence)),
    el('td', { class: 'mono nowrap wide-only narrow-hide' }, call.number),
    el('td', {}, outcomeTag(call.outcome)),
    el('td', { class: 'num nowrap narrow-hide' }, call.talk_ms ? duration(call.talk_ms) : '–'));
}

function sure(share) {
  if (share === null) return el('span', { class: 'soft' }, '–');
  const bar = el('i', {});
  bar.style.width = percent(share).replace(' ', '');
  return [el('span', { class: 'meter', 'aria-hidden': 'true' }, bar), percent(share)];
}

function fact(name, value, wide) {
  if (value === null || value === undefined || value === '') return null;
  return el('div', { class: wide ? 'wide' : null }, el('dt', {}, name), el('dd', {}, value));
}

const mono = (text) => (text ? el('span', { class: 'mono' }, text) : null);

async function card(id, side) {
  if (!side.childElementCount) side.append(el('div', { class: 'sheet empty' }, 'Loading…'));
  const answer = await api(`/v1/calls/${encodeURIComponent(id)}`);
  const call = answer.call || answer;
  const a = call.attribution || {};
  const from = source(a);
  const live = !call.outcome;
  // A call in progress is drawn again until it ends.
  if (live) {
    const timer = setTimeout(() => side.isConnected && card(id, side).catch(() => {}), 2000);
    stop = () => clearTimeout(timer);
  }
  side.replaceChildren(el('article', { class: 'sheet call' },
    el('div', { class: 'call-head' },
      el('div', {}, el('h1', {}, call.caller || 'Withheld number'),
        el('p', {}, outcomeTag(call.outcome), ' ', el('span', { class: 'soft' }, `${clock(call.started_at, true)} · ${call.company}`))),
      el('div', {}, live ? hangUp(call) : null, ' ', el('button', { type: 'button', 'aria-label': 'Close', onclick: () => go({ call: null }) }, '✕'))),
    attribution(a, from),
    el('section', {}, el('h2', {}, 'Timeline'), timeline(call)),
    call.recording && call.recording.state !== 'off' ? recording(call) : null,
    call.media ? media(call.media) : null,
    el('section', {}, el('h2', {}, 'Facts'), el('dl', { class: 'facts' },
      fact('Number dialled', mono(call.number)), fact('Pool', call.pool), fact('Trunk', call.trunk),
      fact('Hung up by', call.hangup_by), fact('Reason', mono(call.reason)), fact('SIP status', call.sip_status && String(call.sip_status)),
      fact('Sent to', mono(call.forwarded_to), true), fact('Call id', mono(call.call_id), true))),
    el('section', {}, el('details', {}, el('summary', {}, 'As JSON'), json(answer)))));
}

function attribution(a, from) {
  const session = a.session || {};
  const utm = session.utm || {};
  const pairs = (map) => Object.entries(map || {}).map(([key, value]) => el('div', {}, mono(`${key} ${value}`)));
  const candidates = a.candidates || [];
  return el('section', {}, el('h2', {}, 'Who it was'),
    el('p', { class: 'lead' }, el('strong', {}, from.words), from.confidence === null ? '' : ` · ${percent(from.confidence)} sure`,
      el('br', {}), el('span', { class: 'soft' }, from.why && `${from.why[0].toUpperCase()}${from.why.slice(1)}.`, a.stale ? ' The lease table was out of step at that moment.' : '')),
    el('dl', { class: 'facts' },
      fact('Medium', utm.medium), fact('Search words', utm.term), fact('Content', utm.content),
      fact('Landing page', session.landing_page, true), fact('Referrer', session.referrer && hostOf(session.referrer)),
      fact('Click ids', Object.keys(session.click_ids || {}).length ? pairs(session.click_ids) : null),
      fact('Client ids', Object.keys(session.client_ids || {}).length ? pairs(session.client_ids) : null),
      fact('Visitor', mono(a.visitor_id)), fact('Lease', mono(a.lease_id))),
    candidates.length ? el('ul', { class: 'evidence' }, candidates.map((one) => el('li', {},
      sure(one.probability), ' ', mono(one.visitor_id), el('div', { class: 'soft' }, (one.evidence || []).join(' · '))))) : null);
}

function timeline(call) {
  const began = new Date(call.started_at);
  const steps = [
    [call.started_at, 'Call came in'],
    [call.ringing_at, 'Company’s phone rings'],
    [call.answered_at, `Answered${call.ring_ms ? ` after ${duration(call.ring_ms)}` : ''}`],
    [call.ended_at, `Ended${call.hangup_by ? ` by ${call.hangup_by}` : ''}${call.talk_ms ? `, talked ${duration(call.talk_ms)}` : ''}`],
  ].filter(([at]) => at);
  return el('ol', { class: 'timeline' }, steps.map(([at, what], i) => el('li', {},
    el('time', { datetime: at }, i ? `+${duration(new Date(at) - began)}` : clock(at)), el('span', {}, what))));
}

function recording(call) {
  const r = call.recording;
  const mood = { complete: 'good', degraded: 'warn', failed: 'bad' }[r.state] || '';
  const url = `/v1/calls/${call.call_id}/recording`;
  return el('section', {}, el('h2', {}, 'Recording ', el('span', { class: `tag ${mood}` }, r.state), r.reason ? el('span', { class: 'tag bad' }, r.reason) : null),
    r.path ? player(url, r.gaps) : el('p', { class: 'soft' }, 'There is no file.'),
    el('p', { class: 'soft' }, `${duration(r.duration_ms)}, ${r.channels} channels, ${r.sample_rate / 1000} kHz. `,
      r.path ? el('a', { href: `${url}?download=1` }, 'Download') : null),
    gaps(r.gaps || []),
    r.sha256 ? el('details', {}, el('summary', {}, 'SHA-256'), mono(r.sha256)) : null);
}

function gaps(list) {
  if (!list.length) return null;
  return el('details', {}, el('summary', {}, `${list.length} stretch${list.length > 1 ? 'es' : ''} of silence that stand${list.length > 1 ? '' : 's'} for something not heard`),
    el('table', { class: 'legs' }, el('thead', {}, el('tr', {}, ...['Channel', 'At', 'For', 'Cause'].map((text) => el('th', { scope: 'col' }, text)))),
      el('tbody', {}, list.slice(0, 200).map((gap) => el('tr', {}, el('td', { class: gap.channel }, gap.channel),
        el('td', {}, duration(gap.at_ms)), el('td', {}, duration(gap.for_ms)), el('td', {}, gap.cause))))));
}

function media(m) {
  const legs = ['caller', 'company'].filter((side) => m[side]);
  const row = (name, value) => el('tr', {}, el('th', { scope: 'row' }, name), legs.map((side) => el('td', {}, value(m[side]))));
  const lost = (leg) => {
    const all = leg.received + leg.lost;
    return leg.lost ? `${leg.lost} (${((leg.lost / all) * 100).toFixed(1)} %)` : '0';
  };
  return el('section', {}, el('h2', {}, 'Media ', m.codec ? el('span', { class: 'tag' }, m.codec) : null),
    el('table', { class: 'legs' },
      el('thead', {}, el('tr', {}, el('td', {}), legs.map((side) => el('th', { scope: 'col', class: side }, `from ${side}`)))),
      el('tbody', {},
        row('Packets', (leg) => String(leg.received)), row('Lost', lost),
        row('Jitter', (leg) => `${Number(leg.jitter_ms || 0).toFixed(1)} ms`),
        row('Quality (MOS)', (leg) => (leg.mos ? Number(leg.mos).toFixed(2) : '–')))));
}

function hangUp(call) {
  const button = el('button', { type: 'button', class: 'danger' }, 'Hang up');
  button.addEventListener('click', async () => {
    if (button.dataset.sure !== 'yes') {
      button.dataset.sure = 'yes';
      button.textContent = 'Hang up: sure?';
      return;
    }
    button.disabled = true;
    try {
      await api(`/v1/calls/${call.call_id}`, { method: 'DELETE' });
      button.textContent = 'Hanging up…';
    } catch (error) {
      button.textContent = error.message;
    }
  });
  return button;
}

// ── live ──

async function liveView(draw) {
  const rows = el('tbody', {});
  const sheet = el('div', { class: 'sheet' });
  const table = el('table', {}, el('thead', {}, el('tr', {}, ...['For', 'State', 'Caller', 'Came from', 'Number dialled', 'Sent to', ''].map((text) => el('th', { scope: 'col' }, text)))), rows);
  const known = new Map();
  async function refresh() {
    const { calls } = await api('/v1/calls/live');
    const now = Date.now();
    const ids = new Set(calls.map((call) => call.call_id));
    for (const [id, row] of known) {
      if (!ids.has(id)) {
        row.remove();
        known.delete(id);
      }
    }
    for (const call of calls) {
      let row = known.get(call.call_id);
      if (!row) {
        row = liveRow(call);
        known.set(call.call_id, row);
        rows.append(row);
      }
      row.cells[0].textContent = duration(Math.max(now - new Date(call.started_at), 0));
      row.cells[1].replaceChildren(el('span', { class: `tag ${call.state === 'talking' ? 'good' : 'accent'}` }, call.state));
      row.cells[5].textContent = call.forwarded_to || '';
    }
    sheet.replaceChildren(calls.length ? table : el('p', { class: 'empty' }, 'No call is in progress.'));
  }
  await refresh();
  if (!draw(el('h1', {}, 'Calls in progress'), sheet)) return;
  const timer = setInterval(() => refresh().catch(() => {}), 1000);
  stop = () => clearInterval(timer);
}

function liveRow(call) {
  const from = source(call.attribution);
  return el('tr', {}, el('td', { class: 'nowrap' }), el('td', {}), el('td', { class: 'mono nowrap' }, call.caller || 'withheld'),
    el('td', {}, from.words, el('small', {}, call.pool)), el('td', { class: 'mono nowrap' }, call.number), el('td', { class: 'mono' }), el('td', {}, hangUp(call)));
}

// ── numbers ──

async function numbersView(draw) {
  const params = address();
  const chosen = params.get('pool') || '';
  const { pools } = await api('/v1/pools');
  const asked = new URLSearchParams({ limit: '100' });
  if (chosen) asked.set('pool', chosen);
  if (params.get('state')) asked.set('state', params.get('state'));
  const page = await api(`/v1/numbers?${asked}`);
  const rows = el('tbody', {});
  const more = el('div', { class: 'more' });
  let cursor = page.next_cursor;
  function add(numbers) {
    rows.append(...numbers.map(numberRow));
    more.replaceChildren(cursor ? el('button', { type: 'button', onclick: next }, 'More numbers') : '');
  }
  async function next() {
    asked.set('after', cursor);
    const older = await api(`/v1/numbers?${asked}`);
    cursor = older.next_cursor;
    add(older.numbers);
  }
  add(page.numbers);
  const select = el('select', { onchange: (event) => go({ state: event.target.value }) },
    ...[['', 'all numbers'], ['leased', 'on a page'], ['held', 'held'], ['free', 'free'], ['static', 'static']]
      .map(([value, word]) => el('option', { value, selected: (params.get('state') || '') === value }, word)));
  draw(el('h1', {}, 'Numbers'),
    el('div', { class: 'cards' }, pools.map(poolCard)),
    el('div', { class: 'filters' }, el('label', {}, 'Show', select), chosen ? el('a', { href: '/?view=numbers' }, `Only ${chosen}: clear`) : null),
    page.numbers.length
      ? el('div', { class: 'sheet' }, el('table', {}, el('thead', {}, el('tr', {}, ...['Number', 'State', 'Pool', 'Shown to a visitor from', 'Last seen', 'Until'].map((text) => el('th', { scope: 'col' }, text)))), rows))
      : el('div', { class: 'sheet empty' }, 'No number is in this state.'),
    more);
}

function poolCard(pool) {
  const share = (n) => `${pool.numbers ? (n / pool.numbers) * 100 : 0}%`;
  const bar = el('div', { class: 'bar', 'aria-hidden': 'true' });
  for (const kind of ['leased', 'held']) {
    const part = el('i', { class: kind });
    part.style.width = share(pool[kind]);
    bar.append(part);
  }
  const channel = Object.values(pool.channel || {}).join(' · ');
  return el('section', { class: 'sheet pool' },
    el('h2', {}, el('a', { href: `/?view=numbers&pool=${encodeURIComponent(pool.name)}` }, pool.name), el('span', { class: 'tag' }, pool.kind)),
    el('p', { class: 'soft' }, `${pool.company}${pool.site ? ` · ${pool.site}` : ''} · ${pool.numbers} number${pool.numbers === 1 ? '' : 's'}`),
    pool.kind === 'static'
      ? el('p', {}, channel || 'no channel')
      : [bar, el('p', { class: 'keys' },
        el('span', { class: 'leased' }, 'on a page ', el('b', {}, String(pool.leased))),
        el('span', { class: 'held' }, 'held ', el('b', {}, String(pool.held))),
        el('span', {}, 'free ', el('b', {}, String(pool.free)))),
        pool.exhausted ? el('p', { class: 'bad-text' }, `${pool.exhausted} visitors saw the real number: none was free.`) : null]);
}

function numberRow(info) {
  const lease = info.lease;
  const mood = { leased: 'accent', held: 'warn' }[info.state] || '';
  const from = lease ? source({ kind: 'visitor', session: lease.session }) : null;
  return el('tr', {}, el('td', { class: 'mono nowrap' }, info.display || info.number),
    el('td', {}, el('span', { class: `tag ${mood}` }, { leased: 'on a page' }[info.state] || info.state)),
    el('td', {}, info.pool), el('td', {}, from ? from.words : ''),
    el('td', { class: 'nowrap' }, lease ? clock(lease.seen_at, true) : ''),
    el('td', { class: 'nowrap' }, lease && info.state !== 'free' ? clock(info.state === 'held' ? lease.hold_until : lease.expires_at) : ''));
}

// ── events ──

const EVENT_ROWS = 500;

async function eventsView(draw) {
  const kind = address().get('type') || '';
  const list = el('div', { class: 'sheet events' });
  const empty = el('p', { class: 'empty' }, 'Nothing yet. Events show here as they are written.');
  list.append(empty);
  const select = el('select', { onchange: (event) => go({ type: event.target.value }) },
    ...[['', 'all'], ['leaseline.call.', 'calls'], ['leaseline.call.ended', 'ended calls'], ['leaseline.recording.', 'recordings'], ['leaseline.lease.', 'leases']]
      .map(([value, word]) => el('option', { value, selected: kind === value }, word)));
  // The newest first: what was written lately, then what comes.
  const newest = Number((await fetch('/v1/events?limit=1', { method: 'HEAD' })).headers.get('leaseline-newest')) || 0;
  if (!draw(el('h1', {}, 'Events'), el('div', { class: 'filters' }, el('label', {}, 'Show', select)), list)) return;
  const stream = new EventSource(`/v1/events?after=${Math.max(newest - 200, 0)}${kind ? `&type=${encodeURIComponent(kind)}` : ''}`);
  stream.onmessage = (message) => {
    const event = JSON.parse(message.data);
    empty.remove();
    list.prepend(eventRow(event));
    while (list.childElementCount > EVENT_ROWS) list.lastElementChild.remove();
  };
  stop = () => stream.close();
}

function eventRow(event) {
  const body = el('div', {});
  const data = event.data || {};
  const row = el('details', {}, el('summary', {},
    el('span', { class: 'seq' }, `#${event.seq}`), el('span', { class: 'nowrap soft' }, clock(event.time, true)),
    el('span', {}, event.type.replace(/^leaseline\./, '')),
    data.outcome ? outcomeTag(data.outcome) : null,
    el('span', { class: 'mono soft' }, data.number || data.pool || '')), body);
  row.addEventListener('toggle', () => {
    if (row.open && !body.childElementCount) body.append(json(event));
  });
  return row;
}

// ── start ──

async function start() {
  session = await api('/session');
  document.getElementById('node').textContent = session.node || '';
  document.getElementById('demo-link').hidden = !session.demo;
  document.getElementById('sign-out').hidden = !(session.token_required && session.authorised);
  show();
  health();
}

addEventListener('popstate', show);
document.addEventListener('click', (event) => {
  const link = event.target.closest && event.target.closest('a[href^="/?"], a.brand');
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.defaultPrevented) return;
  event.preventDefault();
  history.pushState(null, '', link.getAttribute('href'));
  show();
  main.focus({ preventScroll: true });
});
document.getElementById('sign-out').addEventListener('click', async () => {
  await api('/session', { method: 'DELETE' }).catch(() => {});
  start().catch((error) => main.replaceChildren(problem(error)));
});
setInterval(health, 5000);
start().catch((error) => main.replaceChildren(problem(error)));
