import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Zone, zoneDns } from '../../../test/support/dns-zone.ts';
import { checkSpf, type SpfRequest, type SpfResult } from './index.ts';
import { seeds as macroSeeds, run as runMacro } from './macro.fuzz.ts';
import { expandMacros, type MacroValues, parseMacroString } from './macro.ts';
import { seeds as recordSeeds, run as runRecord } from './spf-record.fuzz.ts';

const check = (zone: Zone, some: Partial<SpfRequest> = {}): Promise<SpfResult> =>
  checkSpf({
    dns: zoneDns(zone),
    ip: '192.0.2.3',
    helo: 'mail.example.org',
    mailFrom: 'lee@example.org',
    receiver: 'mx.fengni.test',
    nowMs: 1_700_000_000_000,
    ...some,
  });

/** example.org with this record */
const org = (record: string, more: Zone = {}): Zone => ({ 'example.org': { TXT: [record] }, ...more });

test('each qualifier has its result, and the mechanism that matched is named (RFC 7208 §2.6, §4.6.2)', async () => {
  for (const [sign, result] of [
    ['', 'pass'],
    ['+', 'pass'],
    ['-', 'fail'],
    ['~', 'softfail'],
    ['?', 'neutral'],
  ] as const) {
    const told = await check(org(`v=spf1 ip4:198.51.100.1 ${sign}ip4:192.0.2.0/24 -all`));
    assert.equal(told.result, result);
    assert.equal(told.mechanism, `${sign}ip4:192.0.2.0/24`);
    assert.equal(told.identity, 'mailfrom');
    assert.equal(told.domain, 'example.org');
  }
  assert.equal((await check(org('v=spf1 ip4:198.51.100.1'))).result, 'neutral');
});

test('a network matches by its first bits, IPv4 and IPv6 each by its own (RFC 7208 §5.6)', async () => {
  const isPass = async (term: string, ip: string): Promise<boolean> =>
    (
      await check(org(`v=spf1 ${term} -all`, { 'h.test': { A: ['192.0.2.64'], AAAA: ['2001:db8::8000'] } }), {
        ip,
      })
    ).result === 'pass';
  assert.equal(await isPass('ip4:192.0.2.64/26', '192.0.2.127'), true);
  assert.equal(await isPass('ip4:192.0.2.64/26', '192.0.2.128'), false);
  assert.equal(await isPass('ip4:192.0.2.64/0', '203.0.113.9'), true);
  assert.equal(await isPass('ip6:2001:db8::8000/113', '2001:db8::ffff'), true);
  assert.equal(await isPass('ip6:2001:db8::8000/113', '2001:db8::7fff'), false);
  assert.equal(await isPass('ip4:0.0.0.0/0', '2001:db8::1'), false);
  assert.equal(await isPass('a:h.test/26//113', '192.0.2.100'), true);
  assert.equal(await isPass('a:h.test/26//113', '192.0.2.1'), false);
  assert.equal(await isPass('a:h.test/26//113', '2001:db8::ffff'), true);
  assert.equal(await isPass('a:h.test/26', '2001:db8::ffff'), false);
});

test('the null reverse-path has the name of HELO checked, as postmaster (RFC 7208 §2.4)', async () => {
  const zone = {
    'mail.example.org': { TXT: ['v=spf1 exists:%{l}.%{d} -all'] },
    'postmaster.mail.example.org': { A: ['127.0.0.2'] },
  };
  for (const mailFrom of [null, '']) {
    const told = await check(zone, { mailFrom });
    assert.deepEqual([told.result, told.identity, told.domain], ['pass', 'helo', 'mail.example.org']);
  }
});

test('an IPv4-mapped address is the IPv4 address, and %{i} says so (RFC 7208 §5)', async () => {
  const told = await check(org('v=spf1 ip4:192.0.2.3 -all'), { ip: '::ffff:192.0.2.3' });
  assert.equal(told.result, 'pass');
  const zone = org('v=spf1 exists:%{i}.%{v}.ok -all', { '192.0.2.3.in-addr.ok': { A: ['127.0.0.1'] } });
  assert.equal((await check(zone, { ip: '::FFFF:C000:203' })).result, 'pass');
});

