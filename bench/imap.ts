/**
 * Reading as people's programs do it, beside Dovecot (Maildir and sdbox) in the same run: IMAP, POP3, IDLE.
 *
 *     npm run bench -- imap pop3 idle flat [--count 10000] [--size 4096] [--rounds 3] [--sessions 5000] [--pushes 200]
 *                                          [--peers fengni,maildir,sdbox] [--folder DIR] [--prepared DIR] [--record]
 *                                          [--profile access,writer]
 *
 * `imap` alone does IMAP; `pop3`, `idle` and `flat` are added by name (`npm run bench -- pop3` does that alone). `flat` is what must not
 * grow with the mailbox: SELECT, a change of flags, a message that arrives and how soon it is heard of. The servers take turns, each with
 * the same messages, put in by APPEND, or made before by `npm run bench -- prepare` (`--prepared`). Results are verified: every message that is read whole by its SHA-256, the others by their number.
 * CPU is that of all processes of the server; the client is this process and shares the cores.
 */
import { hash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cpuOf, machineCpu } from './peers/peer.ts';
import { type ReadingPeer, startDovecotReading, startFengniReading } from './peers/reading-peer.ts';
import { preparedIn, wholeMessage } from './support/filled-folder.ts';
import { firstField, type LoadMessages, loadMessages } from './support/load-message.ts';
import { profileSummary } from './support/profile-summary.ts';
import { WireClient } from './support/wire-client.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '10000' },
    size: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '5000' },
    pushes: { type: 'string', default: '200' },
    peers: { type: 'string', default: 'fengni,maildir,sdbox' },
    folder: { type: 'string', default: os.tmpdir() },
    record: { type: 'boolean', default: false },
    only: { type: 'boolean', default: false },
    prepared: { type: 'string' },
    profile: { type: 'string', default: '' },
  },
});
const prepared = values.prepared === undefined ? null : preparedIn(values.prepared, values.peers.split(','));
const count = prepared?.count ?? Number(values.count);
const sizeBytes = prepared?.sizeBytes ?? Number(values.size);
const rounds = Number(values.rounds);
const wanted = new Set(values.only ? positionals : ['imap', ...positionals]);

const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};
const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

const cpuMs = (peer: ReadingPeer): number => [...cpuOf(peer.pids).values()].reduce((sum, ms) => sum + ms, 0);

/** What a process used passes to its parent when it ends; in between it is nobody's. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

/** A server that has just started may still be catching up with what was put into its folder while it did not run. */
const quiet = async (peer: ReadingPeer): Promise<void> => {
  const end = performance.now() + 180_000;
  for (let calm = 0; calm < 3 && performance.now() < end; ) {
    const before = cpuMs(peer);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    calm = cpuMs(peer) - before < 50 ? calm + 1 : 0;
  }
};

/** One row: how long `work` takes for `operations`, the best of the rounds. */
const row = async (
  peer: ReadingPeer,
  what: string,
  operations: number,
  work: () => Promise<void>,
  times = rounds,
): Promise<void> => {
  let best = { ms: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY, other: 0 };
  for (let round = 0; round < times; round++) {
    await settled();
    const [cpu, machine, own, start] = [cpuMs(peer), machineCpu(), process.cpuUsage(), performance.now()];
    await work();
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(own);
    const machineAfter = machineCpu();
    await settled();
    const used = cpuMs(peer) - cpu;
    const other = machineAfter - machine - used - (user + system) / 1_000;
    if (ms < best.ms) best = { ms, cpu: used, other: other / ms };
  }
  const each = `${shown((best.cpu * 1_000) / operations)}`;
  tell(
    `| ${what} | ${peer.name} | ${shown((operations / best.ms) * 1_000)} | ${shown(best.ms / operations)} | ${each} | ${shown(Math.max(0, best.other))} |`,
  );
};

const logIn = async (peer: ReadingPeer, user = peer.users[0], secure = true): Promise<WireClient> => {
  const client = await WireClient.connect(secure ? peer.imaps : (peer.imap ?? 0), secure ? peer.ca : null);
  await client.ask('l', `LOGIN ${user} "${peer.password}"`);
  return client;
};

