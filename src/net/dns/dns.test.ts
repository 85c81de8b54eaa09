import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemClock, systemRandom } from '#base/clock';
import { dnsTypes } from '#protocols/dns';
import {
  type DnsServerOptions,
  type Lie,
  startDnsServer,
  type Zone,
} from '../../../test/support/dns-server.ts';
import { DnsCache } from './cache.ts';
import {
  createDnsClient,
  type DnsClient,
  type DnsLimits,
  type DnsSettings,
  readResolvConf,
} from './index.ts';
import { isBelieved, parseResolver } from './resolver.ts';

/** a clock that tests move */
const handClock = (): { nowMs(): number; monotonicMs(): number; move(ms: number): void } => {
  let now = 1_000;
  return {
    nowMs: () => now,
    monotonicMs: () => now,
    move: (ms) => {
      now += ms;
    },
  };
};

/** Long enough for answers that come, short where a test waits for one that does not. */
const patient: Partial<DnsLimits> = { attemptMs: 5_000, roundsMax: 1 };
const hasty: Partial<DnsLimits> = { attemptMs: 60, roundsMax: 1 };

interface Bench {
  readonly dns: DnsClient;
  readonly server: Awaited<ReturnType<typeof startDnsServer>>;
}

const withServer = async (
  options: DnsServerOptions & { readonly settings?: Partial<DnsSettings> },
  use: (bench: Bench) => Promise<void>,
): Promise<void> => {
  const server = await startDnsServer(options);
  const dns = createDnsClient({
    resolvers: [server.endpoint],
    trustAd: false,
    clock: systemClock,
    random: systemRandom,
    limits: patient,
    ...options.settings,
  });
  try {
    await use({ dns, server });
  } finally {
    dns.close();
    await server.stop();
  }
};

const zone: Zone = {
  'example.org': {
    TXT: ['v=spf1 -all', ['two ', 'strings'], 'caf\xe9'],
    A: ['192.0.2.1', '192.0.2.2'],
    AAAA: ['2001:DB8:0:0::1'],
    MX: [
      [20, 'b.example.org'],
      [10, 'a.example.org.'],
    ],
    SOA: { minimum: 90, ttl: 3_600 },
  },
  '192.0.2.1': { PTR: ['example.org'] },
  '2001:db8::1': { PTR: ['six.example.org'] },
  'alias.test': { CNAME: 'other.test' },
  'other.test': { CNAME: 'example.org' },
  'big.test': { TXT: ['x'.repeat(60_000)] },
  'null-mx.test': { MX: [[0, '']] },
  'xn--fiqs8s.example': { TXT: ['chinese'] },
  '_dmarc.xn--fiqs8s.example': { TXT: ['v=DMARC1'] },
};

const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1');