test('a domain of U-labels is asked for in A-labels; a local part beyond ASCII matches no macro (RFC 8616 §4)', async () => {
  const zone = {
    'xn--fiqs8s.example': { TXT: ['v=spf1 exists:%{o}.ok -all'] },
    'xn--fiqs8s.example.ok': { A: ['127.0.0.1'] },
    'example.org': { TXT: ['v=spf1 exists:%{l}.ok ?all'] },
  };
  assert.equal((await check(zone, { mailFrom: 'lee@中国.example' })).result, 'pass');
  assert.equal((await check(zone, { mailFrom: '李@example.org' })).result, 'neutral');
});

test('who has no address, or no domain, gets none and never pass', async () => {
  assert.equal((await check(org('v=spf1 +all'), { ip: '' })).result, 'none');
  for (const mailFrom of [
    'lee@localhost',
    'lee@[192.0.2.3]',
    'lee@example..org',
    `lee@${'a'.repeat(64)}.org`,
    'lee@1.2.3.4',
  ])
    assert.equal((await check({}, { mailFrom })).result, 'none', mailFrom);
});

test('DNS that fails makes temperror, wherever it fails, and names the question', async () => {
  const failing = { fault: 'SERVFAIL' } as const;
  for (const record of ['a:x.test', 'mx:x.test', 'exists:x.test', 'include:x.test', 'redirect=x.test']) {
    const told = await check(org(`v=spf1 ${record}`, { 'x.test': failing }));
    assert.equal(told.result, 'temperror', record);
    assert.match(told.reason ?? '', /x\.test: SERVFAIL/);
  }
  assert.equal((await check({ 'example.org': failing })).result, 'temperror');
  const mx = org('v=spf1 mx:x.test +all', { 'x.test': { MX: [[1, 'h.test']] }, 'h.test': failing });
  assert.equal((await check(mx)).result, 'temperror');
  // ptr alone goes on (RFC 7208 §5.5)
  assert.equal((await check(org('v=spf1 ptr -all', { '192.0.2.3': failing }))).result, 'fail');
});

test('at most 10 terms ask DNS, across includes; the eleventh is a permerror (RFC 7208 §4.6.4)', async () => {
  const hosts = (count: number): Zone =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`h${index}.test`, { A: ['198.51.100.9'] }]),
    );
  const terms = (count: number): string =>
    Array.from({ length: count }, (_, index) => `a:h${index}.test`).join(' ');
  const at = await check(org(`v=spf1 ${terms(10)} +all`, hosts(10)));
  assert.deepEqual([at.result, at.lookups], ['pass', 10]);
  const over = await check(org(`v=spf1 ${terms(11)} +all`, hosts(11)));
  assert.equal(over.result, 'permerror');
  assert.match(over.reason ?? '', /more than 10 terms/);
});

test('an include storm ends after 10 look-ups and asks DNS no more (RFC 7208 §4.6.4)', async () => {
  const self = zoneDns(org('v=spf1 include:example.org include:example.org include:example.org +all'));
  assert.equal((await check({}, { dns: self })).result, 'permerror');
  assert.ok(self.asked.length <= 11, String(self.asked.length));
  const wide = zoneDns(
    org('v=spf1 include:a.test include:b.test +all', {
      'a.test': { TXT: [`v=spf1 ${'include:b.test '.repeat(300)}-all`] },
      'b.test': { TXT: ['v=spf1 redirect=a.test'] },
    }),
  );
  assert.equal((await check({}, { dns: wide })).result, 'permerror');
  assert.ok(wide.asked.length <= 11);
});

