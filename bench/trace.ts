/**
 * How long "fengni trace" takes with 180 days of history: messages in an index, refused attempts beside it.
 *
 *     npm run bench -- trace [--messages 500000] [--attempts 500000] [--folder DIR] [--record]
 *
 * The index is made of rows as the log would give them, `trace.db` from the index as a first start does, `attempts.db` with rows as the
 * writer puts them. Each question is asked by the command itself, in this process, three times; the slowest counts. CPU counts all threads.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { utf8 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import { createTraceFeed } from '#services/trace';
import { idOf, type LogEvent } from '#store/index';
import { openSqliteDirectory, openSqliteIndex, openSqliteTrace } from '#store/sqlite';
import type { TraceEvent } from '#store/trace';
import { dataFormat } from '../src/services/integrity/verify-folder.ts';
import { cli } from '../test/support/cli.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '500000' },
    attempts: { type: 'string', default: '500000' },
    folder: { type: 'string', default: os.tmpdir() },
    record: { type: 'boolean', default: false },
  },
});
const messages = Number(values.messages);
const attempts = Number(values.attempts);
const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};

const data = fs.mkdtempSync(path.join(values.folder, 'fengni-trace-'));
const nowMs = Date.now();
const spanMs = 180 * 86_400_000;
const file = (name: string): string => path.join(data, name);
const cpuS = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
};
const megabytes = (name: string): string => `${(fs.statSync(file(name)).size / 1e6).toFixed(0)} MB`;

/** Numbers that look random and are the same every time. */
let state = 1;
const random = (below: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const hex = (length: number): string => {
  let text = '';
  while (text.length < length)
    text += random(2 ** 31)
      .toString(16)
      .padStart(8, '0');
  return text.slice(0, length);
};
const base32 = (length: number): string =>
  Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz234567'[random(32)]).join('');

// 200 accounts; senders of 20,000 domains, one of which sends every tenth message.
const accounts = 200;
const domains = 20_000;
const sender = (): string =>
  random(10) === 0 ? `news${random(5)}@big.example` : `u${random(50)}@d${random(domains)}.example`;
const peer = (): string => `${10 + random(90)}.${random(256)}.${random(256)}.${random(256)}`;

const makeIndex = (): void => {
  const index = openSqliteIndex(file('index.db'), { readOnly: false });
  const directory = openSqliteDirectory(file('state.db'), { readOnly: false });
  const key = (slot: number) => ({ epoch: 1, slot });
  const at = { segment: 1, offset: 512, lengthBytes: 4_096 };
  const events: LogEvent[] = [];
  let seq = 0;
  const flush = (): void => {
    index.apply(events.splice(0), seq);
  };
  const rows: LogEvent[] = [
    { type: 'row', seq: 1, table: 'domain', key: 'fengni.test', value: {}, rowKey: null },
  ];
  for (let account = 0; account < accounts; account++) {
    seq += 1;
    rows.push({
      type: 'row',
      seq,
      table: 'account',
      key: `p${account}@fengni.test`,
      value: {
        id: idOf('a', account + 1),
        address: `p${account}@fengni.test`,
        createdMs: 1,
        disabled: false,
        passwordVersion: 1,
      },
      rowKey: key(seq),
    });
    events.push({
      type: 'state',
      seq,
      account: idOf('a', account + 1),
      key: key(seq),
      mailbox: idOf('m', account + 1),
      modSeq: seq,
      actor: '',
      timeMs: nowMs - spanMs,
      change: { op: 'create', name: 'INBOX', role: null, uidValidity: account + 1, subscribed: true },
    });
  }
  directory.apply(rows, seq);
  directory.close();
  for (let n = 0; n < messages; n++) {
    const timeMs = Math.floor(nowMs - spanMs + (n / messages) * spanMs);
    const from = sender();
    const account = random(accounts);
    const messageSeq = ++seq;
    const [local = '', domain = ''] = from.split('@');
    const sha256Hex = hex(64);
    const id = base32(26);
    events.push({
      type: 'message',
      seq: messageSeq,
      at,
      key: key(seq),
      id,
      kind: 'received',
      timeMs,
      leafIndex: n,
      sha256Hex,
      sizeBytes: 2_000 + random(50_000),
      parsed: {
        envelope: utf8(
          `(NIL "s" ((NIL NIL "${local}" "${domain}")) NIL NIL NIL NIL NIL NIL "<${n}.${hex(12)}@${domain}>")`,
        ),
        bodyStructure: utf8('("text" "plain" NIL NIL NIL "7bit" 5 1)'),
        body: utf8('("text" "plain" NIL NIL NIL "7bit" 5 1)'),
        structure: new Uint8Array(20),
        threadKeys: [],
        preview: '',
      },
    });
    seq += 1;
    events.push({
      type: 'deliver',
      seq,
      at,
      key: key(seq),
      account: idOf('a', account + 1),
      messageSeq,
      emailId: idOf('e', seq),
      threadId: idOf('t', seq),
      address: `p${account}@fengni.test`,
      prefix: utf8(
        `Return-Path: <${from}>\r\nDelivered-To: p${account}@fengni.test\r\nReceived: from mx.${domain} ([${peer()}]) by mail.fengni.test with ESMTPS (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384) id ${id}; x\r\n`,
      ),
      mailbox: idOf('m', account + 1),
      uid: n + 1,
      modSeq: seq,
      dateMs: timeMs,
      flags: [],
      uidl: '0',
    });
    if (events.length >= 4_000) flush();
  }
  flush();
  index.close();
};

const makeTrace = async (): Promise<void> => {
  const index = openSqliteIndex(file('index.db'), { readOnly: false });
  const store = openSqliteTrace(file('trace.db'), { readOnly: false });
  const cpu = process.cpuUsage();
  const feed = createTraceFeed({ store, index, logger: silentLogger });
  await feed.settle();
  const used = cpuS(cpu);
  tell(
    `trace.db made from the index: ${used.toFixed(1)} s CPU, ${((used / messages) * 1e6).toFixed(0)} µs a message, ${megabytes('trace.db')} (index.db ${megabytes('index.db')})`,
  );
  feed.stop();
  store.close();
  index.close();
};

const makeAttempts = (): void => {
  const store = openSqliteTrace(file('attempts.db'), { readOnly: false });
  const cpu = process.cpuUsage();
  const events: TraceEvent[] = [];
  for (let n = 0; n < attempts; n++) {
    const from = sender();
    events.push({
      seq: n + 1,
      timeMs: Math.floor(nowMs - spanMs + (n / attempts) * spanMs),
      kind: 'refused',
      id: null,
      sha256Hex: random(5) === 0 ? hex(64) : null,
      sizeBytes: null,
      mailFrom: from,
      author: random(5) === 0 ? from : null,
      messageId: random(5) === 0 ? `${hex(12)}@${from.split('@')[1]}` : null,
      peer: peer(),
      port: random(65_536),
      reverse: null,
      helo: 'spam.example',
      protocol: 'ESMTP',
      tls: null,
      recipients: [{ address: `x${random(100_000)}@fengni.test`, account: null, emailSeq: null, key: null }],
      recipientCount: 1,
      key: null,
      refusal: {
        stage: 'rcpt',
        code: 550,
        enhanced: '5.1.1',
        text: 'No such mailbox here',
        reason: 'recipient-unknown',
        session: `s-${n >> 2}`,
        dayCount: Math.floor((n / attempts) * 180),
      },
    });
    if (events.length >= 200 || n === attempts - 1) store.put(events.splice(0), [], 0);
  }
  const used = cpuS(cpu);
  store.close();
  tell(
    `attempts.db in reports of 200: ${((used / attempts) * 1e6).toFixed(0)} µs CPU an attempt, ${megabytes('attempts.db')}`,
  );
};

const ask = async (name: string, words: readonly string[]): Promise<void> => {
  let [slowestMs, mostCpuMs, count] = [0, 0, 0];
  for (let round = 0; round < 3; round++) {
    const cpu = process.cpuUsage();
    const begun = performance.now();
    const { stdout, stderr, status } = await cli(['trace', ...words, '--json', '--data', data]);
    if (status > 1) throw new Error(stderr);
    slowestMs = Math.max(slowestMs, performance.now() - begun);
    mostCpuMs = Math.max(mostCpuMs, cpuS(cpu) * 1_000);
    count = (JSON.parse(stdout) as { found: unknown[] }).found.length;
  }
  tell(`| ${name} | ${count} | ${slowestMs.toFixed(0)} | ${mostCpuMs.toFixed(0)} |`);
};

const main = async (): Promise<void> => {
  fs.writeFileSync(file('FORMAT'), dataFormat);
  tell(
    `${messages} messages and ${attempts} refused attempts over 180 days; ${process.version}, ${os.cpus()[0]?.model ?? ''}, load ${(os.loadavg()[0] ?? 0).toFixed(1)}`,
  );
  tell('');
  makeIndex();
  await makeTrace();
  makeAttempts();
  const index = openSqliteIndex(file('index.db'), { readOnly: true });
  const middle = index.messages(messages, 1)[0];
  const [email] = middle === undefined ? [] : index.emailsOfMessage(middle.seq);
  const envelope =
    index.texts([email?.emailSeq ?? 0]).get(email?.emailSeq ?? 0)?.envelope ?? new Uint8Array(0);
  index.close();
  if (middle === undefined || email === undefined) throw new Error('a message in the middle');
  const from = /^Return-Path: <(.*)>/.exec(Buffer.from(email.prefix).toString())?.[1] ?? '';
  const host = /\(\[(.*?)\]\)/.exec(Buffer.from(email.prefix).toString())?.[1] ?? '';
  const messageId = /"(<.*>)"\)$/.exec(Buffer.from(envelope).toString())?.[1] ?? '';
  tell('');
  tell('| question | found | slowest, ms | CPU, ms |');
  tell('| --- | ---: | ---: | ---: |');
  await ask('sender', [from]);
  await ask('sender, of a domain that sends a tenth', ['from:news1@big.example']);
  await ask('domain of a tenth', ['big.example']);
  await ask('own domain: every row', ['fengni.test']);
  await ask('recipient', ['to:p7@fengni.test']);
  await ask('sender and recipient', [`from:${from}`, `to:${email.address}`]);
  await ask('frequent sender and recipient, one day', ['from:news1@big.example', 'to:p7@fengni.test', '30d']);
  await ask('frequent sender and a recipient who has nothing of it', [
    'from:big.example',
    'to:nobody@fengni.test',
  ]);
  await ask('id', [middle.id]);
  await ask('beginning of a hash', [`hash:${middle.sha256Hex.slice(0, 8)}`]);
  await ask('Message-ID', [messageId]);
  await ask('peer', [host]);
  await ask('network /8', ['10.0.0.0/8']);
  await ask('a day', [new Date(nowMs - spanMs / 2).toISOString().slice(0, 10)]);
  await ask('code that none has, all time', ['code:5.7.1', 'since:200d']);
  await ask('a user: all of its own', ['--as', 'p7@fengni.test', '200d']);
  await ask('a user: a sender', ['--as', 'p7@fengni.test', 'big.example']);
  await ask('nothing', ['absent@nowhere.example']);
  const begun = performance.now();
  const root = path.resolve(import.meta.dirname, '..');
  const { status } = spawnSync(path.join(root, 'fengni'), ['trace', from, '--data', data], {
    encoding: 'utf8',
  });
  tell('');
  tell(
    `The whole command, from the shell: ${(performance.now() - begun).toFixed(0)} ms (exit status ${status}).`,
  );
  if (values.record)
    fs.writeFileSync(
      path.join(import.meta.dirname, `results/trace-${new Date().toISOString().slice(0, 10)}.md`),
      `# trace\n\n${lines.join('\n')}\n`,
    );
};

try {
  await main();
} finally {
  fs.rmSync(data, { recursive: true, force: true });
}
