import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Zone, zoneDns } from '../../../test/support/dns-zone.ts';
import { run, seeds } from './dmarc-record.fuzz.ts';
import { parseDmarcRecord } from './dmarc-record.ts';
import { checkDmarc, type DmarcRequest, type DmarcResult } from './index.ts';
import { walkTargets } from './tree-walk.ts';

const check = (zone: Zone, some: Partial<DmarcRequest> = {}): Promise<DmarcResult> =>
  checkDmarc({ dns: zoneDns(zone), from: ['example.org'], spf: null, dkim: [], ...some });

const policies = (records: Readonly<Record<string, string | readonly string[]>>): Zone =>
  Object.fromEntries(
    Object.entries(records).map(([domain, texts]) => [`_dmarc.${domain}`, { TXT: [texts].flat() }]),
  );

const dkim = (domain: string, result = 'pass'): { domain: string; selector: string; result: string }[] => [
  { domain, selector: 's', result },
];

test('an aligned pass of SPF or of DKIM is enough, and nothing else is (RFC 9989 §4.4)', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=reject' });
  assert.equal((await check(zone, { dkim: dkim('example.org') })).result, 'pass');
  assert.equal((await check(zone, { spf: { domain: 'bounce.example.org', result: 'pass' } })).result, 'pass');
  for (const result of ['fail', 'none', 'policy', 'neutral', 'permerror', 'softfail']) {
    const told = await check(zone, {
      dkim: [...dkim('example.org', result), ...dkim('evil.test')],
      spf: { domain: 'example.org', result },
    });
    assert.deepEqual([told.result, told.policy, told.policyTag], ['fail', 'reject', 'p'], result);
  }
});

test('strict alignment wants the same domain, relaxed the same organisation (RFC 9989 §4.4)', async () => {
  const strict = policies({ 'example.org': 'v=DMARC1; p=reject; adkim=s; aspf=s' });
  const below = { dkim: dkim('mail.example.org'), spf: { domain: 'mail.example.org', result: 'pass' } };
  assert.equal((await check(strict, below)).result, 'fail');
  assert.equal((await check(strict, { dkim: dkim('EXAMPLE.org.') })).result, 'pass');
  const signedBy = async (given: DmarcRequest['dkim'], from = 'example.org') =>
    (await check(strict, { from: [from], dkim: given })).isSignedByOrganization;
  assert.equal(await signedBy(dkim('mail.example.org')), true);
  assert.equal(await signedBy(dkim('example.org'), 'news.example.org'), true);
  assert.equal(await signedBy([]), false);
  for (const other of ['policy', 'fail', 'temperror'])
    assert.equal(await signedBy(dkim('mail.example.org', other)), false, other);
  for (const other of ['notexample.org', 'org', 'example.org.evil.test'])
    assert.equal(await signedBy(dkim(other)), false, other);
  const relaxed = policies({ 'example.org': 'v=DMARC1; p=reject' });
  const told = await check(relaxed, below);
  assert.deepEqual([told.result, told.dkim[0]?.isAligned, told.spf?.isAligned], ['pass', true, true]);
  for (const other of ['notexample.org', 'org', 'example.org.evil.test', 'xexample.org'])
    assert.equal((await check(relaxed, { dkim: dkim(other) })).result, 'fail', other);
});

test('siblings are aligned through their organisation, unless one says that it is another (psd=n, RFC 9989 §4.10.2)', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=none', 'b.example.org': 'v=DMARC1; p=none; psd=n' });
  assert.equal((await check(zone, { from: ['a.example.org'], dkim: dkim('c.example.org') })).result, 'pass');
  assert.equal((await check(zone, { from: ['a.example.org'], dkim: dkim('b.example.org') })).result, 'fail');
  assert.equal(
    (await check(zone, { from: ['b.example.org'], dkim: dkim('x.b.example.org') })).result,
    'pass',
  );
  assert.equal((await check(zone, { from: ['b.example.org'], dkim: dkim('example.org') })).result, 'fail');
});

test('a walk takes at most 8 look-ups, from the name to its top label (RFC 9989 §4.10)', async () => {
  assert.deepEqual(walkTargets('a.b.c'), ['a.b.c', 'b.c', 'c']);
  assert.deepEqual(walkTargets('org'), ['org']);
  const deep = 'a.b.c.d.e.f.g.h.i.j.mail.example.com';
  assert.deepEqual(walkTargets(deep).slice(0, 3), [
    deep,
    'g.h.i.j.mail.example.com',
    'h.i.j.mail.example.com',
  ]);
  assert.equal(walkTargets(deep).length, 8);
  const dns = zoneDns({});
  assert.equal((await check({}, { dns, from: [deep] })).result, 'none');
  assert.equal(dns.asked.length, 8);
});

