/**
 * Mail in by SMTP: `fengni serve` beside Postfix + Dovecot, in turns on the same disk. bench/README.md says how to repeat and read it.
 *
 *     npm run bench -- smtp [--quick] [--record]
 *       [--sizes 2048,50000,1048576] [--sessions 1,10,50,200] [--tls none,starttls] [--connection many,one]
 *       [--rounds 2] [--seconds 3] [--messages 20000] [--pipelining] [--peers postfix-dovecot] [--folder DIR] [--profile mx,writer]
 *
 * A round ends when every message that was answered with 250 is in the mailbox. Then all of them are read back, and the SHA-256 of each
 * original is compared: a row is printed only with its verified count, and a message that is missing or another ends the bench.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startFengni } from './peers/fengni.ts';
import { cpuOf, machineCpu, type Peer } from './peers/peer.ts';
import { startPostfixDovecot } from './peers/postfix-dovecot.ts';
import { loadMessages } from './support/load-message.ts';
import { profileSummary } from './support/profile-summary.ts';
import type { LoadResult, LoadTask } from './support/smtp-load.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    sizes: { type: 'string', default: '2048,50000,1048576' },
    sessions: { type: 'string', default: '1,10,50,200' },
    tls: { type: 'string', default: 'none,starttls,implicit' },
    connection: { type: 'string', default: 'many,one' },
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '3' },
    messages: { type: 'string', default: '20000' },
    pipelining: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'postfix-dovecot' },
    folder: { type: 'string', default: os.tmpdir() },
    profile: { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
/** after the last message: work that the answer did not wait for belongs to the messages too */
const settleMs = 700;
/** messages of a connection where it carries many: servers have limits */
const manyMessages = 1_000;
/** octets of one round at most: they are read back */
const roundBytesMax = 400 * 2 ** 20;

interface Cell {
  sizeBytes: number;
  sessions: number;
  tls: LoadTask['tls'];
  connection: 'one' | 'many';
}

interface Goal {
  rate: number;
  cpuMs: number;
  /** p50 ≤ two syncs and this */
  syncsAndMs?: number;
}

/** DESIGN §6 */
const goalOf = ({ sizeBytes, sessions, tls, connection }: Cell): Goal | null => {
  const of: Record<string, Goal> = {
    '2048 1 none many': { rate: 5, cpuMs: 1.4, syncsAndMs: 1 },
    '2048 10 none many': { rate: 12, cpuMs: 0.5 },
    '2048 50 none many': { rate: 20, cpuMs: 0.4 },
    '2048 200 none many': { rate: 18, cpuMs: 0.4 },
    '50000 50 none many': { rate: 8, cpuMs: 1 },
    '1048576 10 none many': { rate: 3, cpuMs: 8 },
    '2048 50 implicit one': { rate: 5, cpuMs: 2.4 },
    '2048 50 starttls one': { rate: 5, cpuMs: 2.4 },
  };
  return of[`${sizeBytes} ${sessions} ${tls} ${connection}`] ?? null;
};

const quick: Cell[] = [
  { sizeBytes: 2_048, sessions: 1, tls: 'none', connection: 'many' },
  { sizeBytes: 2_048, sessions: 10, tls: 'none', connection: 'many' },
  { sizeBytes: 2_048, sessions: 50, tls: 'none', connection: 'many' },
  { sizeBytes: 50_000, sessions: 50, tls: 'none', connection: 'many' },
  { sizeBytes: 1_048_576, sessions: 10, tls: 'none', connection: 'many' },
  { sizeBytes: 2_048, sessions: 50, tls: 'starttls', connection: 'one' },
];
const list = (text: string): string[] => text.split(',').filter((word) => word !== '');
const chosen = (): Cell[] =>
  list(values.sizes).flatMap((sizeBytes) =>
    list(values.connection).flatMap((connection) =>
      list(values.tls).flatMap((tls) =>
        list(values.sessions).map((sessions) => ({
          sizeBytes: Number(sizeBytes),
          sessions: Number(sessions),
          tls: tls as Cell['tls'],
          connection: connection as Cell['connection'],
        })),
      ),
    ),
  );

