/**
 * What it costs to check signatures: CPU of all threads a message, beside hashing alone.
 *
 * node src/trust/dkim/dkim.bench.ts
 */
import crypto from 'node:crypto';
import { fromLatin1, utf8 } from '#base/bytes';
import { storedDns } from '#trust/dns';
import { signDkim } from '../../../test/support/sign-dkim.ts';
import { beginDkim, type DkimOutcome } from './check-dkim.ts';
import { SignedMessage } from './signed-message.ts';

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const record = `v=DKIM1; p=${key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const dns = storedDns(new Map([['s._domainkey.a.example', [utf8(record)]]]));
const nowMs = Date.now();

const bodies: Record<string, (octets: number) => string> = {
  'base 64': (octets) =>
    `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\r\n'.repeat(octets / 78)}`,
  text: (octets) =>
    `${'The quick brown fox jumps over the lazy dog, and then it goes home again.\r\n'.repeat(octets / 75)}`,
  'odd blanks': (octets) => `${'The  quick \t brown fox jumps \r\n'.repeat(octets / 31)}`,
};

const check = async (pieces: readonly Uint8Array[]): Promise<DkimOutcome> => {
  let finish: (() => Promise<DkimOutcome>) | undefined;
  const message = new SignedMessage((header, body) => {
    finish = beginDkim(header, body, { dns, nowMs });
  });
  for (const piece of pieces) message.write(piece);
  message.end();
  const outcome = await finish?.();
  if (outcome?.results.some(({ result }) => result !== 'pass') !== false) throw new Error('it has to hold');
  return outcome;
};

const cpuMicros = async (times: number, work: () => unknown): Promise<number> => {
  for (let count = 0; count < Math.min(times, 500); count++) await work();
  const before = process.cpuUsage();
  for (let count = 0; count < times; count++) await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / times;
};

const header = `Received: from a by b; Tue, 24 Nov 2026 04:00:00 +0000\r\nFrom: X <x@a.example>\r\nTo: y@b.example\r\nSubject: s\r\nDate: Tue, 24 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n\r\n`;
const rows: Record<string, string>[] = [];
for (const [name, body] of Object.entries(bodies))
  for (const [size, times] of [
    [2_000, 2_000],
    [25_000_000, 3],
  ] as const)
    for (const signatures of [1, 5]) {
      const message = header + body(size);
      const field = await signDkim([fromLatin1(message)], {
        domain: 'a.example',
        selector: 's',
        key: key.privateKey,
        signedFields: ['From', 'To', 'Subject', 'Date', 'Message-ID'],
      });
      const whole = fromLatin1(field.repeat(signatures) + message);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < whole.length; at += 65_536) pieces.push(whole.subarray(at, at + 65_536));
      const checked = await cpuMicros(times, () => check(pieces));
      const hashed = await cpuMicros(times, () => {
        const hash = crypto.createHash('sha256');
        for (const piece of pieces) hash.update(piece);
        return hash.digest();
      });
      rows.push({
        body: name,
        octets: String(whole.length),
        signatures: String(signatures),
        'CPU µs': checked.toFixed(0),
        'SHA-256 alone µs': hashed.toFixed(0),
      });
    }
console.table(rows);
