// The page behind a one-time link: asks who it is for, sends the password, goes to the console.
const form = document.getElementById('setup');
const said = document.getElementById('said');
const link = location.hash.slice(1);

async function follow(more) {
  const answer = await fetch('/v1/setup', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ link, ...more }),
  });
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const password = form.elements.password.value;
  const user = form.elements.user.value || undefined;
  try {
    await follow({ user, password });
    // Another link must not stay in the browser's history.
    location.replace('/');
  } catch (error) {
    said.textContent = error.message;
  }
});

try {
  const { user } = await follow({});
  document.getElementById('first').hidden = user !== null;
  if (user !== null) form.elements.user.value = user;
} catch (error) {
  said.textContent = error.message;
}