test('more than two answers with nothing are a permerror (RFC 7208 §4.6.4)', async () => {
  assert.equal((await check(org('v=spf1 a:x.test exists:y.test +all'))).result, 'pass');
  const told = await check(org('v=spf1 a:x.test exists:y.test mx:z.test +all'));
  assert.deepEqual([told.result, told.voidLookups], ['permerror', 3]);
});

test('hosts of an MX without an address of the peer’s family are not counted as nothing', async () => {
  const zone = org('v=spf1 mx +all', {});
  const told = await check(
    {
      ...zone,
      'example.org': { TXT: ['v=spf1 mx +all'], MX: [1, 2, 3, 4].map((n) => [n, `m${n}.test`] as const) },
      'm1.test': { A: ['192.0.2.1'] },
    },
    { ip: '2001:db8::1' },
  );
  assert.deepEqual([told.result, told.voidLookups], ['pass', 0]);
});

test('more than 10 MX records are a permerror; of more than 10 names of the peer the first count', async () => {
  const many = Array.from({ length: 11 }, (_, index) => [index, `m${index}.test`] as const);
  assert.equal((await check({ 'example.org': { TXT: ['v=spf1 mx +all'], MX: many } })).result, 'permerror');
  const names = Array.from({ length: 200 }, (_, index) => `n${index}.example.org`);
  const dns = zoneDns({
    'example.org': { TXT: ['v=spf1 ptr -all'] },
    '192.0.2.3': { PTR: names },
    'n150.example.org': { A: ['192.0.2.3'] },
  });
  assert.equal((await check({}, { dns })).result, 'fail');
  assert.ok(dns.asked.length <= 12);
});

test('a macro bomb costs what its record is long: no name of more than 253, no text of more than 512 (RFC 7208 §7.3)', async () => {
  const long = `${'x'.repeat(60)}.`.repeat(4);
  const mailFrom = `${'l'.repeat(200)}@${long}example.org`.slice(0, 320);
  const domain = mailFrom.slice(mailFrom.indexOf('@') + 1);
  const bomb = '%{s}'.repeat(1_900);
  const dns = zoneDns({
    [domain]: { TXT: [`v=spf1 exists:${bomb}.ok.test -all exp=e.test`] },
    'e.test': { TXT: [bomb] },
  });
  const told = await check({}, { dns, mailFrom });
  assert.equal(told.explanation, null);
  for (const asked of dns.asked) assert.ok(asked.length <= 4 + 253);
});

test('a record of 64 kB is a permerror', async () => {
  const told = await check(org(`v=spf1 ${'ip4:192.0.2.3 '.repeat(4_600)}+all`));
  assert.equal(told.result, 'permerror');
  assert.match(told.reason ?? '', /8192 octets/);
});

test('a fault anywhere in the record is a permerror, even behind what matches (RFC 7208 §4.6)', async () => {
  for (const bad of [
    'a:',
    'ip4:192.0.2',
    'ip4:192.0.2.0/024',
    'ip6:::1/129',
    'foo',
    'redirect=',
    'a/33',
    'exists',
    '-all:x',
    'a:%{c}.test',
    'exp=a.test exp=b.test',
    'a:x.123',
    'a:museum',
    'include:a%%_',
  ])
    assert.equal((await check(org(`v=spf1 ip4:192.0.2.3 ${bad}`))).result, 'permerror', bad);
});

test('include and redirect of a domain without a record are permerrors; a fail there does not match (RFC 7208 §5.2, §6.1)', async () => {
  assert.equal((await check(org('v=spf1 include:x.test +all'))).result, 'permerror');
  assert.equal((await check(org('v=spf1 redirect=x.test'))).result, 'permerror');
  assert.equal(
    (await check(org('v=spf1 include:x.test ?all', { 'x.test': { TXT: ['v=spf1 -all'] } }))).result,
    'neutral',
  );
  const told = await check(org('v=spf1 include:x.test -all', { 'x.test': { TXT: ['v=spf1 +all'] } }));
  assert.deepEqual([told.result, told.mechanism], ['pass', 'include:x.test']);
});

