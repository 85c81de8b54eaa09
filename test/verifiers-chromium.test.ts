import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Chromium } from './support/chromium.ts';
import { needPrograms } from './support/debian.ts';
import { folder, type Vector } from './vectors/seal/make.ts';

// The page docs/verify/browser/index.html, as a person opens it from a disk. Chromium is FENGNI_CHROMIUM or Debian's, which is
// installed when the test runs as root; where there is none the test fails.

const vectors = JSON.parse(fs.readFileSync(path.join(folder, 'receipts.json'), 'utf8')) as Vector[];
const fileOf = (name: string): string => path.join(folder, 'receipts', name);
const byName = (name: string): Vector => vectors.find((vector) => vector.name === name) ?? assert.fail(name);
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-page-'));
const page = path.join(temporary, 'index.html');
const running: Chromium[] = [];
let program = '';

before(async () => {
  const chosen = process.env['FENGNI_CHROMIUM'];
  if (chosen === undefined) needPrograms('chromium');
  program = chosen ?? '/usr/bin/chromium';
  // alone in a folder: nothing beside it can be loaded
  fs.copyFileSync(path.resolve(import.meta.dirname, '../docs/verify/browser/index.html'), page);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((browser) => browser.close()));
});
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
});

const openPage = async (...flags: string[]): Promise<Chromium> => {
  const browser = new Chromium(program, flags);
  running.push(browser);
  await browser.open(pathToFileURL(page).href);
  return browser;
};

/** Chooses files, pastes the key, presses the button, reads the verdict. */
const decide = async (browser: Chromium, files: { receipt: string; mail: string }, key: string) => {
  for (const what of ['receipt', 'mail'] as const) {
    // the same file again would be no change
    await browser.evaluate(`${what}.value = ''; delete ${what}.dataset.octets`);
    await browser.chooseFile(`#${what}`, files[what]);
    await browser.until(`"octets" in ${what}.dataset`);
  }
  await browser.evaluate(`(() => {
    delete verdict.dataset.failure;
    document.getElementById('key').value = ${JSON.stringify(key)};
    document.getElementById('check').click();
  })()`);
  await browser.until('"failure" in verdict.dataset');
  return (await browser.evaluate('({ ...verdict.dataset, text: verdict.textContent })')) as {
    failure: string;
    prefix: string;
    text: string;
  };
};

test('the page decides every receipt vector as it says, from a file: URL and without a connection', async () => {
  const browser = await openPage('--lang=en-US');
  for (const vector of vectors) {
    const files = { receipt: fileOf(vector.receipt), mail: fileOf(vector.mail) };
    const found = await decide(browser, files, vector.key);
    const { failure } = vector;
    assert.deepEqual(
      { name: vector.name, failure: found.failure, prefix: found.prefix },
      {
        name: vector.name,
        failure: failure === null ? '' : `${failure.check} ${failure.reason}`,
        prefix: vector.prefix ?? '',
      },
    );
    assert(found.text.startsWith(failure === null ? 'The receipt proves' : 'The receipt does not prove'));
  }
  const urls = browser
    .events('Network.requestWillBeSent')
    .map(({ request }) => (request as { url: string }).url);
  assert.deepEqual([...new Set(urls)], [pathToFileURL(page).href]);
  assert.deepEqual(browser.events('Runtime.exceptionThrown'), []);
  assert.deepEqual(browser.events('Log.entryAdded'), []);
});

test('the policy of the page refuses connections, other scripts and eval', async () => {
  const browser = await openPage();
  const refused = (expression: string) =>
    browser.evaluate(
      `(async () => { try { return await (${expression}); } catch (error) { return 'refused'; } })()`,
    );
  assert.equal(await refused('fetch("http://127.0.0.1:9/").then(() => "sent")'), 'refused');
  await browser.evaluate(`(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'window.evil = 1';
    document.body.append(script);
    document.body.append(Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:9/x.png' }));
    const button = document.createElement('button');
    button.setAttribute('onclick', 'window.evil = 2');
    document.body.append(button);
    button.click();
    setTimeout('window.evil = 3');
  })()`);
  await browser.until('window.violations.length >= 4');
  assert.equal(await browser.evaluate('window.evil ?? null'), null);
});

test('the page speaks Chinese where the browser does, and changes with a button', async () => {
  const browser = await openPage('--lang=zh-CN', '--accept-lang=zh-CN');
  const good = byName('good');
  const files = { receipt: fileOf(good.receipt), mail: fileOf(good.mail) };
  const found = await decide(browser, files, good.key);
  assert.equal(found.text, '回执证明了这封邮件。');
  assert.equal(await browser.evaluate('document.documentElement.lang'), 'zh');
  await browser.evaluate('document.getElementById("language").click()');
  assert.equal(await browser.evaluate('verdict.textContent'), 'The receipt proves this mail.');
  assert.match(String(await browser.evaluate('facts.textContent')), /peer 192\.0\.2\.1\n/);
  await browser.evaluate(
    'document.getElementById("key").value = "nonsense"; document.getElementById("check").click()',
  );
  await browser.until('verdict.textContent.startsWith("The key is not one")');
});

test('both files can be dropped anywhere on the page', async () => {
  const browser = await openPage('--lang=en-US');
  const good = byName('good');
  const octets = (name: string): string => fs.readFileSync(fileOf(name)).toString('base64');
  await browser.evaluate(`(() => {
    const file = (text, name) => new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name);
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(file('${octets(good.mail)}', 'a'));
    dataTransfer.items.add(file('${octets(good.receipt)}', 'b'));
    document.getElementById('key').value = ${JSON.stringify(good.key)};
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
  })()`);
  await browser.until('"octets" in receipt.dataset && "octets" in mail.dataset');
  assert.equal(await browser.evaluate('receipt.files[0].name + mail.files[0].name'), 'ba');
  await browser.evaluate('document.getElementById("check").click()');
  await browser.until('"failure" in verdict.dataset');
  assert.equal(await browser.evaluate('verdict.textContent'), 'The receipt proves this mail.');
});
