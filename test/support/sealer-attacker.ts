import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { ledgerIo } from '#app/sealer';
import { connectIpc, type IpcClient } from '#net/ipc';
import { nodeIo } from '#store/durable';
import { LedgerReader, LedgerWriter } from '#store/ledger';
import { base64, encodeLeaf, leafHash, parseCheckpoint, treeRoot } from '#trust/seal';

// Whoever has taken over the writer: its user, all its code, its files, and the sealer's socket. Run by sealer-attacks.test.ts as the
// server's user; prints one JSON object with what each attempt got.
//
//   sealer-attacker.ts SOCKET DATA STATE before|rotation

const [socket = '', data = '', state = '', act = ''] = process.argv.slice(2);
const ledger = path.join(data, 'ledger/g1');
const tiles = path.join(ledger, 'tile');
/** as the writer itself writes there: the sealer's group may read it */
const io = ledgerIo(nodeIo, data);
const got: Record<string, unknown> = {};
/** every signed note that anybody was given */
const notes: string[] = [];

interface Answer {
  kind: string;
  reason?: string;
  key?: string;
  head?: { note: string; size: number; root: string; generation: number };
}

const connect = (): Promise<IpcClient> => connectIpc(socket);
const ask = async (client: IpcClient, method: string, params: unknown): Promise<string> => {
  try {
    const { result } = await client.call<Answer>(method, params);
    if (result.kind !== 'signed') return result.reason ?? result.kind;
    notes.push(Buffer.from(result.head?.note ?? '', 'base64').toString('latin1'));
    return 'signed';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

const head = parseCheckpoint(fs.readFileSync(path.join(ledger, 'checkpoint')));
const { origin, size } = head;
const leaves = await Array.fromAsync(new LedgerReader(nodeIo, ledger).entries(0, size, size), (entry) =>
  entry.slice(),
);
const rootOf = (all: readonly Uint8Array[]): string => base64(treeRoot(all.map(leafHash)));
const forged = (count: number, mark = ''): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => Buffer.from(`forged ${mark} ${at}`));
const rewrite = async (all: readonly Uint8Array[]): Promise<void> => {
  fs.rmSync(tiles, { recursive: true, force: true });
  await (await LedgerWriter.open(io, ledger)).append(all);
};
const request = (all: readonly Uint8Array[]): object => ({
  generation: 1,
  origin,
  size: all.length,
  root: rootOf(all),
});
/** what would be read for leaves behind the head: the last bundle */
const lastBundle = (count: number): string => {
  const index = Math.floor((count - 1) / 256);
  return path.join(tiles, 'entries', `${String(index).padStart(3, '0')}.p`, String(count - index * 256));
};

const histories = async (client: IpcClient): Promise<void> => {
  const attempts: Record<string, Uint8Array[]> = {
    'the same size, other leaves': forged(size),
    'the same size, another last leaf': [...leaves.slice(0, -1), ...forged(1)],
    'a smaller tree': leaves.slice(0, -1),
    'no leaves': [],
    'a fork at an older size': [...leaves.slice(0, size - 2), ...forged(9)],
    'a fork at the first leaf': [...forged(1), ...leaves.slice(1), ...forged(9)],
  };
  for (const [name, all] of Object.entries(attempts)) {
    await rewrite(all);
    got[name] = await ask(client, 'advance', request(all));
  }
  await rewrite([...leaves, ...forged(2)]);
  got['a root that the entries do not give'] = await ask(client, 'advance', {
    ...request([...leaves, ...forged(2)]),
    root: rootOf(forged(3)),
  });
};

const files = async (client: IpcClient): Promise<void> => {
  const all = [...leaves, ...forged(1)];
  const bundle = lastBundle(all.length);
  const plant: Record<string, () => void> = {
    'a link to the sealer’s key': () => fs.symlinkSync(path.join(state, 'g1.key'), bundle),
    'a link to zeros without end': () => fs.symlinkSync('/dev/zero', bundle),
    'a link to a good bundle': () => {
      fs.renameSync(bundle.replace(/[^/]+$/, 'good'), `${data}/good`);
      fs.symlinkSync(`${data}/good`, bundle);
    },
    'a FIFO': () => void execFileSync('mkfifo', [bundle]),
    'a folder': () => fs.mkdirSync(bundle),
    'a gigabyte': () => {
      fs.writeFileSync(bundle, '');
      fs.truncateSync(bundle, 2 ** 30);
    },
    'an empty file': () => fs.writeFileSync(bundle, ''),
    nothing: () => {},
  };
  for (const [name, make] of Object.entries(plant)) {
    await rewrite(all);
    fs.renameSync(bundle, bundle.replace(/[^/]+$/, 'good'));
    make();
    if (name === 'a gigabyte' || name === 'an empty file' || name === 'a FIFO') fs.chmodSync(bundle, 0o644);
    if (name === 'a folder') fs.chmodSync(bundle, 0o755);
    const until = performance.now();
    got[name] = await ask(client, 'advance', request(all));
    got[`${name}: answered in time`] = performance.now() - until < 10_000;
  }
  await rewrite(all);
  const folder = path.dirname(bundle);
  for (let number = 0; number < 5_000; number++) fs.writeFileSync(path.join(folder, `x${number}`), '');
  got['five thousand names'] = await ask(client, 'advance', request(all));
  await rewrite(all);
  fs.rmSync(path.join(ledger, 'checkpoint'));
  fs.mkdirSync(path.join(ledger, 'checkpoint'));
  got['a folder for a checkpoint'] = await ask(client, 'head', null);
  fs.rmdirSync(path.join(ledger, 'checkpoint'));
};

/** Tiles change under the sealer while many connections ask for many continuations. */
const races = async (): Promise<void> => {
  const clients = await Promise.all(Array.from({ length: 12 }, connect));
  const versions = Array.from({ length: 6 }, (_, at) => [...leaves, ...forged(1 + (at % 2), `race ${at}`)]);
  let racing = true;
  const outcomes: string[] = [];
  const swapping = (async () => {
    for (let at = 0; racing; at++) await rewrite(versions[at % versions.length] ?? []);
  })();
  await Promise.all(
    clients.map(async (client, at) => {
      for (let round = 0; round < 15; round++)
        outcomes.push(await ask(client, 'advance', request(versions[(at + round) % versions.length] ?? [])));
    }),
  );
  racing = false;
  await swapping;
  for (const client of clients) client.close();
  got['races'] = [...new Set(outcomes)].sort();
};

const frame = (kind: number, json: string, length?: number): Buffer => {
  const text = Buffer.from(json);
  const out = Buffer.alloc(13 + text.length + 4);
  out.writeUInt32BE(length ?? out.length - 4, 0);
  out.writeUInt8(kind, 4);
  out.writeUInt32BE(1, 5);
  out.writeUInt32BE(text.length, 9);
  text.copy(out, 13);
  return out;
};

const raw = (octets: Uint8Array): Promise<string> =>
  new Promise((resolve) => {
    const connection = net.connect(socket);
    const timer = setTimeout(() => {
      connection.destroy();
      resolve('open');
    }, 700);
    connection.on('error', () => {});
    connection.on('close', () => {
      clearTimeout(timer);
      resolve('closed');
    });
    connection.resume();
    connection.write(octets);
  });

const frames = async (): Promise<void> => {
  const deep = '['.repeat(8_000) + ']'.repeat(8_000);
  got['frames'] = {
    'a length of nothing': await raw(Buffer.alloc(4)),
    'four gigabytes': await raw(Buffer.from([255, 255, 255, 255, 1])),
    'a larger frame than any request': await raw(frame(1, JSON.stringify(['head', 'x'.repeat(20_000)]))),
    'no JSON': await raw(frame(1, '{')),
    'an answer': await raw(frame(2, 'null')),
    'a kind that is none': await raw(frame(77, 'null')),
    'half a frame': await raw(frame(1, '["head",null]').subarray(0, 9)),
    'deep JSON': await raw(frame(1, deep)),
    noise: await raw(Buffer.from(Array.from({ length: 4_096 }, (_, at) => (at * 197) % 251))),
  };
  const client = await connect();
  const wrong: Record<string, unknown> = {};
  for (const [name, method, params] of [
    ['no params', 'advance', null],
    ['a size below zero', 'advance', { ...request(leaves), size: -1 }],
    ['a size that is none', 'advance', { ...request(leaves), size: 2 ** 60 }],
    ['a size in words', 'advance', { ...request(leaves), size: '20' }],
    ['a root that is short', 'advance', { ...request(leaves), root: 'AAAA' }],
    ['an origin that is long', 'advance', { ...request(leaves), origin: 'x'.repeat(5_000) }],
    ['an origin that is no text', 'handover', { generation: 2, origin: {}, acceptLoss: true }],
    ['a generation with a point', 'prepare', { generation: 1.5, origin, acceptLoss: true }],
    ['acceptLoss in words', 'handover', { generation: 2, origin, acceptLoss: 'yes' }],
    ['a member of every object', 'constructor', null],
    ['no such method', 'sign', { text: 'anything' }],
  ] as const)
    wrong[name] = await ask(client, method, params);
  got['wrong requests'] = wrong;
  client.close();
};

const exhaustion = async (): Promise<void> => {
  const silent = Array.from({ length: 300 }, () => {
    const connection = net.connect(socket);
    connection.on('error', () => {});
    connection.write(Buffer.from([0, 0, 0x3f, 0xff, 1]));
    return connection;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const client = await connect();
  got['behind 300 silent connections'] = await ask(client, 'head', null);
  // Asks without end and reads nothing.
  const greedy = net.connect(socket);
  greedy.on('error', () => {});
  greedy.pause();
  const one = frame(1, '["head",null]');
  for (let at = 0; at < 20_000; at++) greedy.write(one);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const other = await connect();
  got['beside one that reads nothing'] = await ask(other, 'head', null);
  for (const connection of [...silent, greedy]) connection.destroy();
  client.close();
  other.close();
};

const generations = async (client: IpcClient): Promise<void> => {
  const next = { generation: 2, origin: origin.replace(/g1$/, 'g2') };
  const evil = { generation: 2, origin: 'evil.test/fengni/s0/g2' };
  for (const acceptLoss of [true, false]) {
    got[`prepare, loss ${acceptLoss}`] = await ask(client, 'prepare', { ...next, acceptLoss });
    got[`handover, loss ${acceptLoss}`] = await ask(client, 'handover', { ...next, acceptLoss });
    got[`handover to another log, loss ${acceptLoss}`] = await ask(client, 'handover', {
      ...evil,
      acceptLoss,
    });
  }
  got['create again'] = await ask(client, 'create', { generation: 1, origin: 'evil.test/fengni/s0/g1' });
  got['create the next'] = await ask(client, 'create', next);
  const replayed = notes.length;
  got['the same head again'] = await ask(client, 'create', { generation: 1, origin });
  got['replayed'] = notes.length - replayed;
};

/** The sealer's side has permitted a rotation: what can be made of that? */
const rotation = async (client: IpcClient): Promise<void> => {
  const next = { generation: 2, origin: origin.replace(/g1$/, 'g2'), acceptLoss: false };
  got['a loss instead'] = await ask(client, 'handover', { ...next, acceptLoss: true });
  got['another name'] = await ask(client, 'handover', { ...next, origin: 'evil.test/fengni/s0/g2' });
  got['a later one'] = await ask(client, 'handover', {
    ...next,
    generation: 9,
    origin: origin.replace(/g1$/, 'g9'),
  });
  got['without the leaf'] = await ask(client, 'handover', next);
  const { result } = await client.call<Answer>('prepare', next);
  const { result: now } = await client.call<Answer>('head', null);
  const signed = now.head?.size ?? 0;
  const all = await Array.fromAsync(new LedgerReader(nodeIo, ledger).entries(0, signed, signed), (entry) =>
    entry.slice(),
  );
  const handover = encodeLeaf({ kind: 'handover', seq: 1, timeMs: 0, key: result.key ?? '' });
  await rewrite([...all.slice(0, -1), ...forged(1), handover]);
  got['a fork that ends with the leaf'] = await ask(
    client,
    'advance',
    request([...all.slice(0, -1), ...forged(1), handover]),
  );
  await rewrite([...all, handover]);
  got['the leaf without a head'] = await ask(client, 'handover', next);
  got['the head over the leaf'] = await ask(client, 'advance', request([...all, handover]));
  got['the handover'] = await ask(client, 'handover', next);
  got['the old generation goes on'] = await ask(client, 'advance', request([...all, handover, ...forged(1)]));
  got['the old generation begins again'] = await ask(client, 'create', { generation: 1, origin });
  got['the next one at once'] = await ask(client, 'handover', {
    generation: 3,
    origin: origin.replace(/g1$/, 'g3'),
    acceptLoss: false,
  });
  const second = path.join(data, 'ledger/g2');
  const leaf = forged(2);
  fs.mkdirSync(second, { mode: 0o750 });
  await (await LedgerWriter.open(io, second)).append(leaf);
  got['a new generation without its genesis'] = await ask(client, 'advance', {
    ...next,
    size: leaf.length,
    root: rootOf(leaf),
  });
};

const client = await connect();
if (act === 'before') {
  await histories(client);
  await files(client);
  await generations(client);
  await frames();
  await exhaustion();
  const last = await connect();
  await rewrite(leaves);
  got['at the end'] = await ask(last, 'head', null);
  await races();
  last.close();
} else await rotation(client);
client.close();
process.stdout.write(`${JSON.stringify({ got, notes, size, root: base64(head.root) })}\n`);
process.exit(0);
