import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock, systemRandom } from '#base/clock';
import { type DnsMessage, dnsTypes } from '#protocols/dns';
import { checkDmarc } from '#trust/dmarc';
import { checkSpf } from '#trust/spf';
import {
  type DnsServerOptions,
  type Lie,
  startDnsServer,
  type Zone,
} from '../../../test/support/dns-server.ts';
import { createDnsClient, type DnsLimits } from './index.ts';

// SPF and DMARC through the client against name servers that lie: a verdict within bounds, and never a pass that the truth
// does not give.

/** The truth: nobody may send for victim.test, and its DMARC policy is reject. */
const truth: Zone = {
  'victim.test': { TXT: ['v=spf1 -all'] },
  '_dmarc.victim.test': { TXT: ['v=DMARC1; p=reject'] },
};

/** An answer that would let everybody pass. */
const passing = (answer: DnsMessage): DnsMessage => ({
  ...answer,
  rcode: 0,
  authorities: [],
  answers: answer.questions.map(({ name, type }) => ({
    name,
    type: dnsTypes.TXT,
    class: 1,
    ttl: 60,
    data: {
      kind: 'txt',
      strings: [Buffer.from(/^_dmarc/i.test(name) ? 'v=DMARC1; p=none' : `v=spf1 +all ${type}`.slice(0, 11))],
    },
  })),
});
const forged = (change: (answer: DnsMessage) => DnsMessage): Lie => ({
  change: (answer) => change(passing(answer)),
});

const forgeries: Readonly<Record<string, Lie>> = {
  'another id': forged((answer) => ({ ...answer, id: answer.id ^ 0x8000 })),
  'a question, not an answer': forged((answer) => ({ ...answer, isResponse: false })),
  'another opcode': forged((answer) => ({ ...answer, opcode: 4 })),
  'another name': forged((answer) => ({
    ...answer,
    questions: answer.questions.map((question) => ({ ...question, name: `x.${question.name}` })),
  })),
  'another type': forged((answer) => ({
    ...answer,
    questions: answer.questions.map((question) => ({ ...question, type: dnsTypes.A })),
  })),
  'another class': forged((answer) => ({
    ...answer,
    questions: answer.questions.map((question) => ({ ...question, class: 3 })),
  })),
  'two questions': forged((answer) => ({ ...answer, questions: [...answer.questions, ...answer.questions] })),
  'the right question, records for other names': forged((answer) => ({
    ...answer,
    answers: answer.answers.map((record) => ({ ...record, name: `x.${record.name}` })),
    authorities: [],
  })),
  'records of another class': forged((answer) => ({
    ...answer,
    answers: answer.answers.map((record) => ({ ...record, class: 3 })),
  })),
};

interface Verdicts {
  readonly spf: string;
  readonly dmarc: string;
  readonly policy: string | null;
  readonly asked: number;
}

const verdicts = async (
  options: DnsServerOptions,
  limits: Partial<DnsLimits>,
  domain = 'victim.test',
): Promise<Verdicts> => {
  const server = await startDnsServer(options);
  const dns = createDnsClient({
    resolvers: [server.endpoint],
    trustAd: false,
    clock: systemClock,
    random: systemRandom,
    limits,
  });
  try {
    const spf = await checkSpf({
      dns,
      ip: '192.0.2.66',
      helo: 'evil.test',
      mailFrom: `ceo@${domain}`,
      receiver: 'mx.fengni.test',
      nowMs: 0,
    });
    const dmarc = await checkDmarc({ dns, from: [domain], spf, dkim: [] });
    return { spf: spf.result, dmarc: dmarc.result, policy: dmarc.policy, asked: server.queries.length };
  } finally {
    dns.close();
    await server.stop();
  }
};

const patient = { attemptMs: 5_000, roundsMax: 1 };

test('a forged answer before the true one changes nothing (RFC 5452 §3)', async () => {
  for (const [name, lie] of Object.entries(forgeries)) {
    // These two fit the question: they are answers without the records that were asked for, and say that there are none.
    const isEmpty = /records/.test(name);
    const told = await verdicts({ zone: truth, lie: () => (isEmpty ? lie : [lie, 'truth']) }, patient);
    assert.deepEqual(
      [told.spf, told.dmarc, told.policy],
      isEmpty ? ['none', 'none', null] : ['fail', 'fail', 'reject'],
      name,
    );
  }
});

