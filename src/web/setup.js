// The page behind a one-time link: puts what stands behind the # into the form, and asks who the link is for. Without a
// script the link is pasted.
const form = document.getElementById('setup');
const said = document.getElementById('said');
const field = document.getElementById('link-field');
const first = document.getElementById('first');

// A switch of the language loses what stands behind the #; this tab remembers it until the password is chosen.
function remembered() {
  try {
    return location.hash.slice(1) || sessionStorage.leaseline_link || '';
  } catch {
    return location.hash.slice(1);
  }
}

const link = form.elements.link.value || remembered();
if (link) {
  form.elements.link.value = link;
  try {
    sessionStorage.leaseline_link = link;
  } catch {
    // Then a switch of the language asks for it.
  }
  field.hidden = true;
  // Another link must not stay in the browser's history.
  history.replaceState(null, '', '/setup');
  const answer = await fetch('/v1/setup', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ link }),
  }).catch(() => null);
  if (answer && answer.ok) {
    const { user } = await answer.json();
    if (first) {
      first.hidden = user !== null;
      form.elements.user.required = user === null;
    }
  } else if (answer && answer.status === 404) {
    said.textContent = said.dataset.unknown;
    said.hidden = false;
    field.hidden = false;
    try {
      sessionStorage.removeItem('leaseline_link');
    } catch {
      // Then there is nothing to forget.
    }
  }
}
form.addEventListener('submit', () => {
  try {
    sessionStorage.removeItem('leaseline_link');
  } catch {
    // Then there is nothing to forget.
  }
});
