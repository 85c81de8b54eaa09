import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#base/clock';
import { silentLogger } from '#base/logger';
import { createCounters, withLimitLog } from '#net/connection';
import { createHistogram, delayBounds, type Gathered, type RoleSample } from '#net/metrics';
import { pop3ServerCounters } from '#net/pop3';
import { smtpServerCounters } from '#net/smtp-in';
import { pop3Counters } from '#protocols/pop3';
import { smtpCounters } from '#protocols/smtp';
import { parseMetrics } from '../../../test/support/metrics-text.ts';
import { expose } from './expose.ts';
import { askedForm, createExposition } from './exposition.ts';
import { type FamilyName, families, labelValues, shownAs } from './families.ts';

const process = {
  cpuUserSeconds: 1.5,
  cpuSystemSeconds: 0.25,
  residentBytes: 50_000_000,
  startedSeconds: 1_700_000_000,
  eventLoopDelay: createHistogram(delayBounds).sample(),
};
const role = (more: Partial<RoleSample> = {}): RoleSample => ({
  process,
  counters: {},
  sessions: {},
  ...more,
});

const gathered = (): Gathered => {
  const sync = createHistogram([0.001, 0.01]);
  for (const seconds of [0.000_5, 0.001, 0.005, 3]) sync.observe(seconds);
  return {
    version: '1.0 "x"\\\n',
    roles: [
      {
        role: 'mx',
        restarts: 2,
        sample: role({
          counters: {
            'smtp-session': 7,
            'smtp-session-refused-full': 1,
            'smtp-tls-TLSv1.3': 5,
            'smtp-octets': 9_000,
            'smtp-reply-2xx': 40,
            'smtp-message-accepted': 3,
            'smtp-size': 2,
            'smtp-size-declared': 1,
            'smtp-new-of-tomorrow': 1,
          },
          sessions: { smtp: 4 },
        }),
      },
      { role: 'access', restarts: 0, sample: null },
      {
        role: 'writer',
        restarts: 0,
        sample: role({
          writer: {
            groups: 5,
            frames: 20,
            leaves: 9,
            waiting: 1,
            late: 0,
            overloaded: 0,
            sync: sync.sample(),
            sealer: 'signing',
            sealedLeaves: 9,
            headAgeSeconds: 0.5,
          },
        }),
      },
    ],
    supervisor: process,
    disk: { freeBytes: 10, sizeBytes: 100, isNearlyFull: true },
    pickup: { waiting: 1, held: 2 },
  };
};

const meaning = (name: FamilyName): string => `about "${name}" \\ and more`;

test('the text is what both formats allow, and has what was gathered', () => {
  for (const form of ['prometheus', 'openmetrics'] as const) {
    const all = parseMetrics(expose(gathered()).text(form, meaning), form);
    const family = (name: string) => all.get(form === 'openmetrics' ? name.replace(/_total$/, '') : name);
    const value = (name: string, labels: Record<string, string> = {}): number | undefined =>
      family(name)?.samples.find((sample) =>
        Object.entries(labels).every(([label, wanted]) => sample.labels[label] === wanted),
      )?.value;
    assert.equal(value('fengni_sessions_total', { protocol: 'smtp' }), 7);
    assert.equal(value('fengni_sessions_refused_total', { reason: 'full' }), 1);
    assert.equal(value('fengni_tls_handshakes_total', { version: 'TLSv1.3' }), 5);
    assert.equal(value('fengni_limits_total', { limit: 'size' }), 2);
    assert.equal(value('fengni_events_total', { event: 'new-of-tomorrow' }), 1);
    assert.equal(value('fengni_role_up', { role: 'access' }), 0);
    assert.equal(value('fengni_role_up', { role: 'mx' }), 1);
    assert.equal(value('fengni_role_restarts_total', { role: 'mx' }), 2);
    assert.equal(value('fengni_disk_nearly_full'), 1);
    assert.equal(value('fengni_pickup_messages', { state: 'held' }), 2);
    assert.deepEqual(
      family('fengni_writer_sync_seconds')?.samples.map((sample) => sample.value),
      [2, 3, 4, 3.006_5, 4],
    );
    assert.deepEqual(
      family('fengni_process_cpu_seconds_total')?.samples.map(({ labels }) => labels['role']),
      ['mx', 'mx', 'writer', 'writer', 'supervisor', 'supervisor'],
    );
  }
});

test('the parser of this test refuses what the formats do not allow', () => {
  const good = '# HELP a b\n# TYPE a counter\na{x="1"} 1\n';
  parseMetrics(good, 'prometheus');
  for (const bad of [
    good.slice(0, -1),
    `${good}${good}`,
    `${good}a{x="1"} 2\n`,
    good.replace(' 1\n', ' one\n'),
    good.replace(' 1\n', ' -1\n'),
    good.replace('x="1"', 'x="1",x="2"'),
    good.replace('x="1"', 'x="\\q"'),
    good.replace('# TYPE a counter\n', ''),
    '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    '# HELP h b\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
  ])
    assert.throws(() => parseMetrics(bad, 'prometheus'), bad);
});

