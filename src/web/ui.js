// What the demo page and the console share: elements, words and the stereo player.

// An element. Text is text: nothing that comes from a call or a visitor is ever read as markup.
export function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function duration(ms) {
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  const h = Math.floor(s / 3600);
  const rest = `${String(Math.floor((s % 3600) / 60)).padStart(h ? 2 : 1, '0')}:${String(s % 60).padStart(2, '0')}`;
  return h ? `${h}:${rest}` : rest;
}

export function clock(text, withDate) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return '';
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  if (!withDate) return time;
  return `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: at.getFullYear() === new Date().getFullYear() ? undefined : 'numeric' })}, ${time}`;
}

export const OUTCOMES = {
  answered: ['answered', 'good'],
  no_answer: ['no answer', 'warn'],
  busy: ['busy', 'warn'],
  cancelled: ['caller gave up', 'warn'],
  rejected: ['declined', 'warn'],
  failed: ['failed', 'bad'],
  voicemail: ['voicemail', 'warn'],
  lost_in_crash: ['lost in a crash', 'bad'],
};

export function outcomeTag(outcome) {
  const [word, mood] = OUTCOMES[outcome] || [outcome || 'in progress', 'accent'];
  return el('span', { class: `tag ${mood}` }, word);
}

const METHODS = {
  active_lease: 'the number was on this visitor’s page at that moment',
  last_holder: 'the number was last shown to this visitor',
  static_channel: 'the number belongs to this channel',
  none: 'nobody is known who had this number',
};

// Where the call came from, in a few words and in one sentence.
export function source(attribution) {
  const a = attribution || { kind: 'none' };
  const from = a.kind === 'static' ? a.channel || {} : (a.session && a.session.utm) || {};
  const parts = [from.source, from.campaign].filter(Boolean);
  let words = parts.join(' · ');
  if (!words && a.kind === 'visitor') words = a.session && a.session.referrer ? hostOf(a.session.referrer) : 'direct visit';
  if (!words) words = a.kind === 'static' ? 'static number' : 'unknown';
  return { words, why: METHODS[a.method] || a.method || '', confidence: a.kind === 'visitor' ? a.confidence : null };
}

export function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return String(url);
  }
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

// A value as coloured, indented JSON.
export function json(value) {
  const pre = el('pre', { class: 'json', tabindex: '0', 'aria-label': 'JSON' });
  const text = JSON.stringify(value, null, 2);
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  let at = 0;
  for (let m = token.exec(text); m; m = token.exec(text)) {
    pre.append(text.slice(at, m.index));
    const kind = m[1] ? (m[2] ? 'key' : 'string') : /[a-z]/.test(m[0]) ? 'word' : 'number';
    pre.append(el('span', { class: kind }, m[1] || m[0]), m[2] || '');
    at = m.index + m[0].length;
  }
  pre.append(text.slice(at));
  return pre;
}

// ── player ──

// Loudest sample of each of `columns` slices, by channel. null when this is no 16-bit PCM WAV.
export function peaks(buffer, columns) {
  const view = new DataView(buffer);
  const tag = (at) => String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
  if (view.byteLength < 44 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') return null;
  let channels = 0;
  let rate = 0;
  for (let at = 12; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (tag(at) === 'fmt ' && at + 24 <= view.byteLength) {
      channels = view.getUint16(at + 10, true);
      rate = view.getUint32(at + 12, true);
      if (view.getUint16(at + 22, true) !== 16) return null;
    } else if (tag(at) === 'data' && channels) {
      const frames = Math.floor(Math.min(size, view.byteLength - at - 8) / 2 / channels);
      const out = Array.from({ length: channels }, () => new Float32Array(columns));
      const perColumn = Math.max(frames / columns, 1);
      for (let column = 0; column < columns; column++) {
        const last = Math.min(Math.floor((column + 1) * perColumn), frames);
        for (let frame = Math.floor(column * perColumn); frame < last; frame++) {
          for (let channel = 0; channel < channels; channel++) {
            const sample = Math.abs(view.getInt16(at + 8 + (frame * channels + channel) * 2, true)) / 32768;
            if (sample > out[channel][column]) out[channel][column] = sample;
          }
        }
      }
      return { channels: out, seconds: frames / rate };
    }
    at += 8 + size + (size & 1);
  }
  return null;
}

// The recording with its two channels drawn: caller above, company below, silence that stands for a gap marked.
export function player(url, gaps) {
  const canvas = el('canvas', { role: 'img', 'aria-label': 'Waveform: caller above, company below' });
  const audio = el('audio', { controls: true, preload: 'metadata', src: url });
  const note = el('p', { class: 'soft', role: 'status' });
  const legend = el('p', { class: 'legend' },
    el('span', { class: 'caller' }, 'caller (left)'),
    el('span', { class: 'company' }, 'company (right)'),
    gaps && gaps.length ? el('span', { class: 'gap' }, `${gaps.length} gap${gaps.length > 1 ? 's' : ''}`) : null);
  const figure = el('figure', { class: 'player' }, legend, canvas, audio, note);
  let shape = null;

  function draw() {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    const scale = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const lane = height / 2;
    pen.fillStyle = colour('--line');
    pen.fillRect(0, Math.round(lane), width, 1);
    if (!shape) return;
    for (const gap of gaps || []) {
      pen.fillStyle = colour('--bad');
      pen.globalAlpha = 0.25;
      const x = (gap.at_ms / 1000 / shape.seconds) * width;
      pen.fillRect(x, gap.channel === 'company' ? lane : 0, Math.max((gap.for_ms / 1000 / shape.seconds) * width, 2), lane);
      pen.globalAlpha = 1;
    }
    const played = audio.duration ? audio.currentTime / shape.seconds : 0;
    shape.channels.slice(0, 2).forEach((channel, lower) => {
      pen.fillStyle = colour(lower ? '--company' : '--caller');
      const middle = lane * lower + lane / 2;
      for (let column = 0; column < channel.length; column++) {
        const half = Math.max(Math.sqrt(channel[column]) * (lane / 2 - 5), 0.5);
        pen.globalAlpha = column / channel.length <= played ? 1 : 0.45;
        pen.fillRect((column / channel.length) * width, middle - half, Math.max((width / channel.length) * 0.72, 0.8), half * 2);
      }
      pen.globalAlpha = 1;
    });
    if (played > 0) {
      pen.fillStyle = colour('--ink');
      pen.fillRect(played * width, 0, 1.5, height);
    }
  }

  fetch(url, { credentials: 'same-origin' })
    .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(String(answer.status)))))
    .then((buffer) => {
      shape = peaks(buffer, 360);
      if (!shape) note.textContent = 'This file is not a 16-bit WAV: no waveform.';
      draw();
    })
    .catch(() => { note.textContent = 'The recording could not be loaded.'; });
  canvas.addEventListener('click', (event) => {
    if (!shape) return;
    audio.currentTime = (event.offsetX / canvas.clientWidth) * shape.seconds;
    audio.play().catch(() => {});
  });
  audio.addEventListener('timeupdate', draw);
  audio.addEventListener('seeked', draw);
  new ResizeObserver(draw).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  return figure;
}
