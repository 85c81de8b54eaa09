import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock, systemRandom } from '#base/clock';
import { createDnsClient, type DnsClient } from '#net/dns';
import { checkDmarc } from '#trust/dmarc';
import { checkSpf } from '#trust/spf';
import { type DnsServer, startDnsServer } from './support/dns-server.ts';
import { startUnbound, type Unbound } from './support/unbound.ts';

// The client against Debian's unbound, which validates: zones signed by ldns-signzone, one altered afterwards, one whose
// signatures have expired, one that was never signed.

let unbound: Unbound;
let ours: DnsServer;
let dns: DnsClient;

const records = [
  '@ IN TXT "v=spf1 ip4:192.0.2.1 -all"',
  '_dmarc IN TXT "v=DMARC1; p=reject"',
  'www IN A 192.0.2.80',
];

const delegated = ['secure', 'bogus', 'expired', 'plain', 'ours'];

before(async () => {
  ours = await startDnsServer({
    zone: {
      'ours.test': { NS: ['ns.ours.test'], SOA: { minimum: 60 }, MX: [[10, 'mx.ours.test']] },
      'ns.ours.test': { A: ['127.0.0.1'] },
      'big.ours.test': { TXT: Array.from({ length: 200 }, (_, index) => `${index} ${'x'.repeat(200)}`) },
      'dead.ours.test': { fault: 'SERVFAIL' },
    },
  });
  unbound = await startUnbound(
    [
      {
        name: '.',
        records: ['ns.test. IN A 127.0.0.1', ...delegated.map((domain) => `${domain}.test. IN NS ns.test.`)],
      },
      { name: 'secure.test.', records: [...records, 'alias IN CNAME www.secure.test.'] },
      {
        name: 'bogus.test.',
        records,
        alter: (signed) =>
          signed.replaceAll('ip4:192.0.2.1', 'ip4:203.0.113.9').replace('p=reject', 'p=none'),
      },
      { name: 'expired.test.', records, expires: '20200201000000' },
      { name: 'plain.test.', records, isSigned: false },
    ],
    { 'ours.test.': ours.port },
  );
  dns = createDnsClient({
    resolvers: [unbound.endpoint],
    trustAd: false,
    clock: systemClock,
    random: systemRandom,
    limits: { attemptMs: 9_000, lookupMs: 20_000, roundsMax: 1 },
  });
});

after(async () => {
  dns?.close();
  await unbound?.stop();
  await ours?.stop();
});

test('a signed zone: answers, aliases and the proof that there is none are authenticated (RFC 4035 §3.2.3)', async () => {
  const txt = await dns.txt('secure.test');
  assert.deepEqual(
    txt.kind === 'found' && [txt.authenticated, Buffer.from(txt.records[0] ?? []).toString()],
    [true, 'v=spf1 ip4:192.0.2.1 -all'],
  );
  const alias = await dns.a('alias.secure.test');
  assert.deepEqual(alias.kind === 'found' && [alias.authenticated, alias.records], [true, ['192.0.2.80']]);
  const none = await dns.txt('nobody.secure.test');
  assert.deepEqual(none.kind === 'none' && [none.why, none.authenticated], ['nxdomain', true]);
  const empty = await dns.mx('www.secure.test');
  assert.deepEqual(empty.kind === 'none' && [empty.why, empty.authenticated], ['nodata', true]);
});

test('a zone that was altered, or whose signatures have expired, is unavailable, and it says bogus (RFC 8914)', async () => {
  for (const domain of ['bogus.test', 'expired.test']) {
    const answer = await dns.txt(domain);
    assert.equal(answer.kind, 'unavailable', domain);
    assert.match(answer.kind === 'unavailable' ? answer.why : '', /^bogus: /, domain);
  }
  // What was not altered in the same zone is as good as it was.
  const www = await dns.a('www.bogus.test');
  assert.equal(www.kind === 'found' && www.authenticated, true);
});

test('a zone that is not signed is found and not authenticated', async () => {
  const answer = await dns.txt('plain.test');
  assert.deepEqual(answer.kind === 'found' && answer.authenticated, false);
});

test('bogus records make temperror of SPF and DMARC, never none and never pass', async () => {
  const spf = (domain: string, ip: string) =>
    checkSpf({ dns, ip, helo: 'h.test', mailFrom: `a@${domain}`, receiver: 'r.test', nowMs: 0 });
  assert.deepEqual(
    await spf('secure.test', '192.0.2.1').then(({ result, authenticated }) => [result, authenticated]),
    ['pass', true],
  );
  const forged = await spf('bogus.test', '203.0.113.9');
  assert.equal(forged.result, 'temperror');
  assert.match(forged.reason ?? '', /bogus/);
  const dmarc = await checkDmarc({ dns, from: ['bogus.test'], spf: null, dkim: [] });
  assert.deepEqual([dmarc.result, dmarc.policy], ['temperror', null]);
  const good = await checkDmarc({ dns, from: ['secure.test'], spf: null, dkim: [] });
  assert.deepEqual([good.result, good.policy, good.authenticated], ['fail', 'reject', true]);
});

test('40 kB come by TCP, through unbound from our own server; a server that fails is unavailable', async () => {
  const big = await dns.txt('big.ours.test');
  assert.equal(big.kind === 'found' && big.records.length, 200);
  const mx = await dns.mx('ours.test');
  assert.deepEqual(mx.kind === 'found' && mx.records, [{ preference: 10, exchange: 'mx.ours.test' }]);
  assert.equal((await dns.a('dead.ours.test')).kind, 'unavailable');
});

test('the client finds out that unbound validates', async () => {
  assert.equal(await dns.validation(), 'validates');
});
