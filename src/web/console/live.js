// The live board: when the journal has an event of a call, the board is asked for again. Between, the clocks run.

const board = document.getElementById('board');
const sign = document.getElementById('stream');
let due = 0;
let asking = false;

async function ask() {
  due = 0;
  if (asking) {
    soon();
    return;
  }
  asking = true;
  try {
    const answer = await fetch('/live?fragment=1', { credentials: 'same-origin', headers: { accept: 'text/html' } });
    if (answer.ok && !answer.redirected) {
      // Our own page's part, made and escaped by the server.
      const part = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const held = board.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
      board.replaceChildren(...part.body.childNodes);
      if (held) [...board.querySelectorAll('[aria-label]')].find((one) => one.getAttribute('aria-label') === held)?.focus();
    }
  } catch {
    // The stream says when the server is back.
  }
  asking = false;
}

function soon() {
  if (!due) due = setTimeout(ask, 150);
}

function say(on) {
  sign.textContent = on ? sign.dataset.on : sign.dataset.off;
  sign.classList.toggle('good', on);
}

const stream = new EventSource(`/v1/events?after=${board.dataset.after}&type=leaseline.call.`);
stream.onopen = () => { say(true); soon(); };
stream.onerror = () => say(false);
stream.onmessage = soon;
addEventListener('pagehide', () => stream.close());

setInterval(() => {
  for (const one of board.querySelectorAll('[data-since]')) {
    const s = Math.max(Math.round((Date.now() - Number(one.dataset.since)) / 1000), 0);
    one.textContent = s < 3600 ? `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}` : `${Math.floor(s / 3600)}:${String(Math.floor(s / 60) % 60).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}`;
  }
}, 1000);
