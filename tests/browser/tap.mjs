// Two visitors of one campaign see one number, and the second taps it: `node tests/browser/tap.mjs API HOST PORT OUT`.
// What they saw goes to OUT; both pages stay open until the input ends.
import { rename, writeFile } from 'node:fs/promises';
import { shop } from './shop.mjs';
import { Browser } from './webdriver.mjs';

const [api, host, port, out] = process.argv.slice(2);
const { server } = await shop(api, host, port);
const browsers = [];

async function visit(campaign) {
  const browser = await Browser.start({ flags: [`--host-resolver-rules=MAP *.shop.example ${host}`] });
  browsers.push(browser);
  await browser.open(`http://www.shop.example:${port}/?utm_source=mail&utm_campaign=${campaign}`);
  const seen = await browser.until('a number on the page', `
    const number = window.leaseline && leaseline.number;
    return number && document.querySelector('#ring').getAttribute('href') === 'tel:' + number &&
      { number, lease: leaseline.lease_id, visitor: leaseline.visitor_id };`);
  return { browser, seen };
}

try {
  const first = await visit('april');
  const second = await visit('april');
  await second.browser.click('#ring');
  for (let left = 200; ; left--) {
    const { leases } = await (await fetch(`${api}/v1/leases?site=shop`)).json();
    const tapped = leases.find((lease) => lease.lease_id === second.seen.lease);
    if (tapped?.page?.tapped_at) break;
    if (!left) throw new Error(`the tap is not on the lease: ${JSON.stringify(tapped)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await writeFile(`${out}.part`, JSON.stringify({ first: first.seen, second: second.seen }));
  await rename(`${out}.part`, out);
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.on('end', resolve));
} finally {
  for (const browser of browsers) await browser.stop();
  server.close();
}
process.exit(0);