test('OpenMetrics for who asks for it, the older text for everybody else (RFC 9110 §12.5.1)', () => {
  assert.equal(askedForm(''), 'prometheus');
  assert.equal(askedForm('text/plain;version=0.0.4;q=0.5,*/*;q=0.1'), 'prometheus');
  assert.equal(askedForm('application/openmetrics-text;version=1.0.0,text/plain;q=0.5'), 'openmetrics');
  assert.equal(askedForm('text/html, application/openmetrics-text'), 'openmetrics');
  assert.equal(askedForm('application/openmetrics-textual'), 'prometheus');
});

test('labels that are the same are one series', () => {
  const to = createExposition();
  to.add('fengni_sessions_total', 1, { protocol: 'smtp' });
  to.add('fengni_sessions_total', 2, { protocol: 'smtp' });
  assert.match(to.text('prometheus', meaning), /\nfengni_sessions_total\{protocol="smtp"\} 3\n$/);
});

const known: ReadonlySet<string> = new Set(Object.values(labelValues).flat());

/** Counters of the code, from their tables and, where there is none, from the calls. */
const counted = (): string[] => {
  const names = [smtpCounters, smtpServerCounters, pop3Counters, pop3ServerCounters].flatMap((table) =>
    Object.keys(table),
  );
  const root = path.resolve(import.meta.dirname, '../../..');
  for (const folder of ['src/net', 'src/protocols', 'src/services', 'src/app'])
    for (const name of fs.readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (
        name.startsWith('exposition/') ||
        name === 'connection/limits.ts' ||
        !name.endsWith('.ts') ||
        /\.(?:test|bench|fuzz)\.ts$/.test(name)
      )
        continue;
      const text = fs.readFileSync(path.join(root, folder, name), 'utf8');
      for (const [, counter = ''] of text.matchAll(/'((?:smtp|imap|pop3|http|auth)-[a-z][a-z0-9-]+)'/g))
        names.push(counter);
    }
  return [...new Set(names)];
};

/** Words of the source that look like counters and are none. */
const otherWords = /^imap-(?:login|reply)?$|^(?:smtp|imap|pop3|http)-(?:local|in|session|server)$|^auth-/;

test('everything that the code counts has its family, and every value of a label its meaning in both languages', () => {
  const missing = counted().filter((name) => {
    const { family, labels } = shownAs(name);
    assert.deepEqual(Object.keys(labels), [...families[family].labels], name);
    const value = labels['limit'] ?? labels['kind'] ?? labels['event'];
    return value !== undefined && !known.has(value) && !otherWords.test(name);
  });
  assert.deepEqual(missing, [], 'add it to families.ts and to src/base/text/{en,zh}/metrics.ts');
  assert.ok(counted().length > 90);
});

/** Limits that are settings, and what each counts when a peer meets it. */
const limitRows: Readonly<Record<string, readonly string[]>> = {
  'a command line': ['smtp-line-too-long', 'smtp-line-endless', 'pop3-line-too-long', 'imap-line-too-long'],
  recipients: ['smtp-too-many-recipients'],
  'errors and commands that do nothing': [
    'smtp-too-many-errors',
    'smtp-too-many-idle-commands',
    'pop3-too-many-errors',
    'pop3-too-many-commands',
  ],
  'sessions of an address': [
    ...['smtp', 'pop3'].flatMap((protocol) =>
      ['too-many-sessions', 'too-many-a-second', 'full'].map((why) => `${protocol}-session-refused-${why}`),
    ),
    'smtp-proxy-refused',
    'pop3-proxy-refused',
    'http-proxy-refused',
  ],
  time: ['smtp-timeout', 'pop3-timeout', 'imap-timed-out', 'imap-login-timed-out', 'imap-stalled'],
  size: ['smtp-size-declared', 'smtp-size', 'smtp-endless-data'],
  hops: ['smtp-loop'],
  'unknown recipients and relaying': [
    'smtp-recipient-unknown',
    'smtp-recipient-disabled',
    'smtp-relay-refused',
  ],
  'room on the disk': ['smtp-disk-nearly-full'],
  'other protocols': ['smtp-http', 'smtp-tls-on-plain', 'imap-http-refused', 'imap-tls-hello-refused'],
  'a literal': ['imap-literal-too-big'],
  'sessions of an account': ['imap-account-sessions-refused'],
  'wrong passwords': ['auth-slowed', 'auth-overloaded'],
};

test('every limit that a peer can meet is counted by the code, shown as a limit or a refusal, and said in the log', () => {
  // put together from two words where they are counted
  const composed = ['imap-line-too-long'];
  const names = new Set([...counted(), ...composed]);
  for (const [row, counters] of Object.entries(limitRows))
    for (const counter of counters) {
      assert.ok(names.has(counter) || counter.startsWith('pop3-session'), `${row}: nobody counts ${counter}`);
      assert.match(shownAs(counter).family, /^fengni_(?:limits|sessions_refused)_total$/, counter);
      const lines: string[] = [];
      const log = { ...silentLogger, warn: (event: string) => void lines.push(event) };
      withLimitLog(createCounters(), log, systemClock).count(counter);
      assert.deepEqual(lines, ['limit met'], counter);
    }
});