test('records of each type come as the port has them (RFC 1035, RFC 3596)', async () => {
  await withServer({ zone }, async ({ dns }) => {
    const txt = await dns.txt('Example.ORG.');
    assert.equal(txt.kind, 'found');
    assert.deepEqual(txt.kind === 'found' && [txt.records.map(text), txt.ttl, txt.authenticated], [
      ['v=spf1 -all', 'two strings', 'caf\xe9'],
      300,
      false,
    ]);
    const records = async (
      asked: Promise<{ kind: string; records?: readonly unknown[] }>,
    ): Promise<unknown> => (await asked).records;
    assert.deepEqual(await records(dns.a('example.org')), ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(await records(dns.aaaa('example.org')), ['2001:db8::1']);
    assert.deepEqual(await records(dns.mx('example.org')), [
      { preference: 20, exchange: 'b.example.org' },
      { preference: 10, exchange: 'a.example.org' },
    ]);
    assert.deepEqual(await records(dns.mx('null-mx.test')), [{ preference: 0, exchange: '' }]);
    assert.deepEqual(await records(dns.ptr('192.0.2.1')), ['example.org']);
    assert.deepEqual(await records(dns.ptr('2001:db8:0::1')), ['six.example.org']);
    assert.deepEqual(await records(dns.a('alias.test')), ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual((await records(dns.txt('_dmarc.中国.example'))) !== undefined, true);
  });
});

test('where no resolver answers nobody waits for each name; a name that nobody answers for stops nothing', async () => {
  const clock = handClock();
  const settings = { clock, limits: { ...hasty, roundsMax: 3, silenceMs: 5_000 } };
  await withServer({ zone, settings }, async ({ dns, server }) => {
    server.setLie(({ name }) => (name.toLowerCase() === 'slow.test' ? 'drop' : 'truth'));
    assert.deepEqual(await dns.a('slow.test'), { kind: 'unavailable', why: 'timeout' });
    assert.equal((await dns.a('example.org')).kind, 'found', 'the root was answered for');
    server.setLie(() => 'drop');
    const before = server.queries.length;
    assert.deepEqual(await dns.a('one.test'), { kind: 'unavailable', why: 'timeout' });
    assert.deepEqual(
      server.queries.slice(before).map(({ name }) => name.toLowerCase()),
      ['one.test', ''],
      'not three rounds',
    );
    const asked = server.queries.length;
    assert.deepEqual(await dns.a('two.test'), { kind: 'unavailable', why: 'no resolver answers' });
    assert.equal((await dns.a('example.org')).kind, 'found', 'what is known stays known');
    assert.deepEqual([server.queries.length, dns.counts.silences], [asked, 1]);
    server.setLie(() => 'truth');
    clock.move(5_001);
    assert.equal((await dns.a('three.test')).kind, 'unavailable', 'asks for the root meanwhile');
    while (server.queries.length === asked || (await dns.a('four.test')).kind === 'unavailable')
      await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal((await dns.a('two.test')).kind, 'none');
  });
});

test('no such name and no such record are told apart, and kept as long as SOA says (RFC 2308 §2, §5)', async () => {
  const clock = handClock();
  await withServer({ zone, settings: { clock } }, async ({ dns, server }) => {
    const none = await dns.a('nobody.example.org');
    assert.deepEqual(none, { kind: 'none', why: 'nxdomain', authenticated: false, ttl: 90 });
    assert.deepEqual(await dns.ptr('192.0.2.9'), {
      kind: 'none',
      why: 'nxdomain',
      authenticated: false,
      ttl: 60,
    });
    const empty = await dns.a('xn--fiqs8s.example');
    assert.equal(empty.kind === 'none' && empty.why, 'nodata');
    const asked = server.queries.length;
    clock.move(89_000);
    assert.deepEqual(await dns.a('nobody.example.org'), { ...none, ttl: 1 });
    assert.equal(server.queries.length, asked);
    clock.move(2_000);
    await dns.a('nobody.example.org');
    assert.equal(server.queries.length, asked + 1);
  });
});

test('an answer is kept for its TTL, counts down, and is asked for again; TTL 0 is not kept', async () => {
  const clock = handClock();
  const short: Zone = { 'a.test': { A: ['192.0.2.1'], ttl: 30 }, 'b.test': { A: ['192.0.2.1'], ttl: 0 } };
  await withServer({ zone: short, settings: { clock } }, async ({ dns, server }) => {
    await dns.a('a.test');
    clock.move(10_000);
    const second = await dns.a('A.test');
    assert.equal(second.kind === 'found' && second.ttl, 20);
    assert.equal(server.queries.length, 1);
    clock.move(20_000);
    await dns.a('a.test');
    assert.equal(server.queries.length, 2);
    await dns.a('b.test');
    await dns.a('b.test');
    assert.equal(server.queries.length, 4);
    assert.equal(dns.counts.cacheHits, 1);
  });
});

test('the same question asked at the same time is asked once', async () => {
  await withServer({ zone }, async ({ dns, server }) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => dns.txt('example.org')));
    assert.equal(server.queries.length, 1);
    for (const answer of answers) assert.equal(answer.kind, 'found');
  });
});

test('each question has a port and an id of its own, and its name in random capitals (RFC 5452 §4, §9)', async () => {
  await withServer({ zone: {} }, async ({ dns, server }) => {
    await Promise.all(Array.from({ length: 40 }, (_, index) => dns.a(`abcdefghijklmnop${index}.test`)));
    const distinct = (values: readonly unknown[]): number => new Set(values).size;
    assert.ok(distinct(server.queries.map(({ port }) => port)) > 30);
    assert.ok(distinct(server.queries.map(({ message }) => message.id)) > 35);
    assert.ok(distinct(server.queries.map(({ name }) => name.slice(0, 16))) > 35);
    for (const { message } of server.queries)
      assert.deepEqual(
        [message.edns?.dnssecOk, message.authenticData, message.recursionDesired],
        [true, true, true],
      );
  });
});

test('answers that do not fit id, server or question are none; the true one behind them counts (RFC 5452 §3)', async () => {
  const lies: readonly Lie[] = ['wrong-id', 'wrong-port', 'wrong-question'];
  for (const lie of lies) {
    await withServer({ zone, lie: () => [lie, 'truth'] }, async ({ dns }) => {
      assert.equal((await dns.a('example.org')).kind, 'found', String(lie));
    });
    await withServer({ zone, lie: () => lie, settings: { limits: hasty } }, async ({ dns }) => {
      assert.deepEqual(await dns.a('example.org'), { kind: 'unavailable', why: 'timeout' }, String(lie));
    });
  }
});

