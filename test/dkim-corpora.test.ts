/**
 * Third-party vectors: the corpus of Mail::DKIM, the vectors of MimeKit with the example of RFC 8463, and real mail from
 * zk-email. A case is a message; those of Mail::DKIM are also given octet by octet and in other pieces.
 *
 * Mail::DKIM's expectations are from 2005 to 2024. `test/vectors/dkim/mail-dkim.tsv` has a newer one beside each: what
 * RFC 6376 with RFC 8301 says. Of 79 messages 30 sign with drafts that had no `v=` or `v=0.5` (permerror), 17 have a
 * DomainKeys signature and no other (RFC 4870, historic: no result), 13 say `pass` of rsa-sha1, which here holds and counts
 * for nothing (`policy`), 4 test the tag `g=` that RFC 6376 left out.
 *
 * zk-email has no key with its messages: what is tested is the body hash, with a key of our own. The key of the message from
 * gmail.com comes with it.
 *
 * Broken on purpose: with an empty line more at the end of bodies, 81 runs of messages fail and all the others too; with a
 * blank left in place of the value of `b=`, 73. Blanks at the ends of lines and the order of `h=` are in no message here that
 * has a signature of our day: the property test of `src/trust/dkim` and `test/dkim-programs.test.ts` see them.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { utf8 } from '#base/bytes';
import type { Dns } from '#trust/dns';
import { storedDns } from '#trust/dns';
import { corpora, notRun } from './support/corpora.ts';
import { checkDkim, readMessage, txtRecords } from './support/signed-mail.ts';

const mailDkim = corpora('dkim-mail-dkim');
const mimekit = corpora('dkim-mimekit');
const zkemail = corpora('dkim-zkemail');

/** The records of FAKE_DNS.dat; `~~…~~` is an answer that does not come. */
const fakeDns = (file: string): Dns => {
  const records = new Map<string, Uint8Array[]>();
  const failing = new Map<string, string>();
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const [, name = '', text = ''] = /^([^#\s]\S*)\s+(.*)$/.exec(line) ?? [];
    if (name === '' || text === 'NXDOMAIN') continue;
    if (text.startsWith('~~')) failing.set(name, text.replaceAll('~', ''));
    else records.set(name, [utf8(text === '""' ? '' : text)]);
  }
  const stored = storedDns(records, { isWhole: true });
  return {
    ...stored,
    txt: async (name) => {
      const why = failing.get(name);
      return why === undefined ? stored.txt(name) : { kind: 'unavailable', why };
    },
  };
};

test('the corpus of Mail::DKIM verifies as RFC 6376 and RFC 8301 want it', {
  skip: mailDkim === null && notRun,
}, async (t) => {
  const root = mailDkim ?? '';
  const dns = fakeDns(path.join(root, 'FAKE_DNS.dat'));
  const old = new Map<string, string>();
  for (const [, name = '', word = ''] of fs
    .readFileSync(path.join(root, 'expected.txt'), 'utf8')
    .matchAll(/test_email\( "(\S+)",\s+"(\w+)" \)/g))
    old.set(name, word);
  const expected = fs
    .readFileSync(path.join(import.meta.dirname, 'vectors/dkim/mail-dkim.tsv'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t'));
  const failures: string[] = [];
  let same = 0;
  for (const [name = '', oldWord = '', words = '', reason = ''] of expected) {
    assert.equal(old.get(name), oldWord, name);
    const message = readMessage(path.join(root, 'corpus', name));
    for (const pieceBytes of [message.length, 1, 7, 333]) {
      const { results } = await checkDkim(message, dns, { pieceBytes });
      const said = results.map(({ result }) => result).join(' ') || 'none';
      const why = results.map((each) => each.reason ?? '').join('\n');
      if (said !== words || !why.includes(reason)) failures.push(`${name} by ${pieceBytes}: ${said} ${why}`);
    }
    if (words === oldWord || (oldWord === 'invalid' && words !== 'pass')) same++;
  }
  t.diagnostic(
    `Mail::DKIM: ${expected.length} messages, ${same} as its authors expect, the others as mail-dkim.tsv explains`,
  );
  assert.deepEqual(failures, []);
  assert.equal(expected.length, old.size);
  assert.deepEqual(
    fs.readdirSync(path.join(root, 'corpus')).filter((name) => !old.has(name)),
    [],
  );
});

const rfc8463 = {
  'brisbane._domainkey.football.example.com':
    'v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
  'test._domainkey.football.example.com':
    'v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB',
};

test('the example of RFC 8463 §A verifies with both keys, and altered by an octet fails', {
  skip: mimekit === null && notRun,
}, async () => {
  const message = readMessage(path.join(mimekit ?? '', 'rfc8463-example.msg'));
  const dns = txtRecords(rfc8463);
  const { results } = await checkDkim(message, dns);
  assert.deepEqual(
    results.map(({ result, algorithm, domain, selector, keyBits }) => [
      result,
      algorithm,
      domain,
      selector,
      keyBits,
    ]),
    [
      ['pass', 'ed25519-sha256', 'football.example.com', 'brisbane', 256],
      ['pass', 'rsa-sha256', 'football.example.com', 'test', 1024],
    ],
  );
  const altered = message.slice();
  const at = Buffer.from(message).indexOf('Is dinner ready');
  altered[at] = (altered[at] ?? 0) ^ 1;
  for (const each of (await checkDkim(altered, dns)).results) {
    assert.equal(each.result, 'fail');
    assert.match(each.reason ?? '', /does not fit the header/);
  }
  const other = message.slice();
  other[other.length - 4] = 0x21;
  for (const each of (await checkDkim(other, dns)).results) {
    assert.equal(each.result, 'fail');
    assert.match(each.reason ?? '', /body was altered/);
  }
});

test('real mail from gmail.com verifies with the key of its day', {
  skip: mimekit === null && notRun,
}, async () => {
  const root = mimekit ?? '';
  const pem = fs.readFileSync(path.join(root, 'gmail.pub'), 'utf8');
  const dns = txtRecords({
    '20120113._domainkey.gmail.com': `k=rsa; p=${pem.replace(/-----.*?-----|\s/g, '')}`,
  });
  const { results } = await checkDkim(readMessage(path.join(root, 'gmail.msg')), dns);
  assert.deepEqual(
    results.map(({ result, reason }) => [result, reason]),
    [['pass', null]],
  );
});

test('bodies of real mail have the hash that their signers gave them', {
  skip: zkemail === null && notRun,
}, async (t) => {
  const root = zkemail ?? '';
  const { publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  const record = `v=DKIM1; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
  const anyName: Dns = {
    ...txtRecords({}),
    txt: async () => ({ kind: 'found', records: [utf8(record)], authenticated: false, ttl: 0 }),
  };
  const altered = new Set(['email-body-tampered.eml', 'email-bodyless.eml', ...laterBodies]);
  const files = fs.readdirSync(root).filter((name) => name.endsWith('.eml'));
  for (const name of files) {
    const { results } = await checkDkim(readMessage(path.join(root, name)), anyName);
    assert.notEqual(results.length, 0, name);
    for (const { result, reason } of results) {
      assert.equal(result, 'fail', name);
      assert.match(reason ?? '', altered.has(name) ? /body was altered/ : /does not fit the header/, name);
    }
  }
  t.diagnostic(`zk-email: ${files.length} messages`);
});

/** Their bodies were written anew by zk-email; nobody's signature fits them. */
const laterBodies: readonly string[] = [];