const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};
const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const at = (sorted: readonly number[] | Float64Array, share: number): number =>
  sorted[Math.floor(share * (sorted.length - 1))] ?? 0;

/** Rounds of one server in one cell. */
class Tally {
  messages = 0;
  connections = 0;
  /** until the last 250, and until the last was in the mailbox */
  acceptedMs = 0;
  deliveredMs = 0;
  cpuMs = 0;
  readonly byProcess = new Map<string, number>();
  /** CPU of whatever else ran, over the time: cores */
  otherCores: number[] = [];
  delaysMs: number[] = [];
  readonly faults = new Map<string, number>();

  get perSecond(): number {
    return (1_000 * this.messages) / this.deliveredMs;
  }
  get acceptedPerSecond(): number {
    return (1_000 * this.messages) / this.acceptedMs;
  }
  get cpuMsEach(): number {
    return this.cpuMs / this.messages;
  }
  delay(share: number): number {
    return at(
      this.delaysMs.sort((a, b) => a - b),
      share,
    );
  }
}

const sum = (of: Iterable<number>): number => [...of].reduce((total, each) => total + each, 0);
const asked = (client: ChildProcess, task: LoadTask): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the load program ended'));
    client.once('exit', ended);
    client.once('message', (result) => {
      client.off('exit', ended);
      resolve(result as LoadResult);
    });
    client.send(task);
  });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let roundNumber = 0;

const round = async (client: ChildProcess, peer: Peer, cell: Cell, tally: Tally): Promise<void> => {
  const port = peer.port(cell.tls);
  if (typeof port !== 'number') throw new Error(port.none);
  roundNumber += 1;
  const tag = `r${roundNumber}p${process.pid}`;
  const to = peer.address(tag);
  const messagesMax = Math.min(
    Number(values.messages),
    Math.max(cell.sessions, Math.floor(roundBytesMax / cell.sizeBytes)),
  );
  const cpuBefore = cpuOf(peer.pids);
  const machineBefore = machineCpu();
  const begun = performance.now();
  const result = await asked(client, {
    port,
    to,
    tag,
    sizeBytes: cell.sizeBytes,
    sessions: cell.sessions,
    messagesPerConnection: cell.connection === 'one' ? 1 : manyMessages,
    tls: cell.tls,
    pipelining: values.pipelining,
    messagesMax,
    secondsMax: Number(values.seconds),
  });
  const count = result.acknowledged.length;
  if (count === 0) throw new Error(`${peer.name} took no message: ${JSON.stringify(result.faults)}`);
  const deliveredMs = await peer.delivered(tag, count);
  await pause(settleMs);
  const tookMs = performance.now() - begun;
  const cpu = cpuOf(peer.pids);
  const machine = machineCpu() - machineBefore;
  let cpuMs = 0;
  for (const [name, used] of cpu) {
    const spent = used - (cpuBefore.get(name) ?? 0);
    // A process that ended took its time along into its parent's.
    tally.byProcess.set(name, (tally.byProcess.get(name) ?? 0) + spent);
    cpuMs += spent;
  }
  for (const [name, used] of cpuBefore) if (!cpu.has(name)) cpuMs -= used;

  const expected = new Set<string>();
  const messages = loadMessages(tag, to, cell.sizeBytes);
  for (const number of result.acknowledged) expected.add(messages.sha256(number));
  let strange = 0;
  for (const hash of await peer.readBack(tag)) if (!expected.delete(hash)) strange += 1;
  // A message whose 250 did not arrive may be there all the same; each of those was counted as a fault.
  const unanswered = sum(Object.values(result.faults));
  if (expected.size > 0 || strange > unanswered)
    throw new Error(
      `${peer.name}: ${expected.size} of ${count} acknowledged messages are missing or other octets, ${strange} are there that were not sent so or twice`,
    );

  tally.messages += count;
  tally.connections += result.connections;
  tally.acceptedMs += result.lastMs - result.beganMs;
  tally.deliveredMs += Math.max(deliveredMs, result.lastMs) - result.beganMs;
  // Fengni’s are there with their 250: its `delivered` comes a channel’s delay later.
  if (peer.name === 'Fengni') tally.deliveredMs = tally.acceptedMs;
  tally.cpuMs += cpuMs;
  tally.otherCores.push(Math.max(0, (machine - cpuMs - result.cpuMs) / tookMs));
  tally.delaysMs.push(...result.delaysMs);
  for (const [what, times] of Object.entries(result.faults))
    tally.faults.set(what, (tally.faults.get(what) ?? 0) + times);
};