test('who guesses again and again moves the question to TCP (RFC 5452 §9.3)', async () => {
  const forged: Lie[] = [...Array.from({ length: 30 }, (): Lie => 'wrong-id')];
  await withServer(
    { zone, lie: ({ transport }) => (transport === 'udp' ? forged : 'truth') },
    async ({ dns, server }) => {
      assert.equal((await dns.a('example.org')).kind, 'found');
      assert.equal(server.queries.at(-1)?.transport, 'tcp');
      assert.equal(dns.counts.strayAnswers, 20);
    },
  );
});

test('an answer in other capitals is asked for by TCP, and is believed there', async () => {
  await withServer({ zone, lie: () => 'wrong-case' }, async ({ dns, server }) => {
    assert.equal((await dns.a('example.org')).kind, 'found');
    assert.deepEqual(
      server.queries.map(({ transport }) => transport),
      ['udp', 'tcp'],
    );
    // It is known now that this resolver changes them.
    assert.equal((await dns.txt('example.org')).kind, 'found');
    assert.equal(server.queries.at(-1)?.transport, 'udp');
  });
});

test('a cut answer comes by TCP, up to 64 kB; one that is cut there too, or ends halfway, is unavailable (RFC 7766 §5)', async () => {
  await withServer({ zone }, async ({ dns, server }) => {
    const big = await dns.txt('big.test');
    assert.equal(big.kind === 'found' && big.records[0]?.length, 60_000);
    assert.deepEqual(
      server.queries.map(({ transport }) => transport),
      ['udp', 'tcp'],
    );
  });
  for (const [lie, why] of [
    ['truncate-always', /cut/],
    ['half', /closed/],
    ['garbage', /malformed/],
  ] as const) {
    const how = (transport: string): Lie => (transport === 'udp' && lie === 'half' ? 'truncate' : lie);
    await withServer({ zone, lie: ({ transport }) => how(transport) }, async ({ dns }) => {
      const answer = await dns.txt('example.org');
      assert.equal(answer.kind, 'unavailable', lie);
      assert.match(answer.kind === 'unavailable' ? answer.why : '', why);
    });
  }
});

test('SERVFAIL, REFUSED and silence are unavailable, never none, and are remembered for 5 s (RFC 9520 §3.2)', async () => {
  const clock = handClock();
  const faults: Zone = {
    's.test': { fault: 'SERVFAIL' },
    'r.test': { fault: 'REFUSED' },
    't.test': { fault: 'TIMEOUT' },
  };
  await withServer({ zone: faults, settings: { clock } }, async ({ dns, server }) => {
    assert.deepEqual(await dns.a('s.test'), { kind: 'unavailable', why: 'SERVFAIL' });
    assert.deepEqual(await dns.a('r.test'), { kind: 'unavailable', why: 'REFUSED' });
    const asked = server.queries.length;
    clock.move(4_999);
    await dns.a('s.test');
    assert.equal(server.queries.length, asked);
    clock.move(1);
    server.setZone(zone);
    assert.equal((await dns.a('s.test')).kind, 'none');
  });
  await withServer({ zone: faults, settings: { limits: hasty } }, async ({ dns }) => {
    assert.deepEqual(await dns.a('t.test'), { kind: 'unavailable', why: 'timeout' });
  });
});

test('an answer that a validating resolver calls bogus says so (RFC 8914 §4)', async () => {
  const bogus: Lie = {
    change: (answer) => ({
      ...answer,
      rcode: 2,
      answers: [],
      edns: {
        udpOctetsMax: 1232,
        version: 0,
        dnssecOk: true,
        options: [{ code: 15, octets: Uint8Array.of(0, 7, 0x62, 0x61, 0x64) }],
      },
    }),
  };
  await withServer({ zone, lie: () => bogus }, async ({ dns }) => {
    assert.deepEqual(await dns.a('example.org'), {
      kind: 'unavailable',
      why: 'bogus: a DNSSEC signature has expired',
    });
  });
});