const selected = async (peer: ReadingPeer, user = peer.users[0], secure = true): Promise<WireClient> => {
  const client = await logIn(peer, user, secure);
  await client.ask('s', 'SELECT INBOX');
  return client;
};

const assertIs = (what: string, got: number, expected: number): void => {
  if (got !== expected) throw new Error(`${what}: ${got} instead of ${expected}`);
};

/** Appends messages of these numbers, one after the other, each after its OK. */
const append = async (
  client: WireClient,
  mailbox: string,
  messages: LoadMessages,
  numbers: Iterable<number>,
): Promise<void> => {
  for (const number of numbers) {
    const octets = wholeMessage(messages, number);
    client.send(
      Buffer.concat([
        Buffer.from(`a APPEND ${mailbox} {${octets.length}+}\r\n`),
        octets,
        Buffer.from('\r\n'),
      ]),
    );
    const reply = await client.until((line) => line.startsWith('a '));
    if (!reply.startsWith('a OK')) throw new Error(reply);
  }
};

/** From the load's first field on: what a server puts above is not of the original. */
const originalHash = (message: Buffer): string => {
  const start = message.indexOf(firstField);
  return hash('sha256', start < 0 ? message : message.subarray(start));
};

const fill = async (peer: ReadingPeer, messages: LoadMessages): Promise<void> => {
  const sessions = await Promise.all(Array.from({ length: 10 }, () => logIn(peer)));
  let next = 1;
  function* numbers(): Generator<number> {
    while (next <= count) yield next++;
  }
  await row(
    peer,
    'APPEND, 10 sessions',
    count,
    async () =>
      void (await Promise.all(sessions.map((client) => append(client, 'INBOX', messages, numbers())))),
    1,
  );
  for (const client of sessions) client.close();
};

const imap = async (peer: ReadingPeer, messages: LoadMessages): Promise<void> => {
  const expected = new Set(Array.from({ length: count }, (_, at) => messages.sha256(at + 1)));
  await row(peer, 'LOGIN and SELECT on a new TLS connection', 20, async () => {
    for (let time = 0; time < 20; time++) (await selected(peer)).close();
  });
  const client = await selected(peer);
  const fetch = async (on: WireClient, what: string, isRight: (line: string) => boolean): Promise<void> => {
    let right = 0;
    await on.ask('f', `FETCH 1:* ${what}`, (line) => {
      if (/^\* \d+ FETCH/.test(line) && isRight(line)) right += 1;
    });
    assertIs(what, right, count);
  };
  await row(peer, 'FETCH 1:* FLAGS', count, () =>
    fetch(client, '(FLAGS)', (line) => line.includes('FLAGS (')),
  );
  const summary = '(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)';
  await row(peer, 'FETCH 1:* ENVELOPE BODYSTRUCTURE …', count, () =>
    fetch(client, summary, (line) => line.includes('@load.example>"') && line.includes('BODYSTRUCTURE (')),
  );
  const bodies = async (on: WireClient): Promise<void> => {
    const left = new Set(expected);
    await on.ask('b', 'FETCH 1:* (BODY.PEEK[])', (_line, literal) => {
      if (literal !== null) left.delete(originalHash(literal));
    });
    assertIs('messages that are not what was sent', left.size, 0);
  };
  await row(peer, 'FETCH 1:* BODY.PEEK[], TLS', count, () => bodies(client));
  if (peer.imap === null)
    tell(`| FETCH 1:* BODY.PEEK[], plain | ${peer.name} | no log-in without TLS | | | |`);
  else {
    const plain = await selected(peer, peer.users[0], false);
    await row(peer, 'FETCH 1:* BODY.PEEK[], plain', count, () => bodies(plain));
    plain.close();
  }
  const flagged = async (): Promise<number> => {
    let found = 0;
    await client.ask('q', 'SEARCH FLAGGED', (line) => {
      if (line.startsWith('* SEARCH')) found = line.split(' ').length - 2;
    });
    return found;
  };
  const many = Math.min(200, count);
  const change = (time: number): string => (time % 2 === 0 ? '+FLAGS' : '-FLAGS');
  let time = 0;
  await row(peer, 'STORE, one by one', many, async () => {
    const mode = change(time++);
    for (let at = 1; at <= many; at++) await client.ask('t', `STORE ${at} ${mode} (\\Flagged)`);
    assertIs('flagged', await flagged(), mode === '+FLAGS' ? many : 0);
  });
  await client.ask('t', 'STORE 1:* -FLAGS.SILENT (\\Flagged)');
  const more = Math.min(1_000, count);
  time = 0;
  await row(peer, 'STORE, 50 pipelined', more, async () => {
    const mode = change(time++);
    for (let from = 1; from <= more; from += 50) {
      const to = Math.min(more, from + 49);
      let commands = '';
      for (let at = from; at <= to; at++) commands += `p${at} STORE ${at} ${mode} (\\Flagged)\r\n`;
      client.send(commands);
      await client.until((line) => line.startsWith(`p${to} OK`));
    }
    assertIs('flagged', await flagged(), mode === '+FLAGS' ? more : 0);
  });
  await client.ask('t', 'STORE 1:* -FLAGS.SILENT (\\Flagged)');
  time = 0;
  await row(peer, 'STORE 1:*', count, async () => {
    const mode = change(time++);
    await client.ask('r', `STORE 1:* ${mode} (\\Flagged)`);
    assertIs('flagged', await flagged(), mode === '+FLAGS' ? count : 0);
  });
  client.close();
  const one = await logIn(peer);
  // a prepared folder may have it from the last time
  await one.ask('c', 'DELETE Bench').catch(() => {});
  await one.ask('c', 'CREATE Bench');
  const few = Math.min(300, count);
  await row(peer, 'APPEND, 1 session', few, () =>
    append(
      one,
      'Bench',
      messages,
      Array.from({ length: few }, (_, at) => at + 1),
    ),
  );
  one.close();
};