/** fdatasync of a 2 KB append on the same disk, ms p50: what one message costs that waits for the disk once. */
const syncMs = (folder: string): number => {
  const file = path.join(folder, 'probe');
  const fd = fs.openSync(file, 'w');
  const block = Buffer.alloc(2_048, 1);
  const times = Array.from({ length: 100 }, () => {
    fs.writeSync(fd, block);
    const begun = performance.now();
    fs.fdatasyncSync(fd);
    return performance.now() - begun;
  });
  fs.closeSync(fd);
  fs.rmSync(file);
  return at(
    times.sort((a, b) => a - b),
    0.5,
  );
};

const base = fs.mkdtempSync(path.join(values.folder, 'fengni-bench-smtp-'));
fs.chmodSync(base, 0o755);
const running: Peer[] = [];
const client = fork(path.join(import.meta.dirname, 'support/smtp-load.ts'), { serialization: 'advanced' });
let isStopping = false;
const stopAll = async (): Promise<void> => {
  if (isStopping) return;
  isStopping = true;
  client.removeAllListeners('exit');
  client.kill();
  for (const peer of running) await peer.stop();
};
process.on('exit', () => fs.rmSync(base, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().finally(() => process.exit(3)));

const about = (): void => {
  tell('# SMTP in\n');
  tell(
    `${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB; load before: ${os.loadavg()[0]?.toFixed(1)}; disk of ${path.resolve(values.folder)}: fdatasync of 2 KB ${fixed(syncMs(base))} ms p50; ${rounds} rounds a server and row in turns, each at most ${values.seconds} s or ${values.messages} messages; ${values.pipelining ? 'PIPELINING' : 'one command at a time'}`,
  );
};

const header = (): void => {
  const columns = ['octets', 'sessions', 'TLS', 'messages a connection'];
  for (const { name } of running) {
    columns.push(`${name} msg/s (accepted)`, 'CPU ms/msg', 'p50 ms', 'p99 ms', 'verified');
  }
  if (running.length > 1) columns.push('rate ×', 'CPU ÷');
  columns.push('goal', 'reached', 'other CPU, cores', 'load');
  tell(`| ${columns.join(' | ')} |\n|${' --- |'.repeat(columns.length)}`);
};

const goalText = (goal: Goal | null, ours: Tally, theirs: Tally | null, sync: number): [string, string] => {
  if (goal === null) return ['', ''];
  const parts = [`≥ ${goal.rate} ×`, `≤ ${goal.cpuMs} ms`];
  const met = [
    theirs === null ? '?' : ours.perSecond >= goal.rate * theirs.perSecond ? 'yes' : 'no',
    ours.cpuMsEach <= goal.cpuMs ? 'yes' : 'no',
  ];
  if (goal.syncsAndMs !== undefined) {
    const limit = 2 * sync + goal.syncsAndMs;
    parts.push(`p50 ≤ 2 syncs + ${goal.syncsAndMs} ms (${fixed(limit)})`);
    met.push(ours.delay(0.5) <= limit ? 'yes' : 'no');
  }
  return [parts.join(', '), met.join(', ')];
};

const notes: string[] = [];

/** What is compiled, opened and cached once is no part of what is measured. */
const warmUp = async (): Promise<void> => {
  const cells: Cell[] = [
    { sizeBytes: 2_048, sessions: 50, tls: 'none', connection: 'many' },
    { sizeBytes: 50_000, sessions: 10, tls: 'starttls', connection: 'many' },
  ];
  for (const cell of cells) for (const peer of running) await round(client, peer, cell, new Tally());
};

const measure = async (cell: Cell): Promise<void> => {
  const tallies = new Map(running.map((peer) => [peer, new Tally()] as const));
  const sync = syncMs(base);
  for (let turn = 0; turn < rounds; turn++) {
    for (const [peer, tally] of tallies) await round(client, peer, cell, tally);
  }
  const [ours, theirs = null] = [...tallies.values()];
  if (ours === undefined) return;
  const cells: string[] = [String(cell.sizeBytes), String(cell.sessions), cell.tls, cell.connection];
  for (const [peer, tally] of tallies) {
    const accepted = fixed(tally.acceptedPerSecond);
    const stored = fixed(tally.perSecond);
    cells.push(
      accepted === stored ? stored : `${stored} (${accepted})`,
      fixed(tally.cpuMsEach),
      fixed(tally.delay(0.5)),
      fixed(tally.delay(0.99)),
      String(tally.messages),
    );
    if (tally.faults.size > 0)
      notes.push(
        `${cells.slice(0, 4).join(' ')}, ${peer.name}: ${[...tally.faults].map(([what, times]) => `${times} × ${what}`).join('; ')}`,
      );
  }
  if (theirs !== null)
    cells.push(fixed(ours.perSecond / theirs.perSecond), fixed(theirs.cpuMsEach / ours.cpuMsEach));
  const other = [...tallies.values()].flatMap(({ otherCores }) => otherCores);
  cells.push(
    ...goalText(goalOf(cell), ours, theirs, sync),
    (sum(other) / other.length).toFixed(2),
    os.loadavg()[0]?.toFixed(1) ?? '',
  );
  tell(`| ${cells.join(' | ')} |`);
  const roles = [...ours.byProcess]
    .filter(([, ms]) => ms / ours.messages >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([name, ms]) => `${name} ${fixed(ms / ours.messages)}`);
  notes.push(`${cells.slice(0, 4).join(' ')}, Fengni’s CPU ms/msg by role: ${roles.join(', ')}`);
};

try {
  about();
  const fengniFolder = path.join(base, 'fengni');
  fs.mkdirSync(fengniFolder);
  running.push(await startFengni(fengniFolder, list(values.profile)));
  for (const name of list(values.peers)) {
    if (name === 'none') continue;
    if (name !== 'postfix-dovecot') throw new Error(`no such peer: ${name}`);
    const folder = path.join(base, name);
    fs.mkdirSync(folder);
    const peer = await startPostfixDovecot(folder);
    if ('couldNotRun' in peer)
      tell(`\n**Postfix + Dovecot could not run**: ${peer.couldNotRun}. No ratio is given.`);
    else running.push(peer);
  }
  await warmUp();
  tell('');
  header();
  for (const cell of values.quick ? quick : chosen()) {
    const closed = running.map((peer) => peer.port(cell.tls)).find((port) => typeof port !== 'number');
    if (closed === undefined) await measure(cell);
    else if (!notes.includes(`${cell.tls}: not run. ${closed.none}.`))
      notes.push(`${cell.tls}: not run. ${closed.none}.`);
  }
  tell(
    '\nA rate counts until the last message lies in the mailbox (accepted: until the last 250). p50 and p99 are from the first octet of a message’s content to its 250. CPU is that of all processes of a server, from before the first connection to 0.7 s after the last message: utime + stime + cutime + cstime of /proc over their process trees, so that short-lived children count. Verified: read back after each round (Fengni over IMAP, Maildir as files), the SHA-256 of every acknowledged original found once.\n',
  );
  for (const note of notes) tell(`- ${note}`);
  for (const { name, about: text } of running) tell(`\n## ${name}\n\n${text}`);
  await stopAll();
  for (const role of list(values.profile)) {
    const file = path.join(fengniFolder, 'profiles', `${role}.cpuprofile`);
    process.stderr.write(fs.existsSync(file) ? `\n${profileSummary(file, 40)}` : `no profile of ${role}\n`);
  }
  if (values.record) {
    const file = path.join(
      import.meta.dirname,
      'results',
      `smtp-${new Date().toISOString().slice(0, 10)}.md`,
    );
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    process.stderr.write(`${file}\n`);
  }
} finally {
  await stopAll();
}
process.exit(0);
