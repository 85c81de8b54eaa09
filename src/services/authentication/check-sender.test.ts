import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { fromLatin1, utf8 } from '#base/bytes';
import type { InboundTransaction } from '#protocols/smtp';
import type { Dns, DnsAnswer } from '#trust/dns';
import { parseResults } from '#trust/results';
import { sealArc } from '../../../test/support/seal-arc.ts';
import { signDkim } from '../../../test/support/sign-dkim.ts';
import { inboundTransaction } from '../../../test/support/transaction.ts';
import { type AuthenticationPolicy, createAuthentication, type SenderFindings } from './check-sender.ts';

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
const record = `v=DKIM1; p=${key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
const nowMs = Date.UTC(2026, 10, 24);

const none = { kind: 'none', why: 'nxdomain', authenticated: false, ttl: 60 } as const;
const found = <T>(...records: T[]): DnsAnswer<T> => ({
  kind: 'found',
  records,
  authenticated: false,
  ttl: 60,
});

const texts: Readonly<Record<string, string>> = {
  'a.example': 'v=spf1 ip4:192.0.2.1 -all',
  's._domainkey.a.example': record,
  's._domainkey.list.example': record,
  '_dmarc.a.example': 'v=DMARC1; p=reject',
  '_dmarc.own.example': 'v=DMARC1; p=reject',
  '_dmarc.q.example': 'v=DMARC1; p=quarantine',
  '_dmarc.n.example': 'v=DMARC1; p=none',
};

const dns: Dns = {
  txt: async (name) => {
    const text = texts[name.toLowerCase()];
    return text === undefined ? none : found(utf8(text));
  },
  a: async (name) => (name === 'mx.a.example' ? found('192.0.2.1') : none),
  aaaa: async () => none,
  mx: async () => none,
  ptr: async (address) =>
    address === '192.0.2.1' ? found('mx.a.example') : address === '192.0.2.2' ? found('liar.example') : none,
};

const never = new Promise<never>(() => {});
const silent: Dns = {
  txt: () => never,
  a: () => never,
  aaaa: () => never,
  mx: () => never,
  ptr: () => never,
};

const from = (address: string, mailFrom = 'x@a.example'): InboundTransaction =>
  inboundTransaction({ peer: { address, port: 1, name: null, via: [] }, helo: 'mx.a.example', mailFrom });

const check = async (
  message: string,
  transaction: InboundTransaction,
  options: { policy?: Partial<AuthenticationPolicy>; dns?: Dns; patienceMs?: number } = {},
): Promise<SenderFindings> => {
  const authentication = createAuthentication({
    dns: options.dns ?? dns,
    hostname: 'mail.fengni.test',
    clock: { nowMs: () => nowMs, monotonicMs: () => 0 },
    policy: { dmarc: 'obey', forgedResults: 'keep', trustedSealers: [], ...options.policy },
    isExempt: (address) => address === '192.0.2.77',
    patienceMs: options.patienceMs ?? 20_000,
  });
  authentication.prepare(transaction);
  const checks = authentication.begin(transaction, new Set(['own.example']));
  for (let at = 0; at < message.length; at += 100) checks.write(fromLatin1(message.slice(at, at + 100)));
  return checks.finish();
};

const mail = (domain: string): string => `From: X <x@${domain}>\r\nSubject: s\r\n\r\ntext\r\n`;
const signed = async (message: string, options: { length?: number } = {}): Promise<string> =>
  (await signDkim([fromLatin1(message)], {
    domain: 'a.example',
    selector: 's',
    key: key.privateKey,
    signedFields: ['From', 'Subject'],
    ...options,
  })) + message;

/** `spf=pass dkim=none …` */
const words = ({ results }: SenderFindings): string =>
  results
    .map((value) => parseResults(value)?.results.map(({ method, result }) => `${method}=${result}`) ?? value)
    .join(' ');

test('what every check found is said, a field each, with the key records that were used (RFC 8601)', async () => {
  const findings = await check(await signed(mail('a.example')), from('192.0.2.1'));
  assert.equal(words(findings), 'iprev=pass spf=pass dmarc=pass dkim=pass');
  assert.deepEqual(findings.disposition, { kind: 'accept' });
  assert.equal(findings.reverseName, 'mx.a.example');
  assert.deepEqual(
    findings.keys.map(({ name, record: text }) => [name, Buffer.from(text).toString()]),
    [['s._domainkey.a.example', record]],
  );
  assert.equal(
    findings.results[3]?.replace(/header\.b=.*/, ''),
    'mail.fengni.test; dkim=pass header.d=a.example header.s=s header.a=rsa-sha256 ',
  );
});

test('reject is refused with the reason, quarantine goes to Junk, none is taken (RFC 9989 §5, RFC 7372 §3)', async () => {
  const refused = await check(mail('a.example'), from('192.0.2.9'));
  assert.equal(words(refused), 'iprev=permerror spf=fail dmarc=fail dkim=none');
  assert(refused.disposition.kind === 'refuse');
  const { code, enhanced, text } = refused.disposition.refusal;
  assert.deepEqual([code, enhanced], [550, '5.7.26']);
  assert.match(
    text,
    /DMARC of a\.example asks to reject mail from a\.example.*SPF a\.example: fail; no DKIM signature/,
  );
  assert.deepEqual((await check(mail('q.example'), from('192.0.2.9'))).disposition, {
    kind: 'junk',
    why: 'quarantine',
  });
  assert.deepEqual((await check(mail('n.example'), from('192.0.2.9'))).disposition, { kind: 'accept' });
  assert.deepEqual((await check(mail('unknown.example'), from('192.0.2.9'))).disposition, { kind: 'accept' });
  const policy = (dmarc: AuthenticationPolicy['dmarc']) => ({ policy: { dmarc } });
  assert.equal((await check(mail('a.example'), from('192.0.2.9'), policy('junk'))).disposition.kind, 'junk');
  assert.equal(
    (await check(mail('a.example'), from('192.0.2.9'), policy('report'))).disposition.kind,
    'accept',
  );
});

test('a signature that leaves part of the body out speaks for nobody', async () => {
  const findings = await check(await signed(mail('a.example'), { length: 2 }), from('192.0.2.9'));
  assert.equal(words(findings), 'iprev=permerror spf=fail dmarc=fail dkim=policy');
  assert.equal(findings.disposition.kind, 'refuse');
});

test('a name that does not point back is none, and is not believed (RFC 8601 §3)', async () => {
  const findings = await check(mail('n.example'), from('192.0.2.2'));
  assert.equal(findings.reverseName, null);
  assert.match(
    findings.results[0] ?? '',
    /iprev=fail reason="its name does not point back to the address" policy\.iprev=192\.0\.2\.2/,
  );
});

test('without answers everything is temperror when the time is over, and nothing is refused', async () => {
  const message = await signed(mail('a.example'));
  const findings = await check(message, from('192.0.2.9'), { dns: silent, patienceMs: 20 });
  assert.equal(words(findings), 'iprev=temperror spf=temperror dmarc=temperror dkim=temperror');
  assert.deepEqual(findings.disposition, { kind: 'accept' });
});

test('of a peer of our own nothing is asked but what the message itself says', async () => {
  for (const address of ['192.0.2.77', '']) {
    const plain = await check(mail('a.example'), from(address), { dns: silent });
    assert.deepEqual(plain.results, ['mail.fengni.test; none']);
    assert.deepEqual(plain.disposition, { kind: 'accept' });
    assert.equal(words(await check(await signed(mail('a.example')), from(address))), 'dkim=pass');
  }
});

test('results in our name that come with the message are kept, or refuse it; those of others never do', async () => {
  const forged = (name: string): string =>
    `Authentication-Results: ${name}; dmarc=pass\r\n${mail('n.example')}`;
  const reject = { policy: { forgedResults: 'reject' } as const };
  for (const name of [
    'mail.fengni.test',
    'MAIL.fengni.test 1',
    '(x) "mail.fengni.test"',
    'mail.fengni.test; =',
  ]) {
    assert.equal((await check(forged(name), from('192.0.2.9'))).disposition.kind, 'accept');
    assert.equal((await check(forged(name), from('192.0.2.9'), reject)).disposition.kind, 'refuse', name);
  }
  assert.equal(
    (await check(forged('mx.other.example'), from('192.0.2.9'), reject)).disposition.kind,
    'accept',
  );
});

test('a header that is too large to be checked goes to Junk, and is not believed', async () => {
  const findings = await check(`X: ${'x'.repeat(1_100_000)}\r\n${mail('n.example')}`, from('192.0.2.1'));
  assert.deepEqual(findings.disposition, { kind: 'junk', why: 'header-limit' });
  assert.match(words(findings), / dmarc=permerror /);
});

test('this machine may write in the name of its own domains; in the name of others it is checked like everybody', async () => {
  assert.deepEqual((await check(mail('own.example'), from('127.0.0.1'))).disposition, { kind: 'accept' });
  assert.equal((await check(mail('own.example'), from('192.0.2.9'))).disposition.kind, 'refuse');
  assert.equal((await check(mail('a.example'), from('127.0.0.1'))).disposition.kind, 'refuse');
  const two = `From: x@own.example, y@a.example\r\nSubject: s\r\n\r\ntext\r\n`;
  assert.equal((await check(two, from('::1'))).disposition.kind, 'refuse');
});

test('LMTP comes from a relay of our own, until it says who is behind it', async () => {
  const lmtp = { ...from('192.0.2.9'), protocol: 'LMTP' } as const;
  assert.deepEqual((await check(mail('a.example'), lmtp)).results, ['mail.fengni.test; none']);
  const via = [{ by: 'XCLIENT', address: '192.0.2.50' }] as const;
  const claimed = await check(mail('a.example'), { ...lmtp, peer: { ...lmtp.peer, via } });
  assert.equal(claimed.disposition.kind, 'refuse');
});

test('sixteen signatures and more stay within a prefix (FORMATS §4)', async () => {
  const message = mail('a.example');
  const field = (await signed(message)).slice(0, -message.length);
  const long = field.replace(
    'd=a.example',
    `d=${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example`,
  );
  const findings = await check(long.repeat(40) + (await signed(message)), from('192.0.2.1'));
  assert(findings.results.join('').length <= 5_500);
  for (const value of findings.results) assert(value.length < 998 - 'Authentication-Results: '.length);
  assert.match(findings.results.at(-1) ?? '', /left out|not checked/);
});

test('a seal that is trusted here softens a reject to Junk; one that is not, or is broken, does not', async () => {
  const message = mail('a.example');
  const sealed =
    (await sealArc([fromLatin1(message)], {
      domain: 'list.example',
      selector: 's',
      key: key.privateKey,
      signedFields: ['From', 'Subject'],
      results: 'mx.list.example; dmarc=pass header.from=a.example',
      chain: { result: 'none' },
      nowSeconds: nowMs / 1000,
    })) + message;
  const trusted = { policy: { trustedSealers: ['list.example'] } };
  const softened = await check(sealed, from('192.0.2.9'), trusted);
  assert.equal(words(softened), 'iprev=permerror spf=fail dmarc=fail arc=pass dkim=none');
  assert.deepEqual(softened.disposition, { kind: 'junk', why: 'trusted-sealer' });
  assert.match(
    softened.results.join('\n'),
    /not refused, since list\.example, which is trusted here, sealed it/,
  );
  assert.equal((await check(sealed, from('192.0.2.9'))).disposition.kind, 'refuse');
  const altered = sealed.replace('Subject: s', 'Subject: t');
  assert.equal((await check(altered, from('192.0.2.9'), trusted)).disposition.kind, 'refuse');
});
