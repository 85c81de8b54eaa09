/**
 * A mailbox with a past: how much the log grows by flag changes, what snapshots add, and how long recovery, rebuild and a server's start
 * take with them and without.
 *
 *     npm run bench -- history [--messages 100000] [--changes 1000000] [--folder DIR] [--no-start] [--record]
 *
 * CPU counts all threads of a process. The line above the table says what SHA-256 of 64 KiB costs in the same run: 39 µs on a quiet machine
 * of this kind; where it is more, everything is.
 */
import { spawn } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { removeProjections } from '#app/control';
import { utf8 } from '#base/bytes';
import { createMessageParser, createMessageSealer } from '#services/mailstore';
import { addAccount, addDomain, type Writer, type WriterOptions } from '#services/writer';
import { nodeIo } from '#store/durable';
import { sha256 } from '#store/segments';
import { services } from '../src/app/config/services.ts';
import { openStore } from '../test/faults/store-machine.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    changes: { type: 'string', default: '1000000' },
    folder: { type: 'string', default: os.tmpdir() },
    octets: { type: 'string', default: '2048' },
    'no-start': { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const messages = Number(values.messages);
const changes = Number(values.changes);
const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};
const load = (): string => (os.loadavg()[0] ?? 0).toFixed(1);
const data = fs.mkdtempSync(path.join(values.folder, 'fengni-history-'));

const octetsIn = (name: string): number =>
  fs
    .readdirSync(path.join(data, name))
    .reduce((sum, file) => sum + fs.statSync(path.join(data, name, file)).size, 0);

const timed = async <T>(work: () => Promise<T>): Promise<{ value: T; s: number; cpuS: number }> => {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { value, s: (performance.now() - start) / 1_000, cpuS: (user + system) / 1e6 };
};

const open = async (writer: Partial<WriterOptions> = {}) => {
  // With heads, as a server makes them: what a start reads of the log begins at the newest one.
  const opened = await openStore({ io: nodeIo, folder: data, heads: true, writer });
  if (opened.kind === 'refused') throw opened.error;
  return opened;
};

const letter = utf8(
  `Subject: a letter\r\nFrom: peer@example.org\r\nTo: ann@fengni.test\r\nMessage-ID: <x@y>\r\n\r\n${randomBytes(Number(values.octets)).toString('base64').replace(/.{76}/g, '$&\r\n')}`,
).subarray(0, Number(values.octets));
const parsed = (() => {
  const parser = createMessageParser();
  parser.write(letter);
  return parser.end();
})();

const append = async (writer: Writer, account: string, mailbox: string): Promise<void> => {
  const sealer = createMessageSealer(nodeIo.random);
  await sealer.write(letter);
  await sealer.complete();
  const message = sealer.seal({
    kind: 'added',
    evidence: { env: utf8(''), ses: utf8('protocol IMAP\n'), aut: utf8('') },
    prefix: new Uint8Array(0),
    rcp: sha256(new Uint8Array(0)),
    parsed,
  });
  const outcome = await writer.append({ account, mailbox, message, flags: [], dateMs: null, origin: '' });
  if (outcome.kind !== 'done') throw new Error(`append: ${outcome.kind}`);
};

/** `count` jobs, `atOnce` at a time. */
const pipelined = async (
  count: number,
  atOnce: number,
  job: (number: number) => Promise<unknown>,
): Promise<void> => {
  let next = 0;
  const line = async (): Promise<void> => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, line));
};

/** CPU µs of a block, which says how much of the machine others have */
const sha = (): string => {
  const block = Buffer.alloc(65_536, 7);
  const cpu = process.cpuUsage();
  for (let round = 0; round < 300; round++) hash('sha256', block);
  return (process.cpuUsage(cpu).user / 300).toFixed(0);
};

const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
tell(
  `# A mailbox with a past\n\n${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Node ${process.version}; load before: ${load()}, SHA-256 of 64 KiB ${sha()} µs; ${messages} messages of ${values.octets} octets, ${changes} flag changes\n`,
);

const never = { snapshotChangesMin: Number.MAX_SAFE_INTEGER };
let store = await open(never);
await store.writer.queue.submit(addDomain('fengni.test'));
const added = await store.writer.queue.submit(addAccount('ann@fengni.test'));
if (added.kind !== 'done') throw new Error('no account');
const { account } = added;
const inbox = store.writer.index.mailboxByName(account, 'INBOX')?.id ?? '';
const filled = await timed(() => pipelined(messages, 200, () => append(store.writer, account, inbox)));
tell(`Filled in ${fixed(filled.s)} s (${fixed((1_000 * filled.cpuS) / messages)} ms CPU a message).\n`);

/** Every change changes something: a pass over all messages sets a flag, the next one takes it away. */
let made = 0;
const changeNext = async (writer: Writer): Promise<void> => {
  const number = made++;
  const outcome = await writer.changeFlags({
    account,
    mailbox: inbox,
    uids: String(1 + ((number * 7_919) % messages)),
    mode: Math.floor(number / messages) % 2 === 0 ? 'add' : 'remove',
    flags: ['\\Seen'],
    origin: '',
  });
  if (outcome.kind !== 'done' || outcome.uids === '') throw new Error(`change ${number}: ${outcome.kind}`);
};
const changeRange = async (writer: Writer, first: number, last: number, round: number): Promise<void> => {
  const mode = round % 2 === 0 ? 'add' : 'remove';
  const uids = `${first}:${last}`;
  const outcome = await writer.changeFlags({
    account,
    mailbox: inbox,
    uids,
    mode,
    flags: ['\\Flagged'],
    origin: '',
  });
  if (outcome.kind !== 'done' || outcome.uids !== uids) throw new Error(`range ${uids}: ${outcome.kind}`);
};

