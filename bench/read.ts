/**
 * Reading and verifying: what a message costs on its way out of the store, every octet decrypted and verified, and what `verify` costs.
 *
 * - `open`: every message of a mailbox, opened and read through `services/mailboxes`, in this process;
 * - `FETCH`: `UID FETCH 1:* BODY.PEEK[]` over a real IMAP connection, plain and by TLS, with a client in a process of its own that
 *   compares each message's SHA-256 with its `Fengni-Seal`;
 * - `verify`: every octet of segments and key files against its hashes, without a key; and `fengni verify` of the whole folder.
 *
 *     npm run bench -- read [--count 5000] [--sizes 4096] [--rounds 3] [--only open,fetch,verify] [--folder DIR] [--record]
 *
 * CPU is that of this process, libuv's threads included, the client's not. For a profile: `scripts/node26 --cpu-prof bench/read.ts`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { hash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock, systemRandom } from '#base/clock';
import { silentLogger } from '#base/logger';
import { type ImapLogin, ImapServer, ImapSession } from '#protocols/imap';
import { openAccessGate } from '#services/access';
import type { Login } from '#services/login';
import { createImapLogin } from '#services/mailboxes';
import { addAccount, addDomain } from '#services/writer';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import { checkSegments } from '#store/log';
import { openSqliteIndex } from '#store/sqlite';
import { openStore, verifyStore } from '../test/faults/store-machine.ts';
import { startImapLoopback } from '../test/support/imap-loopback.ts';
import { deliver, letter } from './support/letters.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '5000' },
    sizes: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'open,fetch,verify' },
    folder: { type: 'string', default: os.tmpdir() },
    record: { type: 'boolean', default: false },
  },
});
const count = Number(values.count);
const rounds = Number(values.rounds);
const wanted = new Set(values.only.split(','));
const address = 'ann@fengni.test';

const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};
const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** The best round counts: what is more than that is other work of the machine, or code that was not compiled yet. */
const measure = async (what: string, sizeBytes: number, work: () => Promise<number>): Promise<void> => {
  let best = { cpu: Number.POSITIVE_INFINITY, s: Number.POSITIVE_INFINITY };
  let octets = 0;
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    octets = await work();
    const { user, system } = process.cpuUsage(cpu);
    const s = (performance.now() - start) / 1_000;
    best = { cpu: Math.min(best.cpu, (user + system) / count), s: Math.min(best.s, s) };
  }
  const cells = [what, sizeBytes, best.cpu, count / best.s, octets / 1e6 / best.s];
  tell(`| ${cells.map((cell) => (typeof cell === 'number' ? fixed(cell) : cell)).join(' | ')} |`);
};

/** CPU µs for the SHA-256 of 64 KiB: what the machine's other work makes of a microsecond. About 39 where there is none. */
const yardstick = (): number => {
  const octets = randomBytes(65_536);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round++) {
    const cpu = process.cpuUsage();
    for (let each = 0; each < 50; each++) hash('sha256', octets);
    const { user, system } = process.cpuUsage(cpu);
    best = Math.min(best, (user + system) / 50);
  }
  return best;
};

const openAll = async (login: ImapLogin): Promise<number> => {
  const outcome = await login.verify({
    authorizationId: '',
    authenticationId: address,
    password: '',
    connection: { peer: { address: '::1', port: 1 }, tls: null },
  });
  if (outcome.kind !== 'granted') throw new Error('nobody may log in');
  const selected = await outcome.account.select('INBOX', true);
  if (selected.kind !== 'selected') throw new Error('no INBOX');
  const { mailbox } = selected;
  let octets = 0;
  const uids = [...mailbox.state.uids.subarray(0, mailbox.state.count)];
  if (uids.length !== count) throw new Error(`${uids.length} messages`);
  for await (const body of mailbox.openBodies(uids)) {
    if (body.kind !== 'found') throw new Error(`a message is ${body.kind}`);
    const { size } = body.structure;
    const atHand = body.readAtHand?.(0, size) ?? null;
    if (atHand !== null) for (const piece of atHand) octets += piece.length;
    else for await (const piece of body.read(0, size)) octets += piece.length;
    body.close();
  }
  mailbox.close();
  return octets;
};

