// The demo page: the visit as the page script saw it, a call step by step, and what Leaseline made of it.
import { clock, duration, el, hostOf, json, outcomeTag, percent, player, source } from '/assets/ui.js';

const $ = (id) => document.getElementById(id);

const ARRIVALS = [
  ['Yandex.Direct, “oak kitchen”', '?utm_source=yandex-direct&utm_medium=cpc&utm_campaign=kitchens&utm_term=oak+kitchen&yclid=123'],
  ['Google Ads, “fitted kitchens london”', '?utm_source=google&utm_medium=cpc&utm_campaign=spring-sale&utm_term=fitted+kitchens+london&gclid=EAIaIQobChMI'],
  ['The April newsletter', '?utm_source=newsletter&utm_medium=email&utm_campaign=april'],
  ['Nowhere: typed the address', ''],
];

function forget() {
  try {
    localStorage.clear();
    sessionStorage.clear();
  } catch { /* nothing is kept then */ }
  for (const domain of ['', `; Domain=${location.hostname}`]) document.cookie = `leaseline_visitor=; Path=/; Max-Age=0${domain}`;
}

function fact(name, value, attributes) {
  return el('div', {}, el('dt', {}, name), el('dd', attributes, value));
}

// ── 1: the visit ──

function showVisit() {
  const lease = window.leaseline;
  const params = new URLSearchParams(location.search);
  const click = [...params].find(([key]) => /clid$|braid$/.test(key));
  const facts = $('visit');
  facts.replaceChildren(
    lease && lease.number
      ? fact('This visitor’s own number', lease.display, { class: 'big-number', id: 'own-number' })
      : fact('Number on the page', 'the company’s real one', {}),
    fact('Source', [params.get('utm_source'), params.get('utm_medium')].filter(Boolean).join(' / ') || (document.referrer ? hostOf(document.referrer) : 'direct visit')),
    params.get('utm_campaign') ? fact('Campaign', params.get('utm_campaign')) : '',
    params.get('utm_term') ? fact('Search words', params.get('utm_term')) : '',
    click ? fact('Click id', `${click[0]} ${click[1]}`) : '',
    lease && lease.lease_id ? fact('Lease', `${lease.lease_id.slice(0, 8)}…`, { class: 'mono' }) : '',
  );
}

function offerArrivals() {
  const select = $('as');
  const now = ARRIVALS.findIndex(([, query]) => query === location.search);
  ARRIVALS.forEach(([label, query], i) => select.append(el('option', { value: query, selected: i === now }, label)));
  $('new-visitor').addEventListener('click', () => {
    // The page script keeps what it knows until the page is gone, which these two say, in this order.
    for (const end of ['pagehide', 'visibilitychange']) addEventListener(end, forget);
    forget();
    location.assign(`/demo${select.value}`);
  });
}

// ── 2: the call ──

const LANE = { phone: 1, caller: 1, leaseline: 2, company: 3 };
let began = 0;

function stepLine(step) {
  const from = LANE[step.from] || 2;
  const to = LANE[step.to] || 2;
  const since = Math.max(new Date(step.at) - began, 0);
  const time = el('time', {}, `+${(since / 1000).toFixed(2)} s`);
  const who = { 1: 'caller’s phone', 2: 'Leaseline', 3: 'company’s phone' };
  if (from === to) {
    return el('li', {}, el('div', { class: `note ${step.step === 'failed' ? 'bad' : ''}` }, step.text, time));
  }
  if (Math.abs(from - to) === 2) return el('li', {}, el('div', { class: 'note wide' }, step.text, time));
  const left = Math.min(from, to);
  const provisional = /^(trying|ringing)$/.test(step.step);
  return el('li', {}, el('div', { class: `arrow ${from < to ? 'right' : 'left'} a${left}-${left + 1} ${provisional ? 'dim' : ''}` },
    el('span', { class: 'visually-hidden' }, `${who[from]} to ${who[to]}: `), step.text, time));
}

let mine = false; // the ladder that runs is of a call to this visitor's number

function onStep(step) {
  if (step.step === 'dial') mine = !!(window.leaseline && window.leaseline.number && step.text.includes(window.leaseline.number));
  if (!mine) return;
  if (step.step === 'dial') {
    began = new Date(step.at).getTime();
    $('steps').replaceChildren();
    $('result').hidden = true;
  }
  $('ladder').hidden = false;
  $('steps').append(stepLine(step));
  const notes = { dial: 'Dialling…', ringing: 'Ringing…', talking: 'Talking…', bye: 'Hung up.', recording: 'Sealing the recording…' };
  if (notes[step.step]) $('call-note').textContent = notes[step.step];
  if (step.step === 'failed') finish(step.text);
  if (step.step === 'event' && step.data) {
    showEvent(step.data);
    finish('Done. The event is below.');
  }
}