test('aliases that loop or never end are unavailable after 8; one that leads out of the answer is followed', async () => {
  const loops: Zone = { 'a.test': { CNAME: 'b.test' }, 'b.test': { CNAME: 'a.test' } };
  await withServer({ zone: loops }, async ({ dns, server }) => {
    assert.deepEqual(await dns.txt('a.test'), { kind: 'unavailable', why: 'CNAME chain longer than 8' });
    assert.ok(server.queries.length <= 9);
  });
  const endless: Lie = {
    change: (answer) => {
      const asked = answer.questions[0]?.name ?? '';
      const name = `x${asked}`.toLowerCase();
      return {
        ...answer,
        rcode: 0,
        authorities: [],
        answers: [{ name: asked, type: dnsTypes.CNAME, class: 1, ttl: 60, data: { kind: 'name', name } }],
      };
    },
  };
  await withServer({ zone: {}, lie: () => endless }, async ({ dns, server }) => {
    assert.deepEqual(await dns.a('a.test'), { kind: 'unavailable', why: 'CNAME chain longer than 8' });
    assert.equal(server.queries.length, 9);
  });
  const outOfZone: Lie = {
    change: (answer) => ({ ...answer, answers: answer.answers.slice(0, 1), authorities: [] }),
  };
  await withServer(
    { zone, lie: ({ name }) => (/^alias/i.test(name) ? outOfZone : 'truth') },
    async ({ dns }) => {
      assert.equal((await dns.a('alias.test')).kind, 'found');
    },
  );
});

test('records for other names in an answer are not believed', async () => {
  const more: Lie = {
    change: (answer) => ({
      ...answer,
      answers: [
        { name: 'victim.test', type: 1, class: 1, ttl: 9, data: { kind: 'address', address: '192.0.2.66' } },
        ...answer.answers,
      ],
    }),
  };
  await withServer(
    { zone, lie: ({ name }) => (/^example/i.test(name) ? more : 'truth') },
    async ({ dns }) => {
      const answer = await dns.a('example.org');
      assert.deepEqual(answer.kind === 'found' && answer.records, ['192.0.2.1', '192.0.2.2']);
      assert.equal((await dns.a('victim.test')).kind, 'none');
    },
  );
});

test('a resolver that is silent or refuses gives way to the next, which is asked first from then on', async () => {
  const silent = await startDnsServer({ zone, lie: () => 'drop' });
  const refusing = await startDnsServer({ zone: { 'example.org': { fault: 'REFUSED' } } });
  try {
    await withServer({ zone }, async ({ server }) => {
      const dns = createDnsClient({
        resolvers: [silent.endpoint, refusing.endpoint, server.endpoint],
        trustAd: false,
        clock: systemClock,
        random: systemRandom,
        limits: { attemptMs: 1_000 },
      });
      assert.equal((await dns.a('example.org')).kind, 'found');
      assert.deepEqual([silent.queries.length, refusing.queries.length, server.queries.length], [1, 1, 1]);
      assert.equal((await dns.txt('example.org')).kind, 'found');
      assert.equal(silent.queries.length, 1);
      dns.close();
    });
  } finally {
    await silent.stop();
    await refusing.stop();
  }
});

test('a resolver that loses the first question is asked again', async () => {
  let count = 0;
  await withServer(
    {
      zone,
      lie: () => (++count === 1 ? 'drop' : 'truth'),
      settings: { limits: { attemptMs: 300, roundsMax: 3 } },
    },
    async ({ dns }) => {
      assert.equal((await dns.a('example.org')).kind, 'found');
    },
  );
});

test('a resolver without EDNS is asked without it (RFC 6891 §7)', async () => {
  await withServer({ zone, lie: () => 'no-edns' }, async ({ dns, server }) => {
    assert.equal((await dns.a('example.org')).kind, 'found');
    assert.equal((await dns.txt('example.org')).kind, 'found');
    assert.deepEqual(
      server.queries.map(({ message }) => message.edns !== null),
      [true, false, false],
    );
  });
});

test('AD is believed of a resolver on loopback, and the validation is found out by the signed root', async () => {
  await withServer({ zone, authenticData: true }, async ({ dns }) => {
    const answer = await dns.a('example.org');
    assert.equal(answer.kind === 'found' && answer.authenticated, true);
    const none = await dns.a('nobody.test');
    assert.equal(none.kind === 'none' && none.authenticated, true);
    assert.equal(await dns.validation(), 'validates');
  });
  await withServer({ zone }, async ({ dns }) => assert.equal(await dns.validation(), 'does-not-validate'));
  await withServer({ zone, lie: () => 'drop', settings: { limits: hasty } }, async ({ dns }) =>
    assert.equal(await dns.validation(), 'unavailable'),
  );
});