/** messages of a maildrop that are taken */
const retrMax = 10_000;

const pop3 = async (peer: ReadingPeer, messages: LoadMessages): Promise<void> => {
  const taken = Math.min(count, retrMax);
  const expected = new Set(Array.from({ length: taken }, (_, at) => messages.sha256(at + 1)));
  await row(
    peer,
    'POP3 RETR, one after the other, TLS',
    taken,
    async () => {
      const client = await WireClient.connect(peer.pop3s, peer.ca, false);
      const ok = async (command: string): Promise<void> => {
        client.send(`${command}\r\n`);
        const line = await client.until((each) => /^[+-]/.test(each));
        if (!line.startsWith('+OK')) throw new Error(`${command}: ${line}`);
      };
      await ok(`USER ${peer.users[0]}`);
      await ok(`PASS ${peer.password}`);
      const left = new Set(expected);
      for (let at = 1; at <= taken; at++) {
        await ok(`RETR ${at}`);
        let text = '';
        await client.until(
          (line) => line === '.',
          (line) => {
            text += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
          },
        );
        left.delete(originalHash(Buffer.from(text, 'latin1')));
      }
      assertIs('messages that are not what was sent', left.size, 0);
      await ok('QUIT');
      client.close();
    },
    1,
  );
};

/** Memory of all processes of the server, MB: what they share is counted once. */
const memoryMb = (peer: ReadingPeer): number => {
  const children = new Map<number, number[]>();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // ended meanwhile
    }
  }
  let kb = 0;
  const add = (pid: number): void => {
    try {
      kb += Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0);
    } catch {
      // ended meanwhile
    }
    for (const child of children.get(pid) ?? []) add(child);
  };
  for (const pid of peer.pids) add(pid);
  return kb / 1_024;
};

const existsIn = async (client: WireClient): Promise<number> => {
  let exists = 0;
  await client.ask('s', 'SELECT INBOX', (line) => {
    const found = /^\* (\d+) EXISTS/.exec(line)?.[1];
    if (found !== undefined) exists = Number(found);
  });
  return exists;
};

