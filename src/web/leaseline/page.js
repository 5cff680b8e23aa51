// Reading and writing the page. Only texts and attributes of nodes that are there are written; nodes are never made,
// replaced or moved, so frameworks keep their trees.

const INLINE = /^(?:A|ABBR|B|BDI|BDO|EM|FONT|I|LABEL|MARK|NOBR|S|SMALL|SPAN|STRONG|SUB|SUP|TIME|U|WBR|#.*)$/i;
const SKIP = /^(?:HEAD|SCRIPT|STYLE|NOSCRIPT|TEXTAREA|INPUT|SELECT|SVG)$/i;
// Messengers and text messages do not reach a telephone system: left alone unless marked.
const MESSAGE = /^\s*(?:sms|mms|smsto|whatsapp|viber|tg):|\/\/(?:wa\.me|[\w.]*whatsapp\.com)\//i;
const ATTRIBUTES = ['href', 'aria-label', 'title'];
const FIGHT = 3;

let forms = [];       // how the numbers to be replaced may be written
let target = null;    // what the page is to show: {e164, display, cc, nsn}
let undo = false;     // whether that is the company's own number
let deep = false;     // open shadow roots, too
let entered = () => {};   // told of every shadow root
let fought = () => {};    // told when a text was given up
const written = new WeakMap();

function isSkipped(element) {
  return SKIP.test(element.nodeName) || element.isContentEditable || element.hasAttribute('data-leaseline-skip') ||
    (MESSAGE.test(element.getAttribute('href')) && !element.hasAttribute('data-leaseline'));
}

function isInsideSkipped(node) {
  for (; node; node = node.parentNode || node.host) if (node.nodeType === 1 && isSkipped(node)) return true;
  return false;
}

// Elements, and runs of text nodes that are read as one line: a number may be split over several inline elements.
function* parts(top) {
  const stack = [top];
  let run = [];
  while (stack.length) {
    const node = stack.pop();
    if (node && node.nodeType === 3) {
      run.push(node);
      continue;
    }
    const border = !node || !INLINE.test(node.nodeName);
    const skip = node && node.nodeType === 1 && isSkipped(node);
    if ((border || skip) && run.length) {
      yield run;
      run = [];
    }
    if (!node || skip) continue;
    if (border) stack.push(null);
    if (node.nodeType === 1) yield node;
    for (let child = node.lastChild; child; child = child.previousSibling) stack.push(child);
    if (deep && node.shadowRoot) {
      entered(node.shadowRoot);
      stack.push(null, node.shadowRoot);
    }
  }
  if (run.length) yield run;
}

// What stands there, or stood there before we wrote, when the company's own number is to come back.
function read(node, name) {
  const is = name ? node.getAttribute(name) : node.nodeValue;
  const mark = undo && (written.get(node) || {})[name];
  return mark && mark.now === is ? mark.was : is;
}

// A framework that puts its number back again and again wins: the page must not flicker or burn.
function write(node, name, next) {
  const is = name ? node.getAttribute(name) : node.nodeValue;
  if (is === next) return;
  const marks = written.get(node) || {};
  const mark = marks[name] = marks[name] || { since: 0 };
  written.set(node, marks);
  const now = Date.now();
  if (now - mark.since > 1000) {
    mark.since = now;
    mark.count = 0;
  }
  if (mark.lost || (++mark.count > FIGHT && !undo)) {
    if (!mark.lost) fought();
    mark.lost = true;
    return;
  }
  if (mark.now !== is) mark.was = is;
  mark.now = next;
  if (name) node.setAttribute(name, next);
  else node.nodeValue = next;
}

function swap(part) {
  if (part.nodeType) {
    for (const name of ATTRIBUTES) {
      const value = read(part, name);
      if (!value) continue;
      write(part, name, name === 'href' ? rewriteLink(value, forms, target) : rewriteAll([value], forms, target)[0]);
    }
    // Pictures of numbers, where the page says how another one is made.
    const picture = part.getAttribute('data-leaseline-src');
    if (picture && !undo) write(part, 'src', picture.replace('{number}', encodeURIComponent(target.e164)));
    else if (picture) write(part, 'src', read(part, 'src'));
    return;
  }
  const texts = part.map((node) => read(node, ''));
  rewriteAll(texts, forms, target).forEach((text, i) => write(part[i], '', text));
}

function* sweep(tops) {
  for (const top of tops) {
    if (!top || !top.isConnected || isInsideSkipped(top)) continue;
    for (const part of parts(top)) {
      swap(part);
      yield;
    }
  }
}