/** The session alone over a socket, which it takes for a secure one: no password goes without TLS otherwise. */
const listenPlain = async (login: ImapLogin): Promise<{ port: number; close(): void }> => {
  const imap = new ImapServer({ login, log: silentLogger, count: () => {}, move: true });
  const server = net.createServer((socket) => {
    socket.setNoDelay(true);
    const session = new ImapSession(imap, {
      facts: { peer: { address: '127.0.0.1', port: 1 }, tls: null },
      secure: true,
      canStartTls: false,
      write: (octets) => (typeof octets === 'string' ? socket.write(octets, 'latin1') : socket.write(octets)),
      startTls: () => {},
      loggedIn: () => {},
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      end: () => socket.end(),
      destroy: () => socket.destroy(),
    });
    socket.on('data', (chunk: Buffer) => session.receive(chunk));
    socket.on('drain', () => session.drained());
    socket.on('close', () => session.closed());
    socket.on('error', () => {});
    session.greet();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as net.AddressInfo).port, close: () => server.close() };
};

/** One FETCH by the client; its octets. */
const fetchAll = (client: ChildProcess, port: number, ca: string | null): Promise<number> =>
  new Promise((resolve, reject) => {
    client.once('message', (answer: { octets?: number; messages?: number; wrong?: string }) => {
      if (answer.wrong !== undefined || answer.messages !== count)
        reject(new Error(`the client: ${answer.wrong ?? ''} ${answer.messages} messages`));
      else resolve(answer.octets ?? 0);
    });
    client.send({ port, ca, address });
  });

tell(
  `# Reading\n\n${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}, Node ${process.version}; load before: ${os.loadavg()[0]?.toFixed(1)}; SHA-256 of 64 KiB: ${fixed(yardstick())} µs; ${count} messages, best of ${rounds} rounds\n`,
);
tell('| what | octets | CPU µs a message | messages/s | MB/s |\n| --- | --- | --- | --- | --- |');

for (const sizeBytes of values.sizes.split(',').map(Number)) {
  const folder = fs.mkdtempSync(path.join(values.folder, 'fengni-bench-read-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const store = await openStore({ io: nodeIo, folder, heads: true });
  if (store.kind === 'refused') throw store.error;
  const { writer } = store;
  await writer.queue.submit(addDomain('fengni.test'));
  await writer.queue.submit(addAccount(address));
  const [account = ''] = writer.index.accounts();
  const spool = openSpool({ io: nodeIo, folder, owner: 'mx' });
  for (let sent = 0; sent < count; ) {
    const many = Math.min(200, count - sent);
    sent += many;
    await Promise.all(
      Array.from({ length: many }, () =>
        deliver(writer, spool, { account, address }, letter(address, sizeBytes)),
      ),
    );
  }
  const login: Login = { verify: async () => ({ kind: 'granted', account, key: address }) };
  const index = openSqliteIndex(path.join(folder, 'index.db'), { readOnly: true });
  const gate = openAccessGate({ io: nodeIo, folder, shard: 0, damaged: () => {} });
  const imap = createImapLogin({
    login,
    index,
    gate,
    writer,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    large: { spool },
  });
  if (wanted.has('open')) await measure('open and read', sizeBytes, () => openAll(imap));
  if (wanted.has('fetch')) {
    const server = await startImapLoopback(imap);
    const client = fork(path.join(import.meta.dirname, 'support', 'fetch-client.ts'));
    const { securePort, ca } = server;
    const plain = await listenPlain(imap);
    await measure('FETCH, plain', sizeBytes, () => fetchAll(client, plain.port, null));
    plain.close();
    await measure('FETCH, TLS', sizeBytes, () => fetchAll(client, securePort, ca));
    client.kill();
    await server.close();
  }
  imap.close();
  await gate.close();
  index.close();
  await store.stop();
  if (wanted.has('verify')) {
    const stored = fs
      .readdirSync(path.join(folder, 'segments'))
      .reduce((sum, name) => sum + fs.statSync(path.join(folder, 'segments', name)).size, 0);
    await measure('every hash, no key', sizeBytes, async () => {
      const report = await checkSegments({
        io: nodeIo,
        folder,
        shard: 0,
        live: false,
        deviation: ({ file, what }) => {
          throw new Error(`${file}: ${what}`);
        },
      });
      return report.octets;
    });
    await measure('verify', sizeBytes, async () => {
      const report = await verifyStore(folder, null);
      const found = report.findings.filter(({ file }) => file !== 'secrets.db');
      if (found.length > 0 || report.content.checked !== count)
        throw new Error(`verify finds: ${JSON.stringify(found[0])}, ${report.content.checked} messages`);
      return stored;
    });
  }
  fs.rmSync(folder, { recursive: true, force: true });
}
tell(`\nLoad after: ${os.loadavg()[0]?.toFixed(1)}; SHA-256 of 64 KiB: ${fixed(yardstick())} µs.`);
if (values.record) {
  const results = path.join(import.meta.dirname, 'results');
  fs.writeFileSync(
    path.join(results, `read-${new Date().toISOString().slice(0, 10)}.md`),
    `${lines.join('\n')}\n`,
  );
}
process.exit(0);