/** How soon an idle session of the same account hears of a message, from the OK of its APPEND on. */
const push = async (
  peer: ReadingPeer,
  messages: LoadMessages,
  user: string,
  times: number,
): Promise<{ at(part: number): string; cpuEachMs: number }> => {
  const watcher = await logIn(peer, user);
  const before = await existsIn(watcher);
  watcher.send('i IDLE\r\n');
  await watcher.until((line) => line.startsWith('+'));
  const sender = await logIn(peer, user);
  await settled();
  const cpu = cpuMs(peer);
  const pushes: number[] = [];
  for (let number = 1; number <= times; number++) {
    const seen = watcher
      .until((line) => line === `* ${before + number} EXISTS`)
      .then(() => performance.now());
    await append(sender, 'INBOX', messages, [number]);
    const answered = performance.now();
    pushes.push((await seen) - answered);
  }
  await settled();
  const cpuEachMs = (cpuMs(peer) - cpu) / times;
  for (const client of [watcher, sender]) client.close();
  const sorted = pushes.toSorted((a, b) => a - b);
  return {
    at: (part) =>
      shown(Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0)),
    cpuEachMs,
  };
};

/** What must not grow with the mailbox. The server has just started: the first SELECT finds nothing in memory. */
const flat = async (peer: ReadingPeer, messages: LoadMessages): Promise<string> => {
  const timed = async (times: number, work: () => Promise<void>): Promise<{ ms: number; cpu: number }> => {
    await settled();
    const [cpu, start] = [cpuMs(peer), performance.now()];
    await work();
    const ms = (performance.now() - start) / times;
    await settled();
    return { ms, cpu: (cpuMs(peer) - cpu) / times };
  };
  await quiet(peer);
  const client = await logIn(peer);
  let exists = 0;
  const cold = await timed(1, async () => {
    exists = await existsIn(client);
  });
  assertIs('messages', exists, count);
  const warm = await timed(20, async () => {
    for (let time = 0; time < 20; time++) assertIs('messages', await existsIn(client), count);
  });
  const changes = Math.min(200, count);
  const store = await timed(2 * changes, async () => {
    for (const mode of ['+FLAGS', '-FLAGS'])
      for (let at = 0; at < changes; at++) await client.ask('t', `STORE ${count - at} ${mode} (\\Flagged)`);
  });
  const arrivals = 100;
  const { at, cpuEachMs } = await push(peer, messages, peer.users[0], arrivals);
  // as it was before, for the next time
  await existsIn(client);
  await client.ask('d', `STORE ${count + 1}:* +FLAGS.SILENT (\\Deleted)`);
  await client.ask('e', 'EXPUNGE');
  client.close();
  return `| ${peer.name} | ${count} | ${shown(cold.ms)} | ${shown(cold.cpu)} | ${shown(warm.ms)} | ${shown(warm.cpu)} | ${shown(store.ms)} | ${shown(store.cpu)} | ${shown(cpuEachMs)} | ${at(0.5)} | ${at(0.99)} |`;
};

const idle = async (peer: ReadingPeer, messages: LoadMessages): Promise<string> => {
  const sessions = Number(values.sessions);
  const before = memoryMb(peer);
  const start = performance.now();
  const idling: WireClient[] = [];
  const open = async (user: string): Promise<WireClient> => {
    const client = await selected(peer, user);
    client.send('i IDLE\r\n');
    await client.until((line) => line.startsWith('+'));
    return client;
  };
  while (idling.length < sessions) {
    const some = Math.min(20, sessions - idling.length);
    idling.push(...(await Promise.all(Array.from({ length: some }, () => open(peer.users[0])))));
  }
  const openedMs = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const memory = memoryMb(peer) - before;
  const { at, cpuEachMs: pushCpu } = await push(peer, messages, peer.users[1], Number(values.pushes));
  for (const client of idling) client.close();
  return `| ${peer.name} | ${sessions} | ${shown(openedMs / sessions)} | ${shown((memory * 1_024) / sessions)} | ${at(0.5)} | ${at(0.99)} | ${shown(pushCpu)} |`;
};

