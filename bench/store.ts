/**
 * The store, from octets to an answer: messages are hashed, parsed and encrypted and go through the real writer with its sealer and SQLite
 * projections, in one process and without sockets. Beside it, in the same run: a file of its own for each message, synced with its folder,
 * and a row in SQLite with `synchronous=FULL`, both in clear and without index. Then recovery, index rebuild and verify of what was written.
 *
 *     npm run bench -- store [--seconds 2] [--folder DIR] [--writers 1,10,50,200] [--sizes 2048,50000,1048576] [--record]
 *
 * `--folder` is on the disk to be measured; `--record` writes bench/results/store-DATE.md.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { removeProjections } from '#app/control';
import { addAccount, addDomain } from '#services/writer';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import { openStore, verifyStore } from '../test/faults/store-machine.ts';
import { deliver, letter } from './support/letters.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    folder: { type: 'string', default: os.tmpdir() },
    writers: { type: 'string', default: '1,10,50,200' },
    sizes: { type: 'string', default: '2048,50000,1048576' },
    record: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const numbers = (text: string): number[] => text.split(',').map(Number);
const address = 'ann@fengni.test';

interface Cell {
  messages: number;
  perSecond: number;
  cpuMs: number;
  p50: number;
  p99: number;
}

/** Writers that each hand over a message when the one before is answered. */
const measure = async (writers: number, store: (number: number) => Promise<void> | void): Promise<Cell> => {
  const times: number[] = [];
  let next = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + seconds * 1_000;
  const writer = async (): Promise<void> => {
    while (performance.now() < end) {
      const begun = performance.now();
      await store(next++);
      times.push(performance.now() - begun);
      // A store that never waits would leave the others no turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
  const elapsed = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? 0;
  const count = times.length;
  return {
    messages: count,
    perSecond: count / elapsed,
    cpuMs: (user + system) / 1_000 / count,
    p50: at(0.5),
    p99: at(0.99),
  };
};

const lines: string[] = [];
const tell = (line: string): void => {
  lines.push(line);
  process.stdout.write(`${line}\n`);
};

const fixed = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const row = (cells: readonly (string | number)[]): void => tell(`| ${cells.join(' | ')} |`);
const cellText = ({ perSecond, cpuMs, p50, p99 }: Cell): string[] => [perSecond, cpuMs, p50, p99].map(fixed);

const octetsIn = (folder: string): number =>
  ['segments', 'large', 'keys']
    .flatMap((name) => fs.readdirSync(path.join(folder, name)).map((file) => path.join(folder, name, file)))
    .reduce((sum, file) => sum + fs.statSync(file).size, 0);

const timed = async <T>(work: () => Promise<T>): Promise<{ value: T; s: number; cpuMs: number }> => {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const value = await work();
  const { user, system } = process.cpuUsage(cpu);
  return { value, s: (performance.now() - start) / 1_000, cpuMs: (user + system) / 1_000 };
};

const load = (): string => os.loadavg().map((each) => each.toFixed(1))[0] ?? '';
const about = `${new Date().toISOString().slice(0, 16)}Z, ${os.cpus().length} × ${os.cpus()[0]?.model.trim()}, Linux ${os.release()}, Node ${process.version}`;
tell(
  `# Store\n\n${about}; load before: ${load()}; ${seconds} s a cell; disk of ${path.resolve(values.folder)}\n`,
);

const openOrThrow = async (folder: string) => {
  const opened = await openStore({ io: nodeIo, folder, heads: true });
  if (opened.kind === 'refused') throw opened.error;
  return opened;
};

tell('## Group commit\n');
tell(
  'Each four: messages/s, CPU ms a message, p50 ms, p99 ms. Ratios are messages/s against the other two.\n',
);
row([
  'octets',
  'writers',
  'Fengni',
  '',
  '',
  '',
  'file + fsync',
  '',
  '',
  '',
  'SQLite FULL',
  '',
  '',
  '',
  '÷ file',
  '÷ SQLite',
]);
row(Array.from({ length: 16 }, () => '---'));

const afterwards: { sizeBytes: number; folder: string; messages: number }[] = [];
const base = fs.mkdtempSync(path.join(values.folder, 'fengni-bench-store-'));
process.on('exit', () => fs.rmSync(base, { recursive: true, force: true }));
for (const sizeBytes of numbers(values.sizes)) {
  const octets = letter(address, sizeBytes);
  const folder = path.join(base, `data-${sizeBytes}`);
  const store = await openOrThrow(folder);
  await store.writer.queue.submit(addDomain('fengni.test'));
  await store.writer.queue.submit(addAccount(address));
  const [account = ''] = store.writer.index.accounts();
  const spool = openSpool({ io: nodeIo, folder, owner: 'mx' });
  const send = (): Promise<void> => deliver(store.writer, spool, { account, address }, octets);
  // What is compiled and opened once is not a part of what is measured.
  let { messages } = await measure(10, send);
  for (const writers of numbers(values.writers)) {
    const ours = await measure(writers, send);
    messages += ours.messages;

    const files = path.join(base, 'files');
    await nodeIo.makeFolder(files);
    const file = await measure(writers, async (number) => {
      const opened = await nodeIo.open(path.join(files, `${number}`), 'create-new');
      await opened.write([octets], 0);
      await opened.sync();
      await opened.close();
      await nodeIo.syncFolder(files);
    });
    fs.rmSync(files, { recursive: true });

    const database = new DatabaseSync(path.join(base, 'rows.db'));
    database.exec(
      'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE mail (id INTEGER PRIMARY KEY, octets BLOB)',
    );
    const insert = database.prepare('INSERT INTO mail (octets) VALUES (?)');
    const sqlite = await measure(writers, () => void insert.run(octets));
    database.close();
    for (const suffix of ['', '-wal', '-shm'])
      fs.rmSync(path.join(base, `rows.db${suffix}`), { force: true });

    row([
      sizeBytes,
      writers,
      ...[ours, file, sqlite].flatMap(cellText),
      `${fixed(ours.perSecond / file.perSecond)}×`,
      `${fixed(ours.perSecond / sqlite.perSecond)}×`,
    ]);
  }
  await store.stop();
  afterwards.push({ sizeBytes, folder, messages });
}

tell('\n## Recovery, index rebuild, verify\n');
tell('CPU ms are those of one message.\n');
row([
  'octets a message',
  'messages',
  'MB',
  'recovery s',
  'MB/s',
  'rebuild s',
  'MB/s',
  'messages/s',
  'CPU ms',
  'verify s',
  'MB/s',
  'messages/s',
  'CPU ms',
]);
row(Array.from({ length: 13 }, () => '---'));
for (const { sizeBytes, folder, messages } of afterwards) {
  const mb = octetsIn(folder) / 1e6;
  const recovery = await timed(() => openOrThrow(folder));
  await recovery.value.stop();
  removeProjections(folder);
  const rebuild = await timed(() => openOrThrow(folder));
  await rebuild.value.stop();
  const verify = await timed(() => verifyStore(folder, null));
  const found = verify.value.findings.filter(({ file }) => file !== 'secrets.db');
  if (found.length > 0) throw new Error(`verify finds: ${JSON.stringify(found[0])}`);
  if (verify.value.content.checked !== messages)
    throw new Error(`${verify.value.content.checked} of ${messages} messages`);
  const rates = ({ s, cpuMs }: { s: number; cpuMs: number }): string[] =>
    [s, mb / s, messages / s, cpuMs / messages].map(fixed);
  row([sizeBytes, messages, fixed(mb), ...rates(recovery).slice(0, 2), ...rates(rebuild), ...rates(verify)]);
  fs.rmSync(folder, { recursive: true });
}
tell(
  `\nLoad after: ${load()}. CPU counts the whole process: hashing, MIME, encryption, log, ledger, signing and index are in “Fengni”.`,
);

if (values.record) {
  const results = path.join(import.meta.dirname, 'results');
  fs.mkdirSync(results, { recursive: true });
  const file = path.join(results, `store-${new Date().toISOString().slice(0, 10)}.md`);
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  process.stderr.write(`${file}\n`);
}
