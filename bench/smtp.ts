/**
 * Mail in by SMTP: `fengni serve` beside Postfix + Dovecot, in turns on the same disk. bench/README.md says how to repeat and read it.
 *
 *     npm run bench -- smtp [--auth] [--quick] [--record]
 *       [--sizes 2048,50000,1048576] [--sessions 1,10,50,200] [--tls none,starttls,implicit] [--connection many,one]
 *       [--signatures 1,5] [--rounds 1] [--seconds 2] [--messages 20000] [--minutes 15] [--pipelining] [--peers postfix-dovecot] [--folder DIR] [--profile mx,writer]
 *
 * A round ends when every message that was answered with 250 is in the mailbox. Then all of them are read back, and the SHA-256 of each
 * original is compared: a row is printed only with its verified count, and a message that is missing or another ends the bench.
 */
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startFengni } from './peers/fengni.ts';
import type { Peer } from './peers/peer.ts';
import { startPostfixDovecot } from './peers/postfix-dovecot.ts';
import { profileSummary } from './support/profile-summary.ts';
import { type SignedLoad, startSignedLoad } from './support/signed-load.ts';
import { type Cell, CouldNot, fixed, runRound, sum, syncMs, Tally } from './support/smtp-round.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    auth: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    sizes: { type: 'string' },
    sessions: { type: 'string' },
    tls: { type: 'string', default: 'none,starttls,implicit' },
    connection: { type: 'string', default: 'many,one' },
    signatures: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    minutes: { type: 'string', default: '15' },
    messages: { type: 'string', default: '20000' },
    pipelining: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'postfix-dovecot' },
    folder: { type: 'string', default: os.tmpdir() },
    profile: { type: 'string', default: '' },
  },
});
/** Few rows can have more time each. */
const isWhole = !values.quick && !values.auth && values.sizes === undefined;
const rounds = Number(values.rounds ?? (isWhole ? 1 : 2));
const secondsMax = Number(values.seconds ?? (isWhole ? 2 : 3));
const sizes = values.sizes ?? (values.auth ? '2048,50000' : '2048,50000,1048576');
const sessionCounts = values.sessions ?? (values.auth ? '10,50' : '1,10,50,200');
/** no row is begun after that */
const endsAt = performance.now() + Number(values.minutes) * 60_000;

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
  list(sizes).flatMap((sizeBytes) =>
    list(values.connection).flatMap((connection) =>
      list(values.tls).flatMap((tls) =>
        list(sessionCounts).map((sessions) => ({
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

const base = fs.mkdtempSync(path.join(values.folder, 'fengni-bench-smtp-'));
fs.chmodSync(base, 0o755);
const running: Peer[] = [];
let signed: SignedLoad | null = null;
const client = fork(path.join(import.meta.dirname, 'support/smtp-load.ts'), { serialization: 'advanced' });
let isStopping = false;
const stopAll = async (): Promise<void> => {
  if (isStopping) return;
  isStopping = true;
  client.removeAllListeners('exit');
  client.kill();
  for (const peer of running) await peer.stop();
  signed?.dns.kill();
};
process.on('exit', () => fs.rmSync(base, { recursive: true, force: true, maxRetries: 5 }));
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stopAll().finally(() => process.exit(3)));

const about = (): void => {
  tell(values.auth ? '# SMTP in, senders checked\n' : '# SMTP in\n');
  tell(
    `${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}, ${(os.totalmem() / 2 ** 30).toFixed(0)} GiB; load before: ${os.loadavg()[0]?.toFixed(1)}; disk of ${path.resolve(values.folder)}: fdatasync of 2 KB ${fixed(syncMs(base))} ms p50; ${rounds} rounds a server and row in turns, each at most ${secondsMax} s or ${values.messages} messages; ${values.pipelining ? 'PIPELINING' : 'one command at a time'}`,
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

const load = {
  client,
  seconds: secondsMax,
  messages: Number(values.messages),
  pipelining: values.pipelining,
};

/** What is compiled, opened and cached once is no part of what is measured. */
const warmUp = async (signed: SignedLoad | null): Promise<void> => {
  const cells: Cell[] = [
    { sizeBytes: 2_048, sessions: 50, tls: 'none', connection: 'many' },
    { sizeBytes: 50_000, sessions: 10, tls: 'starttls', connection: 'many' },
  ];
  for (const cell of cells) for (const peer of running) await runRound(load, peer, cell, new Tally());
  if (signed === null) return;
  const [cell] = cells;
  for (const peer of running)
    if (cell !== undefined) await runRound(load, peer, cell, new Tally(), { load: signed, signatures: 5 });
};

/** A server that cannot do a row says why, and is left alone with it; whatever was answered with 250 and is not there ends the bench. */
const turns = async (
  tallies: ReadonlyMap<Peer, readonly [Tally, ...unknown[]]>,
  run: (peer: Peer) => Promise<void>,
) => {
  const unable = new Map<Peer, string>();
  for (let turn = 0; turn < rounds; turn++)
    for (const peer of tallies.keys()) {
      if (unable.has(peer)) continue;
      try {
        await run(peer);
      } catch (error) {
        if (!(error instanceof CouldNot)) throw error;
        unable.set(peer, error.message);
      }
    }
  return unable;
};

const noteFaults = (row: string, peer: Peer, tally: Tally): void => {
  if (tally.faults.size === 0) return;
  const faults = [...tally.faults].map(([what, times]) => `${times} × ${what}`).join('; ');
  notes.push(`${row}, ${peer.name}: ${faults}`);
};
const noteRoles = (row: string, ours: Tally): void => {
  const roles = [...ours.byProcess]
    .filter(([, ms]) => ms / ours.messages >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([name, ms]) => `${name} ${fixed(ms / ours.messages)}`);
  notes.push(`${row}, Fengni’s CPU ms/msg by role: ${roles.join(', ')}`);
};
const mean = (of: readonly number[]): string => (sum(of) / of.length).toFixed(2);

const measure = async (cell: Cell): Promise<void> => {
  const tallies = new Map(running.map((peer) => [peer, [new Tally()]] as const));
  const sync = syncMs(base);
  const unable = await turns(tallies, (peer) =>
    runRound(load, peer, cell, tallies.get(peer)?.[0] ?? new Tally()),
  );
  const cells: string[] = [String(cell.sizeBytes), String(cell.sessions), cell.tls, cell.connection];
  const row = cells.join(' ');
  for (const [peer, [tally]] of tallies) {
    noteFaults(row, peer, tally);
    const why = unable.get(peer);
    if (why !== undefined) {
      notes.push(`${row}, ${peer.name}: ${why}`);
      cells.push('could not', '', '', '', String(tally.messages));
      continue;
    }
    const accepted = fixed(tally.acceptedPerSecond);
    const stored = fixed(tally.perSecond);
    cells.push(
      accepted === stored ? stored : `${stored} (${accepted})`,
      fixed(tally.cpuMsEach),
      fixed(tally.delay(0.5)),
      fixed(tally.delay(0.99)),
      String(tally.messages),
    );
  }
  const able = [...tallies].map(([peer, [tally]]) => (unable.has(peer) ? null : tally));
  const [ours = null, theirs = null] = able;
  if (running.length > 1) {
    const isBoth = ours !== null && theirs !== null;
    cells.push(
      isBoth ? fixed(ours.perSecond / theirs.perSecond) : '',
      isBoth ? fixed(theirs.cpuMsEach / ours.cpuMsEach) : '',
    );
  }
  cells.push(
    ...(ours === null ? ['', ''] : goalText(goalOf(cell), ours, theirs, sync)),
    mean(able.flatMap((tally) => tally?.otherCores ?? [])),
    os.loadavg()[0]?.toFixed(1) ?? '',
  );
  tell(`| ${cells.join(' | ')} |`);
  if (ours !== null) noteRoles(row, ours);
};

/** DESIGN §6 and the share of the rate that is to be left. */
const checkedGoal = { cpuMs: 1, share: 0.6 };

const checkedHeader = (): void => {
  const columns = ['octets', 'signatures', 'sessions'];
  for (const { name } of running)
    columns.push(
      `${name} msg/s checked`,
      'unchecked',
      'share',
      'CPU ms/msg checked',
      'unchecked',
      'p50 ms',
      'p99 ms',
      'verified, all passed',
    );
  if (running.length > 1) columns.push('rate ×', 'CPU ÷');
  columns.push('goal', 'reached', 'other CPU, cores', 'load');
  tell(`| ${columns.join(' | ')} |\n|${' --- |'.repeat(columns.length)}`);
};

/** Signed mail of a sender whom DNS knows, and as many octets without signatures that nobody is asked about, in turns. */
const measureChecked = async (
  signed: SignedLoad,
  sizeBytes: number,
  sessions: number,
  signatures: number,
) => {
  const cell: Cell = { sizeBytes, sessions, tls: 'none', connection: 'many' };
  const whole = sizeBytes + (await signed.sizeOf(signatures));
  const unsigned: Cell = { ...cell, sizeBytes: whole };
  const tallies = new Map(running.map((peer) => [peer, [new Tally(), new Tally()]] as const));
  const unable = await turns(tallies, async (peer) => {
    const [checked, unchecked] = tallies.get(peer) ?? [];
    if (checked === undefined || unchecked === undefined) return;
    await runRound(load, peer, unsigned, unchecked);
    await runRound(load, peer, cell, checked, { load: signed, signatures });
  });
  const cells: string[] = [String(whole), String(signatures), String(sessions)];
  const row = `${whole} octets, ${signatures} signatures, ${sessions} sessions`;
  for (const [peer, [checked, unchecked]] of tallies) {
    noteFaults(row, peer, checked);
    noteFaults(`${row}, unchecked`, peer, unchecked);
    const why = unable.get(peer);
    if (why !== undefined) {
      notes.push(`${row}, ${peer.name}: ${why}`);
      cells.push('could not', '', '', '', '', '', '', String(checked.messages));
      continue;
    }
    cells.push(
      fixed(checked.perSecond),
      fixed(unchecked.perSecond),
      `${((100 * checked.perSecond) / unchecked.perSecond).toFixed(0)} %`,
      fixed(checked.cpuMsEach),
      fixed(unchecked.cpuMsEach),
      fixed(checked.delay(0.5)),
      fixed(checked.delay(0.99)),
      String(checked.messages),
    );
  }
  const able = [...tallies].map(([peer, pair]) => (unable.has(peer) ? null : pair));
  const [ours = null, theirs = null] = able;
  if (running.length > 1) {
    const isBoth = ours !== null && theirs !== null;
    cells.push(
      isBoth ? fixed(ours[0].perSecond / theirs[0].perSecond) : '',
      isBoth ? fixed(theirs[0].cpuMsEach / ours[0].cpuMsEach) : '',
    );
  }
  if (ours === null) cells.push('', '');
  else {
    const share = ours[0].perSecond >= checkedGoal.share * ours[1].perSecond;
    const cpu = ours[0].cpuMsEach <= checkedGoal.cpuMs;
    cells.push(
      `≥ ${100 * checkedGoal.share} %${sizeBytes === 2_048 ? `, ≤ ${checkedGoal.cpuMs} ms` : ''}`,
      [share, ...(sizeBytes === 2_048 ? [cpu] : [])].map((isMet) => (isMet ? 'yes' : 'no')).join(', '),
    );
    noteRoles(`${row}, checked`, ours[0]);
    noteRoles(`${row}, unchecked`, ours[1]);
  }
  cells.push(
    mean(able.flatMap((pair) => (pair ?? []).flatMap(({ otherCores }) => otherCores))),
    os.loadavg()[0]?.toFixed(1) ?? '',
  );
  tell(`| ${cells.join(' | ')} |`);
};

const checkedRows = async (signed: SignedLoad): Promise<void> => {
  checkedHeader();
  for (const sizeBytes of values.quick ? ['2048'] : list(sizes))
    for (const sessions of values.quick ? ['50'] : list(sessionCounts))
      for (const signatures of list(values.signatures ?? '1,5')) {
        const isOver = performance.now() > endsAt;
        if (isOver) notes.push(`${sizeBytes} octets, ${sessions} sessions: not run, the time was over`);
        else await measureChecked(signed, Number(sizeBytes), Number(sessions), Number(signatures));
      }
};

const plainRows = async (): Promise<void> => {
  header();
  for (const cell of values.quick ? quick : chosen()) {
    const row = `${cell.sizeBytes} ${cell.sessions} ${cell.tls} ${cell.connection}`;
    if (performance.now() > endsAt) notes.push(`${row}: not run, the time was over`);
    else await measure(cell);
  }
};

const howChecked =
  'A message is signed before it is sent (RSA-2048, relaxed/relaxed; with several signatures two of the author’s domain, two of a provider, one of a list); who sends is said by XCLIENT once a connection, so that SPF, the reverse name and DMARC concern an address that is not loopback, and DNS answers from a process of its own on loopback, kept by all for its TTL. Unchecked: as many octets without a signature, of a peer whose address says nothing (Fengni), without milters (Postfix). Checked messages are read back with Authentication-Results, where SPF, DMARC and every signature must have passed; one that did not ends the bench.';

try {
  about();
  const fengniFolder = path.join(base, 'fengni');
  fs.mkdirSync(fengniFolder);
  signed = values.auth ? await startSignedLoad() : null;
  const resolver = signed?.resolver ?? null;
  running.push(
    await startFengni(fengniFolder, list(values.profile), resolver === null ? null : `${resolver}:53`),
  );
  for (const name of list(values.peers)) {
    if (name === 'none') continue;
    if (name !== 'postfix-dovecot') throw new Error(`no such peer: ${name}`);
    const folder = path.join(base, name);
    fs.mkdirSync(folder);
    const peer = await startPostfixDovecot(folder, resolver);
    if ('couldNotRun' in peer)
      tell(`\n**Postfix + Dovecot could not run**: ${peer.couldNotRun}. No ratio is given.`);
    else running.push(peer);
  }
  await warmUp(signed);
  tell('');
  if (signed === null) await plainRows();
  else await checkedRows(signed);
  tell(
    '\nA rate counts until the last message lies in the mailbox (accepted: until the last 250). p50 and p99 are from the first octet of a message’s content to its 250. CPU is that of all processes of a server, from before the first connection to 0.7 s after the last message: utime + stime + cutime + cstime of /proc over their process trees, so that short-lived children count. Verified: read back after each round (Fengni over IMAP, Maildir as files), the SHA-256 of every acknowledged original found once.\n',
  );
  if (signed !== null) tell(`${howChecked}\n`);
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
      `smtp${values.auth ? '-auth' : ''}-${new Date().toISOString().slice(0, 10)}.md`,
    );
    fs.writeFileSync(file, `${lines.join('\n')}\n`);
    process.stderr.write(`${file}\n`);
  }
} finally {
  await stopAll();
}
process.exit(0);