const starts: Readonly<Record<string, (folder: string) => Promise<ReadingPeer | { couldNotRun: string }>>> = {
  fengni: (folder) => startFengniReading(folder, values.profile === '' ? [] : values.profile.split(',')),
  maildir: (folder) => startDovecotReading(folder, 'Maildir'),
  sdbox: (folder) => startDovecotReading(folder, 'sdbox'),
};

tell(
  `# Reading over IMAP and POP3\n\n${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}; load before: ${os.loadavg()[0]?.toFixed(1)}; ${count} messages of ${sizeBytes} octets, best of ${rounds} rounds\n`,
);
if (['imap', 'pop3'].some((each) => wanted.has(each)) || prepared === null)
  tell(
    '| what | server | a second | ms each | server CPU µs each | cores used by others |\n| --- | --- | --- | --- | --- | --- |',
  );
const idleRows: string[] = [];
const flatRows: string[] = [];
const abouts: string[] = [];
for (const name of values.peers.split(',')) {
  const start = starts[name];
  if (start === undefined) throw new Error(`no peer ${name}: ${Object.keys(starts).join(', ')}`);
  const folder =
    values.prepared === undefined
      ? fs.mkdtempSync(path.join(values.folder, `fengni-bench-${name}-`))
      : path.join(values.prepared, name);
  let peer = await start(folder);
  if ('couldNotRun' in peer) {
    tell(`| | ${name} | could not run: ${peer.couldNotRun} | | | |`);
    continue;
  }
  try {
    abouts.push(peer.about);
    const messages = loadMessages(prepared?.tag ?? 'r1', peer.users[0], sizeBytes);
    if (prepared === null) {
      await fill(peer, messages);
      if (wanted.has('flat')) {
        await peer.stop();
        const again = await start(folder);
        if ('couldNotRun' in again) throw new Error(again.couldNotRun);
        peer = again;
      }
    }
    if (wanted.has('flat')) flatRows.push(await flat(peer, messages));
    if (wanted.has('imap')) await imap(peer, messages);
    if (wanted.has('pop3')) await pop3(peer, messages);
    if (wanted.has('idle')) idleRows.push(await idle(peer, messages));
  } finally {
    await peer.stop();
    const profiles = path.join(folder, 'profiles');
    if (name === 'fengni' && values.profile !== '')
      for (const file of fs.readdirSync(profiles))
        process.stdout.write(`\n${profileSummary(path.join(profiles, file), 40)}\n`);
    if (values.prepared === undefined) fs.rmSync(folder, { recursive: true, force: true });
  }
}
if (flatRows.length > 0) {
  tell(
    '\nWhat must not grow with the mailbox; cold: the first SELECT of a server that has just started; APPEND with an idle session that hears of it:\n',
  );
  tell(
    '| server | messages | SELECT cold ms | CPU ms | SELECT warm ms | CPU ms | STORE ms | CPU ms | APPEND and push CPU ms | push p50 ms | p99 ms |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  );
  for (const each of flatRows) tell(each);
}
if (idleRows.length > 0) {
  tell('\nIDLE over TLS, each session with INBOX selected; from the OK of APPEND to the watcher’s EXISTS:\n');
  tell(
    '| server | sessions | ms to open one | kB each | push p50 ms | push p99 ms | CPU ms a push |\n| --- | --- | --- | --- | --- | --- | --- |',
  );
  for (const each of idleRows) tell(each);
}
tell(`\nLoad after: ${os.loadavg()[0]?.toFixed(1)}.\n`);
for (const about of abouts) tell(`${about}\n`);
if (values.record) {
  const results = path.join(import.meta.dirname, 'results');
  const name = [...wanted, count].join('-');
  fs.writeFileSync(
    path.join(results, `${name}-${new Date().toISOString().slice(0, 10)}.md`),
    `${lines.join('\n')}\n`,
  );
}
process.exit(0);