test('forged answers alone make temperror', async () => {
  for (const [name, lie] of Object.entries(forgeries)) {
    if (/records/.test(name)) continue;
    const told = await verdicts({ zone: truth, lie: () => lie }, { attemptMs: 40, roundsMax: 1 });
    assert.deepEqual([told.spf, told.dmarc, told.policy], ['temperror', 'temperror', null], name);
  }
});

test('servers that are silent, refuse, cut, garble or loop make temperror', async () => {
  const loop: Lie = {
    change: (answer) => ({
      ...answer,
      rcode: 0,
      authorities: [],
      answers: answer.questions.map(({ name }) => ({
        name,
        type: dnsTypes.CNAME,
        class: 1,
        ttl: 60,
        data: { kind: 'name', name },
      })),
    }),
  };
  const lies: readonly Lie[] = ['truncate-always', 'garbage', loop];
  for (const lie of lies) {
    const told = await verdicts({ zone: truth, lie: () => lie }, patient);
    assert.deepEqual([told.spf, told.dmarc, told.policy], ['temperror', 'temperror', null], String(lie));
  }
  const silent = await verdicts({ lie: () => 'drop' }, { attemptMs: 40, roundsMax: 1 });
  assert.deepEqual([silent.spf, silent.dmarc], ['temperror', 'temperror']);
  for (const fault of ['SERVFAIL', 'REFUSED'] as const) {
    const told = await verdicts(
      { zone: { 'victim.test': { fault }, '_dmarc.victim.test': { fault } } },
      patient,
    );
    assert.deepEqual([told.spf, told.dmarc], ['temperror', 'temperror'], fault);
  }
});

test('64 kB of TXT, of records or of one record, is read within bounds and never passes', async () => {
  const dmarc = { '_dmarc.victim.test': { TXT: [`v=DMARC1; p=reject; x=${'y'.repeat(60_000)}`] } };
  const cases: readonly [Zone, string, string][] = [
    [
      { 'victim.test': { TXT: [`v=spf1 ${'ip4:192.0.2.66 '.repeat(4_000)}-all`] }, ...dmarc },
      'permerror',
      'permerror',
    ],
    [
      {
        'victim.test': { TXT: Array.from({ length: 2_500 }, () => 'v=spf1 +all') },
        '_dmarc.victim.test': { TXT: Array.from({ length: 2_000 }, () => 'v=DMARC1; p=none') },
      },
      'permerror',
      'none',
    ],
    [{ 'victim.test': { TXT: Array.from({ length: 3_000 }, (_, index) => `x${index}`) } }, 'none', 'none'],
    [
      {
        'victim.test': {
          TXT: ['v=spf1 mx ptr -all'],
          MX: Array.from({ length: 2_500 }, (_, index) => [1, `m${index}.test`] as const),
        },
      },
      'permerror',
      'none',
    ],
  ];
  for (const [zone, spf, dmarcWord] of cases) {
    const told = await verdicts({ zone }, patient);
    assert.deepEqual([told.spf, told.dmarc], [spf, dmarcWord]);
    assert.ok(told.asked < 20, String(told.asked));
  }
});

test('a domain that answers every name with more includes is a permerror after 10 (RFC 7208 §4.6.4)', async () => {
  let count = 0;
  const more: Lie = {
    change: (answer) => ({
      ...passing(answer),
      answers: passing(answer).answers.map((record) => ({
        ...record,
        data: {
          kind: 'txt',
          strings: [Buffer.from(`v=spf1 include:i${++count}.test include:j${count}.test +all`)],
        },
      })),
    }),
  };
  const told = await verdicts({ lie: ({ name }) => (/^_dmarc/i.test(name) ? 'truth' : more) }, patient);
  assert.equal(told.spf, 'permerror');
  assert.ok(told.asked <= 11 + 2, String(told.asked));
});
