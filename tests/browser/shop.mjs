// A shop's web server for the tests: pages, a proxy that puts Leaseline below /ct of the same site, and the ways in which
// that can go wrong.
import { readFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import { createRequire } from 'node:module';
import { URL as Address } from 'node:url';

export const REAL = '+44 20 7946 0999';
const modules = createRequire(import.meta.url);

// The script's element as a page would write it.
export const tag = (attributes = '', number = REAL) =>
  `<script src="/ct/leaseline.js" data-site="shop"${number ? ` data-number="${number}"` : ''} ${attributes} async></script>`;

const page = (body, head = tag()) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<script>window.errors = [];
addEventListener('error', (e) => errors.push(e.message));
addEventListener('unhandledrejection', (e) => errors.push(String(e.reason)));</script>
${head}</head><body>${body}</body></html>`;

// Thirty ways to write the number, and what the page must show for a number that ends in 0123.
export const FORMATS = [
  ['international', '+44 20 7946 0999', '+44 20 7946 0123'],
  ['E.164', '+442079460999', '+442079460123'],
  ['without plus', '44 20 7946 0999', '44 20 7946 0123'],
  ['zeros', '0044 20 7946 0999', '0044 20 7946 0123'],
  ['from America', '011 44 20 7946 0999', '011 44 20 7946 0123'],
  ['trunk in brackets', '+44 (0)20 7946 0999', '+44 (0)20 7946 0123'],
  ['trunk in brackets, spaced', '+44 (0) 20 7946 0999', '+44 (0) 20 7946 0123'],
  ['national', '020 7946 0999', '020 7946 0123'],
  ['national, one group', '02079460999', '02079460123'],
  ['area in brackets', '(020) 7946 0999', '(020) 7946 0123'],
  ['area in brackets, hyphen', '(020) 7946-0999', '(020) 7946-0123'],
  ['hyphens', '020-7946-0999', '020-7946-0123'],
  ['dots', '020.7946.0999', '020.7946.0123'],
  ['slash', '020/7946 0999', '020/7946 0123'],
  ['no-break spaces', '020\u00a07946\u00a00999', '020\u00a07946\u00a00123'],
  ['thin spaces', '020\u20097946\u20090999', '020\u20097946\u20090123'],
  ['figure spaces', '020\u20077946\u20070999', '020\u20077946\u20070123'],
  ['no-break hyphens', '020\u20117946\u20110999', '020\u20117946\u20110123'],
  ['dashes', '020 \u2013 7946 \u2013 0999', '020 \u2013 7946 \u2013 0123'],
  ['middle dots', '020·7946·0999', '020·7946·0123'],
  ['soft hyphens', '020\u00ad7946\u00ad0999', '020\u00ad7946\u00ad0123'],
  ['marks of direction', '\u202d+44 20 7946 0999\u202c', '\u202d+44 20 7946 0123\u202c'],
  ['pairs', '020 79 46 09 99', '020 79 46 01 23'],
  ['extension', '020 7946 0999 ext. 12', '020 7946 0123 ext. 12'],
  ['in a sentence', 'Since 1999: call 020 7946 0999, daily 9-18.', 'Since 1999: call 020 7946 0123, daily 9-18.'],
  ['twice', '020 7946 0999 or +44 20 7946 0999', '020 7946 0123 or +44 20 7946 0123'],
  ['bold in the middle', '020 <b>7946</b> 0999', '020 <b>7946</b> 0123'],
  ['area apart', '<b>(020)</b> <span>7946-<i>09</i>99</span>', '<b>(020)</b> <span>7946-<i>01</i>23</span>'],
  ['break opportunities', '020<wbr>7946<wbr>0999', '020<wbr>7946<wbr>0123'],
  ['translated', '<font><font>020 7946 </font></font><font>0999</font>', '<font><font>020 7946 </font></font><font>0123</font>'],
  ['link', '<a href="tel:+442079460999">020 7946 0999</a>', '<a href="tel:+442079460123">020 7946 0123</a>'],
  ['link with extension, national', '<a href="tel:020-7946-0999;ext=5">Call</a>', '<a href="tel:+442079460123;ext=5">Call</a>'],
  ['label', '<a href="tel:00442079460999" aria-label="Call 020 7946 0999" title="020 7946 0999">Ring</a>',
    '<a href="tel:+442079460123" aria-label="Call 020 7946 0123" title="020 7946 0123">Ring</a>'],
];

// What must stay as it is.
export const UNTOUCHED = [
  ['order number', 'Order 442079460999123'],
  ['longer', '020 7946 09991'],
  ['another country', '+49 20 7946 0999'],
  ['another number', '020 7946 0998'],
  ['far apart', '020 7946&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;&nbsp;0999'],
  ['two lines', '020 7946<br>0999'],
  ['text message', '<a href="sms:+442079460999">Text 020 7946 0999</a>'],
  ['WhatsApp', '<a href="https://wa.me/442079460999">020 7946 0999</a>'],
  ['input', '<input value="020 7946 0999" placeholder="020 7946 0999">'],
  ['text area', '<textarea>020 7946 0999</textarea>'],
  ['editor', '<div contenteditable="true">020 7946 0999</div>'],
  ['picture', '<img alt="020 7946 0999" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'],
  ['marked', '<span data-leaseline-skip="">020 7946 0999</span>'],
  ['JSON-LD', '<script type="application/ld+json">{"telephone": "+44 20 7946 0999"}</script>'],
];

const STYLE = `<style>body { font: 16px/1.5 sans-serif; margin: 24px; } table { border-collapse: collapse; }
td { border: 1px solid #bbb; padding: 2px 10px; } td:first-child { color: #666; } h2 { font-size: 18px; }</style>`;

const rows = (id, list) => `<table id="${id}">${list.map(([name, html]) => `<tr><td>${name}<td>${html}`).join('')}</table>`;

const react = (dev) => {
  const build = dev ? 'development' : 'production.min';
  return `<script src="/lib/react/umd/react.${build}.js"></script><script src="/lib/react-dom/umd/react-dom.${build}.js"></script>`;
};

// One component for both sides: a text of several nodes, a link, and a list that grows and goes.
const APP = `function App() {
  const [open, set] = React.useState(1);
  const e = React.createElement;
  return e('main', null,
    e('p', { id: 'line' }, 'Visit ', open, ': call ', '020 7946', ' ', e('b', null, '0999')),
    e('a', { id: 'link', href: 'tel:+442079460999' }, '+44 20 7946 0999'),
    e('button', { id: 'more', onClick: () => set(open + 1) }, 'more'),
    open > 1 && open < 4 ? e('p', { id: 'late' }, 'Late: 020 7946 0999') : null);
}`;

function reactPage(attributes, dev) {
  const server = modules('react-dom/server');
  const React = modules('react');
  const App = new Function('React', `${APP}; return App;`)(React);
  const html = server.renderToString(React.createElement(App));
  return page(`<div id="root">${html}</div>${react(dev)}<script>${APP}
    window.trouble = [];
    const root = ReactDOM.hydrateRoot(document.getElementById('root'), React.createElement(App), { onRecoverableError: (e) => trouble.push(e.message) });
    window.leave = () => root.unmount();</script>`, tag(attributes));
}

const VUE = `<main id="app" data-server-rendered="true"><p id="line">Visit 1: call 020 7946 0999</p><a id="link" href="tel:+442079460999">+44 20 7946 0999</a><button id="more">more</button><!----></main>
<script src="/lib/vue/vue.js"></script><script>
  Vue.config.productionTip = Vue.config.devtools = false;
  window.trouble = [];
  Vue.config.warnHandler = (text) => trouble.push(text);
  window.app = new Vue({
    el: '#app', data: { open: 1 },
    render(h) {
      return h('main', { attrs: { id: 'app' } }, [
        h('p', { attrs: { id: 'line' } }, 'Visit ' + this.open + ': call 020 7946 0999'),
        h('a', { attrs: { id: 'link', href: 'tel:+442079460999' } }, '+44 20 7946 0999'),
        h('button', { attrs: { id: 'more' }, on: { click: () => this.open++ } }, 'more'),
        this.open > 1 && this.open < 4 ? h('p', { attrs: { id: 'late' } }, 'Late: 020 7946 0999') : this._e(),
      ]);
    },
  });</script>`;

const SIMPLE = '<p id="text">020 7946 0999</p><p><a id="ring" href="tel:+442079460999">Call +44 20 7946 0999</a></p>';

// Path → page, by what the query says of the script's attributes.
const PAGES = {
  '/': (q) => page(SIMPLE, tag(q.get('with') || '')),
  '/formats': () => page(`${STYLE}<h2>Thirty formats</h2>${rows('formats', FORMATS)}<h2>Not ours</h2>${rows('untouched', UNTOUCHED)}`),
  '/react': (q) => reactPage(q.get('with') || '', q.has('dev')),
  '/vue': (q) => page(VUE, tag(q.get('with') || '')),
  '/spa': () => page(`<main id="view">${SIMPLE}</main><script>
    window.open_ = (n) => { history.pushState({}, '', '/spa/' + n + location.search); document.getElementById('view').innerHTML = '<h1>Page ' + n + '</h1><p id="text">Page ' + n + ': 020 7946 0999</p>'; };</script>`),
  '/dead': () => page(SIMPLE, tag('data-server="http://127.0.0.1:1"')),
  '/slow': (q) => page(SIMPLE, tag(`data-server="/slow" ${q.get('with') || ''}`)),
  '/blocked': () => page(SIMPLE, '<script src="/nothing/leaseline.js" data-site="shop" async></script>'),
  '/unmarked': () => page(`${SIMPLE}<p>Fax 020 7946 0998</p>`, tag('', '')),
  '/leaked': (q) => page(`<p id="text">Call ${q.get('number').replace('+44', '0')}</p>`, tag(q.get('with') || '')).replace('<html', `<html data-leaseline-shown="${q.get('number')}"`),
  '/shadow': (q) => page(`<div id="host"></div><script>
    document.getElementById('host').attachShadow({ mode: 'open' }).innerHTML = '<p>020 7946 0999</p>';</script>`, tag(q.get('with') || '')),
  '/other': () => page(SIMPLE, `<script>window.CallTrk = {};</script>${tag()}`),
  '/twice': () => page(SIMPLE, tag() + tag()),
  '/callback': () => page('<p id="text">020 7946 0999</p><p id="own"></p>',
    `<script>window.shown = []; window.mine = (n) => { shown.push(n && n.number); };</script>${tag('data-callback="mine"')}`),
  '/links': (q) => page(`${SIMPLE}<a id="away" href="http://${q.get('to')}/?x=1#top">Our other shop</a><a id="foreign" href="http://foreign.example/">Foreign</a>`),
  '/picture': () => page('<img id="picture" src="/number.svg?n=real" data-leaseline-src="/number.svg?n={number}" alt="Our number">'),
  '/consent-mode': () => page(SIMPLE, `<script>window.dataLayer = []; function gtag() { dataLayer.push(arguments); }
    gtag('consent', 'default', { analytics_storage: 'denied', ad_storage: 'denied' });</script>${tag()}`),
};

const POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

// `api` is where Leaseline is. Gives the server; `seen` are the requests that reached the proxy.
export async function shop(api, host, port) {
  const seen = [];
  const target = new Address(api);
  const answer = async (request, response) => {
    const url = new Address(request.url, `http://${request.headers.host}`);
    if (process.env.SCRIPT && url.pathname === '/ct/leaseline.js') {
      response.setHeader('content-type', 'text/javascript');
      response.end(await readFile(process.env.SCRIPT));
      return;
    }
    const proxied = /^\/(ct|slow)(\/.*)$/.exec(url.pathname);
    if (proxied) {
      const asked = { path: proxied[2], method: request.method, headers: request.headers, body: '' };
      seen.push(asked);
      for await (const chunk of request) asked.body += chunk;
      if (proxied[1] === 'slow') await new Promise((resolve) => setTimeout(resolve, 3000));
      const headers = { ...request.headers, host: target.host };
      const onward = ask({ host: target.hostname, port: target.port, path: proxied[2] + url.search, method: request.method, headers }, (reply) => {
        response.writeHead(reply.statusCode, reply.headers);
        reply.pipe(response);
      });
      onward.on('error', () => response.destroy());
      onward.end(asked.body);
      return;
    }
    const library = /^\/lib\/(react|react-dom|vue)(\/[\w./-]+\.js)$/.exec(url.pathname);
    if (library) {
      const folder = library[1] === 'vue' ? '/usr/share/javascript/vue' : `/usr/share/nodejs/${library[1]}`;
      response.setHeader('content-type', 'text/javascript');
      response.end(await readFile(folder + library[2]));
      return;
    }
    if (url.pathname === '/favicon.ico' || url.pathname === '/number.svg') {
      response.setHeader('content-type', 'image/svg+xml');
      response.end('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
      return;
    }
    if (url.pathname === '/strict') {
      const { versioned_path: path, integrity } = await (await fetch(`${api}/v1/script`)).json();
      response.setHeader('content-security-policy', POLICY);
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(`<!doctype html><title>Strict</title>${SIMPLE}<script src="/ct${path}" integrity="${integrity}" data-site="shop" data-number="${REAL}" async></script>`);
      return;
    }
    const make = PAGES[url.pathname] || (url.pathname.startsWith('/spa/') ? PAGES['/spa'] : null);
    response.statusCode = make ? 200 : 404;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(make ? make(url.searchParams) : 'nothing');
  };
  const server = createServer((request, response) => answer(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error));
  }));
  await new Promise((resolve) => server.listen(Number(port), host, resolve));
  return { server, seen };
}
