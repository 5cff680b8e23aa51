// A browser over plain WebDriver: enough of it for our test, without a package.
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--autoplay-policy=no-user-gesture-required',
];
// Headless browsers call themselves so, and then they are crawlers to us.
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

export class Browser {
  // Starts chromedriver and one Chromium with a profile of its own.
  static async start({ width = 1200, height = 1000, insecure = false, agent = AGENT, flags = [] } = {}) {
    const browser = new Browser();
    browser.profile = await mkdtemp(join(tmpdir(), 'leaseline-browser-'));
    browser.driver = spawn(process.env.CHROMEDRIVER || 'chromedriver', ['--port=0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const port = await new Promise((resolve, reject) => {
        let text = '';
        browser.driver.on('error', reject);
        browser.driver.on('exit', (code) => reject(new Error(`chromedriver ended: ${code}`)));
        browser.driver.stdout.on('data', (chunk) => {
          text += chunk;
          const match = /started successfully on port (\d+)/.exec(text);
          if (match) resolve(Number(match[1]));
        });
      });
      browser.url = `http://127.0.0.1:${port}/session`;
      const args = [...FLAGS, ...flags, `--user-data-dir=${browser.profile}`, `--window-size=${width},${height}`, `--user-agent=${agent}`];
      const options = { args };
      if (process.env.CHROMIUM) options.binary = process.env.CHROMIUM;
      const session = await browser.send('POST', '', {
        capabilities: { alwaysMatch: { browserName: 'chrome', acceptInsecureCerts: insecure, 'goog:chromeOptions': options, 'goog:loggingPrefs': { browser: 'ALL' } } },
      });
      browser.url += `/${session.sessionId}`;
      return browser;
    } catch (error) {
      await browser.stop();
      throw error;
    }
  }

  async send(method, path, body) {
    const answer = await fetch(this.url + path, {
      method,
      body: method === 'POST' ? JSON.stringify(body || {}) : undefined,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(60000),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  open(url) {
    return this.send('POST', '/url', { url });
  }

  // The body of a function in the page; arguments are `arguments[0]` and so on. A promise is waited for.
  run(script, ...args) {
    return this.send('POST', '/execute/sync', { script, args });
  }

  // One command of the browser's own protocol.
  cdp(cmd, params = {}) {
    return this.send('POST', '/goog/cdp/execute', { cmd, params });
  }

  // A new tab; commands go to it from now on. Gives its name.
  async tab() {
    const { handle } = await this.send('POST', '/window/new', { type: 'tab' });
    await this.turn(handle);
    return handle;
  }

  turn(handle) {
    return this.send('POST', '/window', { handle });
  }

  here() {
    return this.send('GET', '/window');
  }

  // Closes the tab; `turn` to another one then.
  close() {
    return this.send('DELETE', '/window');
  }

  back() {
    return this.send('POST', '/back');
  }

  // Waits until the script gives something truthy, and gives that.
  async until(what, script, ...args) {
    const end = Date.now() + 30000;
    for (;;) {
      const value = await this.run(script, ...args);
      if (value) return value;
      if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async click(selector) {
    const found = await this.send('POST', '/element', { using: 'css selector', value: selector });
    await this.send('POST', `/element/${Object.values(found)[0]}/click`, {});
  }

  // Size of the page itself, smaller than a window may be.
  async size(width, height) {
    await this.send('POST', '/goog/cdp/execute', {
      cmd: 'Emulation.setDeviceMetricsOverride',
      params: { width, height, deviceScaleFactor: 1, mobile: width < 600 },
    });
  }

  async scheme(value) {
    await this.send('POST', '/goog/cdp/execute', {
      cmd: 'Emulation.setEmulatedMedia',
      params: { features: [{ name: 'prefers-color-scheme', value }, { name: 'prefers-reduced-motion', value: 'reduce' }] },
    });
  }

  // The whole page as PNG.
  async screenshot(file) {
    const { data } = await this.send('POST', '/goog/cdp/execute', {
      cmd: 'Page.captureScreenshot', params: { format: 'png', captureBeyondViewport: true },
    });
    await writeFile(file, Buffer.from(data, 'base64'));
  }

  // What the page complained of since the last time: errors, refused policies, missing files.
  async complaints() {
    const log = await this.send('POST', '/se/log', { type: 'browser' });
    return log.filter((entry) => entry.level === 'SEVERE').map((entry) => entry.message);
  }

  async stop() {
    if (this.url && this.url.split('/').length > 4) await this.send('DELETE', '').catch(() => {});
    this.driver.kill();
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
