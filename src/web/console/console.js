// What every page of the console has beside its HTML: the keyboard, saved filters, copying, printing. Pages work without.

const typing = (target) => target.closest && target.closest('input, textarea, select, [contenteditable]');
const PLACES = { o: '/', c: '/calls', l: '/live', p: '/pools', n: '/numbers', h: '/health', e: '/events' };
let chord = 0;

function rows() {
  return [...document.querySelectorAll('main tbody tr')].filter((row) => row.querySelector('a') && row.offsetParent);
}

function step(by) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  for (const row of all) row.classList.toggle('here', row === next);
  next.querySelector('a').focus();
  next.scrollIntoView({ block: 'nearest' });
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const keys = document.getElementById('keys');
  if (keys && keys.open) return;
  if (chord && Date.now() - chord < 1500) {
    chord = 0;
    if (PLACES[event.key]) {
      event.preventDefault();
      location.assign(PLACES[event.key]);
    }
    return;
  }
  const link = (rel) => document.querySelector(`main a[rel="${rel}"]`);
  const does = {
    g: () => { chord = Date.now(); },
    '/': () => document.getElementById('search') && document.getElementById('search').focus(),
    '?': () => keys && keys.showModal(),
    j: () => step(1),
    k: () => step(-1),
    '[': () => link('prev') && link('prev').click(),
    ']': () => link('next') && link('next').click(),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

// Filters are addresses; the browser keeps names for some of them.
function savedFilters() {
  const place = document.getElementById('saved-filters');
  if (!place) return;
  let saved = [];
  try {
    saved = JSON.parse(localStorage.leaseline_filters || '[]');
  } catch {
    saved = [];
  }
  const keep = () => {
    try {
      localStorage.leaseline_filters = JSON.stringify(saved.slice(-20));
    } catch {
      // A browser that keeps nothing has no saved filters.
    }
    draw();
  };
  function draw() {
    place.replaceChildren();
    saved.forEach((one, at) => {
      const link = document.createElement('a');
      link.className = 'chip';
      link.href = `/calls${String(one.query).startsWith('?') ? one.query : ''}`;
      link.textContent = one.name;
      const forget = document.createElement('button');
      forget.type = 'button';
      forget.className = 'plain';
      forget.textContent = '×';
      forget.setAttribute('aria-label', `${place.dataset.forget}: ${one.name}`);
      forget.addEventListener('click', () => { saved.splice(at, 1); keep(); });
      place.append(link, forget, ' ');
    });
    if (location.search) {
      const save = document.createElement('button');
      save.type = 'button';
      save.className = 'plain';
      save.textContent = place.dataset.save;
      save.addEventListener('click', () => {
        const name = prompt(place.dataset.name);
        if (!name) return;
        saved.push({ name: name.slice(0, 60), query: location.search });
        keep();
      });
      place.append(save);
    }
  }
  draw();
}

addEventListener('keydown', press);
document.addEventListener('click', async (event) => {
  const button = event.target.closest && event.target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).catch(() => {});
  button.textContent = button.dataset.done;
});
document.addEventListener('click', (event) => {
  if (event.target.closest && event.target.closest('[data-print]')) print();
});
document.documentElement.classList.add('js');
savedFilters();