test('AD of a resolver elsewhere is believed only where the configuration vouches for the way', () => {
  for (const [endpoint, isLoopback] of [
    ['127.0.0.1:53', true],
    ['127.8.9.10:5353', true],
    ['[::1]:53', true],
    ['192.0.2.53:53', false],
    ['[2001:db8::1]:53', false],
    ['[::ffff:192.0.2.1]:53', false],
    ['128.0.0.1:53', false],
  ] as const) {
    const resolver = parseResolver(endpoint);
    assert.equal(isBelieved(resolver, false), isLoopback, endpoint);
    assert.equal(isBelieved(resolver, true), true);
  }
  for (const endpoint of ['localhost:53', '127.0.0.1', '127.0.0.1:', '::1:53'])
    assert.throws(() => parseResolver(endpoint), TypeError, endpoint);
});

test('a resolver that does not look further (no RA, no AA, nothing there) is not taken for “none”', async () => {
  const referral: Lie = {
    change: (answer) => ({
      ...answer,
      isAuthoritative: false,
      recursionAvailable: false,
      answers: [],
      rcode: 0,
    }),
  };
  await withServer({ zone, lie: () => referral }, async ({ dns }) => {
    assert.equal((await dns.a('example.org')).kind, 'unavailable');
  });
});

test('no more lookups are under way than the limits say; further ones wait, and those beyond are unavailable at once', async () => {
  const limits = { ...patient, lookupsMax: 2, waitingMax: 3 };
  await withServer({ zone: {}, lie: () => 'drop', settings: { limits } }, async ({ dns, server }) => {
    const asked = Array.from({ length: 8 }, (_, index) => dns.a(`n${index}.test`));
    const late = await Promise.all(asked.slice(5));
    for (const answer of late)
      assert.deepEqual(answer, { kind: 'unavailable', why: 'too many lookups at the same time' });
    assert.equal(dns.counts.overloaded, 3);
    while (server.queries.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(server.queries.length, 2);
    dns.close();
    for (const answer of await Promise.all(asked.slice(0, 5)))
      assert.deepEqual(answer, { kind: 'unavailable', why: 'closed' });
  });
});

test('a resolver that is not there is unavailable at once, and nothing throws', async () => {
  const gone = dgram.createSocket('udp4');
  gone.bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  gone.close();
  const dns = createDnsClient({
    resolvers: [`127.0.0.1:${port}`],
    trustAd: false,
    clock: systemClock,
    random: systemRandom,
    limits: { ...patient, roundsMax: 1 },
  });
  assert.equal((await dns.a('example.org')).kind, 'unavailable');
  for (const name of [
    '',
    '.',
    'a..b',
    `${'x'.repeat(64)}.test`,
    'a'.repeat(300),
    'bad label\u{1F4A9}\u0000.test',
  ])
    assert.deepEqual(await dns.a(name), { kind: 'unavailable', why: 'not a DNS name' }, name);
  assert.equal((await dns.ptr('not an address')).kind, 'unavailable');
  dns.close();
  assert.deepEqual(await dns.a('another.test'), { kind: 'unavailable', why: 'closed' });
});

test('the cache is bounded by entries and octets; what was used last stays', () => {
  const cache = new DnsCache<number>(3, 100);
  for (const key of [1, 2, 3]) cache.set(`k${key}`, key, 10, 1_000, 0);
  assert.equal(cache.get('k1', 0)?.value, 1);
  cache.set('k4', 4, 10, 1_000, 0);
  assert.equal(cache.get('k2', 0), null);
  assert.equal(cache.get('k1', 0)?.value, 1);
  cache.set('large', 5, 90, 1_000, 0);
  assert.deepEqual([cache.get('k3', 0), cache.size, cache.bytes], [null, 2, 100]);
  cache.set('huge', 6, 101, 1_000, 0);
  assert.equal(cache.get('huge', 0), null);
  assert.equal(cache.get('large', 1_000), null);
  assert.deepEqual([cache.size, cache.bytes], [1, 10]);
});

test('resolv.conf names the resolvers; without any it is this machine', () => {
  assert.deepEqual(
    readResolvConf(
      '# nameserver 1.1.1.1\nsearch test\nnameserver 192.0.2.53 # first\nnameserver\t2001:db8::53\nnameserver fe80::1%eth0\nnameserver nonsense\noptions edns0\n',
    ),
    ['192.0.2.53:53', '[2001:db8::53]:53', '[fe80::1%eth0]:53'],
  );
  assert.deepEqual(readResolvConf(''), ['127.0.0.1:53']);
  createDnsClient({
    resolvers: ['[fe80::1%eth0]:53'],
    trustAd: false,
    clock: systemClock,
    random: systemRandom,
  }).close();
});