tell('| flag changes | octets of log each | CPU ms each |');
tell('| --- | --- | --- |');
const growth = async (
  what: string,
  count: number,
  perChange: number,
  work: () => Promise<void>,
): Promise<void> => {
  const before = octetsIn('segments');
  const { cpuS } = await timed(work);
  const grown = octetsIn('segments') - before;
  tell(`| ${what} | ${fixed(grown / count / perChange)} | ${fixed((1_000 * cpuS) / count / perChange)} |`);
};
await growth('one by one', 500, 1, () => pipelined(500, 1, () => changeNext(store.writer)));
await growth('50 pipelined', 5_000, 1, () => pipelined(5_000, 50, () => changeNext(store.writer)));
const range = Math.min(1_000, messages);
await growth(`ranges of ${range}`, 50, range, () =>
  pipelined(50, 1, (at) => changeRange(store.writer, 1, range, at)),
);
await store.stop();

store = await open();
const before = octetsIn('segments');
const past = await timed(() => pipelined(changes, 500, () => changeNext(store.writer)));
const snapshots = store.writer.index.snapshotFrames(account).length;
await store.stop();
tell(
  `\n${changes} changes, 500 pipelined, snapshots on: ${fixed((octetsIn('segments') - before) / changes)} octets of log each, ${fixed((1_000 * past.cpuS) / changes)} ms CPU each, ${snapshots} SNAP frames in the newest snapshot. The log has ${fixed(octetsIn('segments') / 1e6)} MB.\n`,
);

tell('| | s | CPU s | messages/s of CPU | MB/s of CPU |');
tell('| --- | --- | --- | --- | --- |');
const mb = (): number => octetsIn('segments') / 1e6;
const row = (what: string, { s, cpuS }: { s: number; cpuS: number }): void =>
  tell(`| ${what} | ${fixed(s)} | ${fixed(cpuS)} | ${fixed(messages / cpuS)} | ${fixed(mb() / cpuS)} |`);
const start = async (what: string, options: Partial<WriterOptions>): Promise<string> => {
  const opened = await timed(() => open({ ...never, ...options }));
  row(what, opened);
  const dump = sha256(utf8([...opened.value.writer.index.dump()].join('\n')));
  await opened.value.stop();
  return Buffer.from(dump).toString('hex');
};
const dumps = [await start('start: recovery alone', {})];
removeProjections(data);
dumps.push(await start('rebuild from snapshots', {}));
removeProjections(data);
dumps.push(await start('rebuild without snapshots', { useSnapshots: false }));
if (new Set(dumps).size !== 1) throw new Error('the dumps differ');
tell('\nThe three dumps are the same.');

/** `fengni serve` on this folder until it says `ready`: milliseconds, and CPU of all its processes. */
const serve = async (): Promise<{ ms: number; cpuMs: number; byRole: string }> => {
  const toml = path.join(data, '..', `${path.basename(data)}.toml`);
  const listen = Object.entries(services).map(([name, { isBuilt }]) =>
    isBuilt ? `[listen.${name}]\nport = 0\n` : '',
  );
  fs.writeFileSync(toml, `${listen.join('')}[authentication]\nexempt = ["127.0.0.0/8"]\n`);
  const started = performance.now();
  const child = spawn(
    path.join(import.meta.dirname, '../fengni'),
    ['serve', '--config', toml, '--data', data],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (said: Buffer) => {
      if (/^ready$/m.test(said.toString())) resolve();
    });
    child.once('exit', (status) => reject(new Error(`serve ended with ${status}`)));
  });
  const ms = performance.now() - started;
  const roles: [string, number][] = [];
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = fs
        .readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      if (Number(fields[1]) !== child.pid && Number(pid) !== child.pid) continue;
      const role =
        /fengni: (\w+)/.exec(fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1'))?.[1] ?? 'supervisor';
      roles.push([role, 10 * (Number(fields[11]) + Number(fields[12]))]);
    } catch {
      // It ended meanwhile.
    }
  }
  const gone = new Promise((resolve) => child.removeAllListeners('exit').once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
  fs.rmSync(toml);
  return {
    ms,
    cpuMs: roles.reduce((sum, [, each]) => sum + each, 0),
    byRole: roles.map(([role, each]) => `${role} ${each}`).join(', '),
  };
};

if (!values['no-start']) {
  tell('\n`fengni serve` to `ready`, the second start and four more on this folder:\n');
  tell('| ms | CPU ms | of which |');
  tell('| --- | --- | --- |');
  await serve();
  for (let round = 0; round < 5; round++) {
    const { ms, cpuMs, byRole } = await serve();
    tell(`| ${fixed(ms)} | ${cpuMs} | ${byRole} |`);
  }
}
tell(`\nSHA-256 of 64 KiB: ${sha()} µs. Load after: ${load()}.`);
if (values.record) {
  const file = path.join(
    import.meta.dirname,
    'results',
    `history-${new Date().toISOString().slice(0, 10)}.md`,
  );
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
}
if (values.keep) process.stderr.write(`${data}\n`);
else fs.rmSync(data, { recursive: true });