test('the policy is the author’s own, else the organisation’s, else the public suffix’s (RFC 9989 §4.10.1)', async () => {
  const zone = policies({
    'example.org': 'v=DMARC1; p=none; sp=quarantine',
    'a.example.org': 'v=DMARC1; p=reject',
    test: 'v=DMARC1; psd=y; p=none; sp=reject',
  });
  const own = await check(zone, { from: ['a.example.org'] });
  assert.deepEqual(
    [own.policyTag, own.policy, own.recordDomain, own.organizationalDomain],
    ['p', 'reject', 'a.example.org', 'example.org'],
  );
  const above = await check(zone, { from: ['x.b.example.org'] });
  assert.deepEqual([above.policyTag, above.policy, above.recordDomain], ['sp', 'quarantine', 'example.org']);
  const suffix = await check(zone, { from: ['mail.shop.test'] });
  assert.deepEqual(
    [suffix.policyTag, suffix.policy, suffix.recordDomain, suffix.organizationalDomain],
    ['sp', 'reject', 'test', 'shop.test'],
  );
  // Two shops below one public suffix are two organisations.
  assert.equal((await check(zone, { from: ['mail.shop.test'], dkim: dkim('other.test') })).result, 'fail');
  assert.equal((await check(zone, { from: ['mail.shop.test'], dkim: dkim('shop.test') })).result, 'pass');
});

test('np is for domains that are not there: no A, AAAA or MX (RFC 9989 §4.7)', async () => {
  const zone: Zone = {
    ...policies({ 'example.org': 'v=DMARC1; p=none; sp=quarantine; np=reject' }),
    'there.example.org': { MX: [[1, 'mx.example.org']] },
    'text.example.org': { TXT: ['nothing'] },
    'dark.example.org': { fault: 'SERVFAIL' },
  };
  const applied = async (from: string): Promise<unknown> => {
    const { result, policyTag, policy } = await check(zone, { from: [from] });
    return [result, policyTag, policy];
  };
  assert.deepEqual(await applied('there.example.org'), ['fail', 'sp', 'quarantine']);
  assert.deepEqual(await applied('text.example.org'), ['fail', 'np', 'reject']);
  assert.deepEqual(await applied('gone.example.org'), ['fail', 'np', 'reject']);
  assert.deepEqual(await applied('example.org'), ['fail', 'p', 'none']);
  assert.deepEqual(await applied('dark.example.org'), ['temperror', null, null]);
});

test('t=y has every policy count one step weaker, and says so (RFC 9989 §4.7)', async () => {
  for (const [published, policy] of [
    ['reject', 'quarantine'],
    ['quarantine', 'none'],
    ['none', 'none'],
  ] as const) {
    const told = await check(policies({ 'example.org': `v=DMARC1; p=${published}; t=y` }));
    assert.deepEqual([told.publishedPolicy, told.policy, told.isTesting], [published, policy, true]);
  }
});

test('pct is gone: it changes nothing (RFC 9989, appendix on changes)', async () => {
  assert.equal((await check(policies({ 'example.org': 'v=DMARC1; p=reject; pct=0' }))).policy, 'reject');
});

test('several records at one name are as none; other TXT records do not count (RFC 9989 §4.10)', async () => {
  const zone = policies({
    'a.example.org': ['v=DMARC1; p=none', 'v=DMARC1; p=none'],
    'example.org': ['v=DMARC1; p=reject', 'v=dmarc1; p=none', 'spf', 'p=none; v=DMARC1', 'v=DMARC10; p=none'],
  });
  const told = await check(zone, { from: ['a.example.org'] });
  assert.deepEqual([told.recordDomain, told.policy], ['example.org', 'reject']);
});

test('a policy that is not valid becomes none where reports can be sent, else the record is a permerror (RFC 9989 §4.10.1)', async () => {
  for (const bad of ['p=rejekt', 'p=reject; sp=x', 'p=reject; np=', 'p=reject; p=none', 'p=rejéct']) {
    const told = await check(policies({ 'example.org': `v=DMARC1; ${bad}; rua=mailto:a@example.org` }));
    assert.deepEqual([told.result, told.policy], ['fail', 'none'], bad);
    const without = await check(policies({ 'example.org': `v=DMARC1; ${bad}; rua=nobody` }), {
      dkim: dkim('example.org'),
    });
    assert.deepEqual([without.result, without.policy], ['permerror', null], bad);
  }
  assert.equal((await check(policies({ 'example.org': 'v=DMARC1' }))).policy, 'none');
});

test('tags: unknown ones are ignored, faulty ones have their default, sizes behind URIs are dropped (RFC 9989 §4.7)', () => {
  const read = parseDmarcRecord(
    'v=DMARC1;P=Reject;x=y;adkim=q;aspf=S;fo=1:d;psd=maybe;rua=mailto:a@example.org!10m, mailto:,https://example.org/r;',
  );
  assert.deepEqual(read, {
    kind: 'record',
    record: {
      p: 'reject',
      sp: null,
      np: null,
      t: false,
      psd: 'u',
      adkim: 'r',
      aspf: 's',
      fo: ['1', 'd'],
      rua: ['mailto:a@example.org', 'https://example.org/r'],
      ruf: [],
    },
    bad: ['psd', 'adkim'],
  });
});