test('the explanation comes of the record that said no: through redirect, never through include (RFC 7208 §6.2)', async () => {
  const target = { TXT: ['v=spf1 -all exp=e.test'] };
  const text = { TXT: ['%{i} may not send for %{o}; told by %{r} at %{t}'] };
  const said = '192.0.2.3 may not send for example.org; told by mx.fengni.test at 1700000000';
  const redirected = await check(org('v=spf1 redirect=x.test', { 'x.test': target, 'e.test': text }));
  assert.deepEqual([redirected.result, redirected.explanation], ['fail', said]);
  const included = await check(org('v=spf1 include:x.test -all', { 'x.test': target, 'e.test': text }));
  assert.deepEqual([included.result, included.explanation], ['fail', null]);
  const softened = await check(org('v=spf1 ~all exp=e.test', { 'e.test': text }));
  assert.equal(softened.explanation, null);
});

test('authenticated only where every answer was', async () => {
  const zone = org('v=spf1 a:h.test -all', { 'h.test': { A: ['192.0.2.3'] } });
  assert.equal((await check(zone)).authenticated, false);
  const dns = zoneDns(zone, { authenticated: true });
  assert.equal((await check({}, { dns })).authenticated, true);
  const mixed = { ...dns, a: zoneDns(zone).a };
  assert.equal((await check({}, { dns: mixed })).authenticated, false);
});

test('a resolver that throws makes temperror', async () => {
  const dns = { ...zoneDns({}), txt: () => Promise.reject(new Error('broken')) };
  assert.equal((await check({}, { dns })).result, 'temperror');
});

const values: MacroValues = {
  s: 'strong-bad@email.example.com',
  l: 'strong-bad',
  o: 'email.example.com',
  d: 'email.example.com',
  i: '192.0.2.3',
  p: 'unknown',
  h: 'mail.example.com',
  v: 'in-addr',
  c: '192.0.2.3',
  r: 'r.example',
  t: '0',
};

test('the examples of RFC 7208 §7.4', () => {
  for (const [text, expanded] of [
    ['%{s}', 'strong-bad@email.example.com'],
    ['%{d}', 'email.example.com'],
    ['%{d4}', 'email.example.com'],
    ['%{d2}', 'example.com'],
    ['%{d1}', 'com'],
    ['%{dr}', 'com.example.email'],
    ['%{d2r}', 'example.email'],
    ['%{l-}', 'strong.bad'],
    ['%{lr-}', 'bad.strong'],
    ['%{l1r-}', 'strong'],
    ['%{ir}.%{v}._spf.%{d2}', '3.2.0.192.in-addr._spf.example.com'],
    ['%{lr-}.lp.%{ir}.%{v}._spf.%{d2}', 'bad.strong.lp.3.2.0.192.in-addr._spf.example.com'],
    ['%{S}', 'strong-bad%40email.example.com'],
    ['%%%_%-', '% %20'],
  ] as const) {
    const parts = parseMacroString(text, false);
    assert.ok(parts !== null, text);
    assert.equal(expandMacros(parts, values, 512), expanded, text);
  }
  for (const bad of ['%', '%{', '%{x}', '%{d0}', '%{d', '%d', '%{dr2}', '%{t}', 'a b'])
    assert.equal(parseMacroString(bad, false), null, bad);
});

test('any octets are read or refused within bounds', () => {
  for (const seed of [...recordSeeds, ...macroSeeds]) {
    runRecord(seed);
    runMacro(seed);
  }
  const piece = fc.constantFrom(
    'v=spf1',
    ' ',
    'a:',
    'mx/',
    'ip4:',
    'ip6:',
    '%{',
    'd',
    '2r-}',
    '.test',
    '/24',
    '//64',
    '-all',
    'exp=',
    '\x80',
    '=',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      runRecord(Buffer.from(`v=spf1 ${pieces.join('')}`, 'latin1'));
      runMacro(Buffer.from(pieces.join(''), 'latin1'));
    }),
  );
});