function finish(note) {
  $('call').disabled = false;
  $('call').textContent = 'Call again';
  $('call-note').textContent = note;
}

async function call(event, tries = 40) {
  const number = window.leaseline.number;
  $('call').disabled = true;
  $('call-note').textContent = 'Dialling…';
  try {
    const answer = await fetch('/demo/call', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ number }),
    });
    if (answer.ok) return;
    const problem = await answer.json();
    if (problem.code === 'demo_busy' && tries > 0) {
      $('call-note').textContent = 'The demo’s caller is on the phone already; your call is next…';
      setTimeout(call, 500, event, tries - 1);
    } else {
      finish(problem.detail || `The call was not made: ${answer.status}`);
    }
  } catch {
    finish('Leaseline does not answer. Is it still running?');
  }
}

// ── 3: who it was ──

function showEvent(event) {
  const call = event.data;
  const a = call.attribution || {};
  const from = source(a);
  const utm = (a.session && a.session.utm) || {};
  const clicks = Object.entries((a.session && a.session.click_ids) || {});
  const recording = call.recording;
  const verdict = a.kind === 'visitor'
    ? el('p', { class: 'verdict' }, 'The caller is a visitor who came from ', el('strong', {}, from.words), utm.term ? ` searching for “${utm.term}”` : '', `. Confidence ${percent(a.confidence)}: ${from.why}.`)
    : el('p', { class: 'verdict' }, a.kind === 'static' ? 'The number belongs to ' : 'It is not known where this call came from', el('strong', {}, a.kind === 'static' ? from.words : ''), '.');
  $('event').replaceChildren(verdict, el('div', { class: 'result-grid' },
    el('dl', { class: 'facts' },
      fact('Outcome', [outcomeTag(call.outcome), ` talked ${duration(call.talk_ms)}`]),
      fact('Rang for', duration(call.ring_ms)),
      fact('Number dialled', call.number, { class: 'mono' }),
      fact('Caller', call.caller || 'withheld', { class: 'mono' }),
      a.visitor_id ? fact('Visitor', `${a.visitor_id.slice(0, 12)}…`, { class: 'mono' }) : '',
      clicks.length ? fact('Click id', clicks.map(([k, v]) => `${k} ${v}`).join(', '), { class: 'mono' }) : '',
      fact('Ended', clock(call.ended_at)),
      recording ? fact('Recording', recording.state) : ''),
    recording && recording.path
      ? el('div', {}, el('h4', {}, 'The recording'), player(`/v1/calls/${call.call_id}/recording`, recording.gaps))
      : el('p', { class: 'soft' }, 'No recording of this call.'),
    el('details', { open: innerWidth > 700, id: 'whole' }, el('summary', {}, 'The event, as sinks receive it'), json(event))));
  showJournaled(call.call_id, 20);
  $('result').hidden = false;
  $('result').scrollIntoView({ block: 'nearest', behavior: 'smooth' });
}

// The step shows what signalling said; the journal has the same as a whole CloudEvent a moment later.
async function showJournaled(id, tries) {
  const answer = await fetch(`/v1/calls/${id}`).catch(() => null);
  const events = answer && answer.ok ? (await answer.json()).events : [];
  const ended = events.find((event) => event.type === 'leaseline.call.ended');
  const shown = document.querySelector('#whole pre');
  if (ended && shown) shown.replaceWith(json(ended));
  else if (tries > 0) setTimeout(showJournaled, 100, id, tries - 1);
}

// ── start ──

offerArrivals();
showVisit();
$('call').addEventListener('click', call);
$('call-link').addEventListener('click', (event) => {
  event.preventDefault();
  if (!$('call').disabled) call();
  $('ladder').hidden = false;
  $('h-call').scrollIntoView({ block: 'start', behavior: 'smooth' });
});

// The page script loads by itself, before or after this one.
(function wait(tries) {
  if (window.leaseline) {
    window.leaseline.ready.then((lease) => {
      showVisit();
      if (!lease || !lease.number) {
        $('call-note').textContent = 'No number was leased: the page shows the company’s real one, and there is no call to follow.';
        return;
      }
      $('call').disabled = false;
      const stream = new EventSource('/demo/events');
      stream.addEventListener('step', (event) => onStep(JSON.parse(event.data)));
      if ($('steps').childElementCount === 0) $('call').textContent = `Call ${lease.display}`;
      $('call-note').textContent = 'A caller inside this program dials it.';
    });
  } else if (tries > 0) {
    setTimeout(wait, 50, tries - 1);
  }
})(100);