test('a policy that could not be fetched is temperror, at the author’s name and above it', async () => {
  const dark = { fault: 'TIMEOUT' } as const;
  assert.equal(
    (await check({ '_dmarc.example.org': dark }, { dkim: dkim('example.org') })).result,
    'temperror',
  );
  assert.equal((await check({ '_dmarc.org': dark })).result, 'temperror');
  const zone = { ...policies({ 'example.org': 'v=DMARC1; p=reject' }), '_dmarc.org': dark };
  assert.equal((await check(zone, { dkim: dkim('example.org') })).result, 'pass');
  assert.equal((await check(zone, { dkim: dkim('a.example.org') })).result, 'temperror');
  // A signature of somebody else altogether does not keep a failure from being one.
  assert.equal((await check(zone, { dkim: dkim('evil.test') })).result, 'fail');
});

test('who would be aligned but could not be checked makes temperror; others do not (RFC 9989 §5.3)', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=reject' });
  const told = await check(zone, { dkim: dkim('example.org', 'temperror') });
  assert.deepEqual([told.result, told.policy], ['temperror', 'reject']);
  assert.equal((await check(zone, { dkim: dkim('evil.test', 'temperror') })).result, 'fail');
  const both = { dkim: dkim('example.org', 'temperror'), spf: { domain: 'example.org', result: 'pass' } };
  assert.equal((await check(zone, both)).result, 'pass');
});

test('of several authors all must pass, and the strictest policy counts (RFC 9989, security considerations)', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=reject', 'b.test': 'v=DMARC1; p=none' });
  const told = await check(zone, { from: ['b.test', 'example.org', 'c.test'], dkim: dkim('b.test') });
  assert.deepEqual([told.result, told.policy, told.authorDomain], ['fail', 'reject', 'example.org']);
  assert.deepEqual(told.authorDomains, ['b.test', 'example.org', 'c.test']);
  assert.equal((await check(zone, { from: ['b.test', 'c.test'], dkim: dkim('b.test') })).result, 'none');
  const both = {
    from: ['b.test', 'example.org', 'B.test'],
    dkim: [...dkim('b.test'), ...dkim('example.org')],
  };
  assert.equal((await check(zone, both)).result, 'pass');
  const many = Array.from({ length: 9 }, (_, index) => `d${index}.test`);
  const dns = zoneDns({});
  const crowd = await check({}, { dns, from: many });
  assert.deepEqual([crowd.result, crowd.policy], ['fail', 'reject']);
  assert.deepEqual(dns.asked, []);
});

test('a From without a domain, or with one that is none, is a permerror', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=reject' });
  for (const from of [[], [''], ['[192.0.2.1]'], ['example.org', 'a..b'], ['exam ple.org'], ['x'.repeat(64)]])
    assert.equal((await check(zone, { from, dkim: dkim('example.org') })).result, 'permerror', String(from));
});

test('an address that is none hides no author who fails', async () => {
  const zone = policies({ 'example.org': 'v=DMARC1; p=reject' });
  const told = await check(zone, { from: ['[192.0.2.1]', 'example.org'] });
  assert.deepEqual([told.result, told.policy], ['fail', 'reject']);
});

test('U-labels are compared as A-labels (RFC 9989 §5.3.1)', async () => {
  const zone = policies({ 'xn--fiqs8s.example': 'v=DMARC1; p=reject' });
  const told = await check(zone, { from: ['中国.Example'], dkim: dkim('xn--fiqs8s.example') });
  assert.deepEqual([told.result, told.authorDomain], ['pass', 'xn--fiqs8s.example']);
});

test('a storm of signatures below the author’s domain asks DNS at most 40 times', async () => {
  const dns = zoneDns(policies({ 'example.org': 'v=DMARC1; p=reject' }));
  const storm = Array.from({ length: 50 }, (_, index) =>
    dkim(`a${index}.b${index}.c${index}.example.org`),
  ).flat();
  const told = await check({}, { dns, dkim: storm });
  assert.equal(told.result, 'pass');
  assert.ok(dns.asked.length <= 40, String(dns.asked.length));
});

test('any record is read as words of the RFC or refused', () => {
  for (const seed of seeds) run(seed);
  const piece = fc.constantFrom(
    'p=',
    'sp=',
    'np=',
    'none',
    'reject',
    ';',
    ' ',
    'rua=',
    'mailto:a@b',
    ',',
    '!10m',
    'psd=y',
    't=y',
    '\xe9',
    'fo=',
    '1:d',
    '=',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) =>
      run(Buffer.from(`v=DMARC1;${pieces.join('')}`, 'latin1')),
    ),
  );
});
