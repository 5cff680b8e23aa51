// A list that changes while somebody looks at it is asked for again every few seconds, as long as its page is seen.

for (const list of document.querySelectorAll('[data-poll]')) {
  const address = list.dataset.poll;
  const again = async () => {
    if (document.hidden) return;
    const answer = await fetch(`${address}&fragment=1`, { credentials: 'same-origin', headers: { accept: 'text/html' } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    // Our own page's part, made and escaped by the server.
    const part = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('[data-poll]');
    if (part && part.innerHTML !== list.innerHTML) list.replaceChildren(...part.childNodes);
  };
  setInterval(again, 3000);
}
