import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ascii, equalBytes, utf8 } from '#base/bytes';
import { type Io, isPowerCut, nodeIo, SimFs, type SimOperation } from '#store/durable';
import {
  base64,
  leafHash,
  parseNote,
  parseTilePath,
  signCheckpoint,
  signerKey,
  treeRoot,
  verifyConsistency,
} from '#trust/seal';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import { LedgerReader, LedgerWriter, verifyLedger } from './index.ts';

const folder = '/data/ledger/g1';
const key = signerKey('mail.fengni.test/fengni/s0/g1', new Uint8Array(32).fill(1));
const leavesOf = (count: number, from = 0): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => utf8(`leaf ${from + index}${'.'.repeat((from + index) % 90)}`));
const headOf = (leaves: readonly Uint8Array[]) => ({
  origin: key.name,
  size: leaves.length,
  root: treeRoot(leaves.map(leafHash)),
});

const newFs = async (options: { fault?: (operation: SimOperation) => void } = {}): Promise<SimFs> => {
  const io = new SimFs({
    seed: 1,
    fault: (call) => {
      options.fault?.(call.operation);
      return null;
    },
  });
  await io.makeFolder('/data');
  return io;
};

/** Every file below the folder, relative to it. */
const filesBelow = async (io: Io, root: string): Promise<string[]> => {
  const files: string[] = [];
  const visit = async (at: string): Promise<void> => {
    for (const name of await io.readFolder(`${root}/${at}`)) {
      const below = at === '' ? name : `${at}/${name}`;
      if ((await io.stat(`${root}/${below}`))?.kind === 'folder') await visit(below);
      else files.push(below);
    }
  };
  await visit('');
  return files.sort();
};

const put = async (io: Io, file: string, octets: Uint8Array): Promise<void> => {
  const handle = await io.open(`${folder}/${file}`, 'create');
  await handle.truncate(0);
  await handle.write([octets], 0);
  await handle.close();
};

const change = async (io: Io, file: string, edit: (octets: Uint8Array) => Uint8Array): Promise<void> =>
  put(io, file, edit((await io.readFile(`${folder}/${file}`)).slice()));

test('leaves appended in any portions give the same tiles, which verify against the leaves', async () => {
  const leaves = leavesOf(700);
  for (const portions of [[700], [1, 254, 1, 1, 255, 188], Array.from({ length: 70 }, () => 10)]) {
    const io = await newFs();
    const writer = await LedgerWriter.open(io, folder);
    let at = 0;
    for (const portion of portions) {
      await writer.append(leaves.slice(at, at + portion));
      at += portion;
      assert.equal(base64(writer.root()), base64(headOf(leaves.slice(0, at)).root));
    }
    await writer.writeCheckpoint(signCheckpoint(headOf(leaves), [key]));
    const report = await verifyLedger({ io, folder, leaves, keys: [key] });
    assert.deepEqual(report.findings, []);
    assert.equal(report.checkpoint?.size, 700);
    const files = await filesBelow(io, folder);
    for (const file of [
      'tile/0/000',
      'tile/0/001',
      'tile/0/002.p/188',
      'tile/1/000.p/2',
      'tile/entries/002.p/188',
    ])
      assert(files.includes(file), file);
    assert(!files.some((file) => file.startsWith('tile/0/000.p/')), 'full tiles replace their partial ones');
  }
});

test('the tiles of 70,000 leaves are those that the specification names (C2SP tlog-tiles “Partial Tiles”)', async () => {
  const io = await newFs();
  const leaves = leavesOf(70_000);
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leaves.slice(0, 65_000));
  await writer.append(leaves.slice(65_000));
  const files = (await filesBelow(io, folder)).map((file) => parseTilePath(file) ?? assert.fail(file));
  const count = (level: number | 'entries', full: boolean): number =>
    files.filter((tile) => tile.level === level && (tile.width === 256) === full).length;
  assert.equal(count(0, true), 273);
  assert.equal(count('entries', true), 273);
  assert.equal(count(1, true), 1);
  const partial = (level: number | 'entries'): number[] =>
    files.filter((tile) => tile.level === level && tile.width < 256).map((tile) => tile.width);
  assert.deepEqual([partial(0), partial('entries'), partial(1), partial(2)], [[112], [112], [17], [1]]);
  assert.equal(base64(writer.root()), base64(headOf(leaves).root));
  const again = await LedgerWriter.open(io, folder);
  assert.equal(again.size, 273 * 256);
  await again.append(leaves.slice(again.size));
  assert.equal(base64(again.root()), base64(writer.root()));
});

test('a thousand leaves at once cost few files, one more leaf costs two and no sync', async () => {
  const counts = new Map<SimOperation, number>();
  const io = await newFs({ fault: (operation) => counts.set(operation, (counts.get(operation) ?? 0) + 1) });
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leavesOf(1000));
  assert.equal(counts.get('write'), 9);
  counts.clear();
  await writer.append(leavesOf(1, 1000));
  assert.equal(counts.get('write'), 2);
  assert.equal((counts.get('sync') ?? 0) + (counts.get('sync-folder') ?? 0), 0);
});

test('a flipped bit in any octet of any tile or of the head is named, and repair writes the tile again', async () => {
  const io = await newFs();
  const leaves = leavesOf(300);
  const writer = await LedgerWriter.open(io, folder);
  for (const portion of [leaves.slice(0, 270), leaves.slice(270, 280), leaves.slice(280)])
    await writer.append(portion);
  await writer.writeCheckpoint(signCheckpoint(headOf(leaves), [key]));
  const check = (repair: boolean) => verifyLedger({ io, folder, leaves, keys: [key], repair });
  const files = await filesBelow(io, folder);
  assert.equal(files.length, 10);
  for (const file of files) {
    const good = await io.readFile(`${folder}/${file}`);
    const step = file === 'checkpoint' ? 1 : Math.ceil(good.length / 40);
    for (let at = 0; at < good.length; at += step) {
      await change(io, file, (octets) => octets.with(at, (octets[at] as number) ^ (1 << (at % 8))));
      const { findings } = await check(false);
      assert.deepEqual(
        findings.map((finding) => finding.path),
        [file],
        `octet ${at} of ${file}`,
      );
      assert.match(findings[0]?.problem ?? '', file === 'checkpoint' ? /^checkpoint-/ : /^damaged$/);
      await put(io, file, good);
    }
    for (const edit of [
      (octets: Uint8Array) => octets.subarray(0, -1),
      (octets: Uint8Array) => new Uint8Array([...octets, 0]),
      () => new Uint8Array(0),
    ]) {
      await change(io, file, edit);
      assert.equal((await check(false)).findings[0]?.path, file);
      const repaired = await check(true);
      assert.deepEqual(
        [repaired.findings.length, repaired.findings[0]?.repaired],
        [1, file !== 'checkpoint'],
      );
      if (file === 'checkpoint') await put(io, file, good);
      assert.deepEqual((await check(false)).findings, []);
      assert(equalBytes(await io.readFile(`${folder}/${file}`), good));
    }
    await io.remove(`${folder}/${file}`);
    if (file === 'checkpoint' || file.endsWith('.p/14') || file.endsWith('.p/24')) {
      // a head may be none yet, and a narrower tile may have gone
      await put(io, file, good);
    } else {
      assert.deepEqual((await check(true)).findings, [{ path: file, problem: 'absent', repaired: true }]);
    }
  }
});

test('a head of other leaves, beyond the leaves, of another key or with another signature is named', async () => {
  const io = await newFs();
  const leaves = leavesOf(20);
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leaves);
  const other = signerKey(key.name, new Uint8Array(32).fill(2));
  for (const [head, keys, problem] of [
    [headOf(leavesOf(20, 1)), [key], 'checkpoint-mismatch'],
    [headOf(leavesOf(21)), [key], 'checkpoint-beyond'],
    [headOf(leaves), [other], 'checkpoint-invalid'],
    [headOf(leaves), [key, other], 'checkpoint-invalid'],
    [{ ...headOf(leaves), origin: 'other/fengni/s0/g1' }, [key], 'checkpoint-invalid'],
    [headOf(leavesOf(12)), [key], null],
    [headOf([]), [key], null],
  ] as const) {
    await writer.writeCheckpoint(signCheckpoint(head, keys));
    const { findings } = await verifyLedger({ io, folder, leaves, keys: [key] });
    assert.deepEqual(
      findings.map((finding) => finding.problem),
      problem === null ? [] : [problem],
    );
  }
});

test('a tile beyond the leaves and a foreign file are named', async () => {
  const io = await newFs();
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leavesOf(600));
  await put(io, 'tile/0/note.txt', utf8('x'));
  const { findings } = await verifyLedger({ io, folder, leaves: leavesOf(300), keys: [key] });
  assert.deepEqual(
    findings.filter((finding) => finding.problem === 'unexpected').map((finding) => finding.path),
    [
      'tile/0/note.txt',
      'tile/entries/001',
      'tile/0/001',
      'tile/1/000.p/2',
      'tile/0/002.p/88',
      'tile/entries/002.p/88',
    ],
  );
});

test('beside a writer that went on, what the head covers is checked and the rest left alone', async () => {
  const io = await newFs();
  const leaves = leavesOf(700);
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leaves.slice(0, 290));
  await writer.writeCheckpoint(signCheckpoint(headOf(leaves.slice(0, 290)), [key]));
  for (const size of [295, 700]) {
    await writer.append(leaves.slice(writer.size, size));
    const report = await verifyLedger({ io, folder, leaves, keys: [key], running: true });
    assert.deepEqual([report.size, report.findings], [290, []]);
  }
  await change(io, 'tile/entries/001', (octets) => octets.with(5, 0));
  const { findings } = await verifyLedger({ io, folder, leaves, keys: [key], running: true });
  assert(findings.some((finding) => finding.path === 'tile/entries/001'));
});

test('a power cut at any operation leaves a ledger that opens and, after the same leaves, verifies', async () => {
  const leaves = leavesOf(530);
  const portions = [leaves.slice(0, 250), leaves.slice(250, 258), leaves.slice(258, 259), leaves.slice(259)];
  const run = async (io: SimFs): Promise<void> => {
    const writer = await LedgerWriter.open(io, folder);
    for (const portion of portions) await writer.append(portion);
    await writer.writeCheckpoint(signCheckpoint(headOf(leaves), [key]));
  };
  let cuts = 0;
  for (let cutAt = 1; ; cutAt++) {
    const io = new SimFs({ seed: cutAt, fault: (call) => (call.index === cutAt ? 'power-cut' : null) });
    try {
      await io.makeFolder('/data');
      await io.syncFolder('/');
      await run(io);
      break;
    } catch (error) {
      assert(isPowerCut(error), String(error));
    }
    cuts++;
    const after = io.cutPower({ seed: cutAt });
    if ((await after.stat('/data')) === null) await after.makeFolder('/data');
    const writer = await LedgerWriter.open(after, folder);
    assert.equal(writer.size % 256, 0);
    await writer.append(leaves.slice(writer.size));
    const report = await verifyLedger({ io: after, folder, leaves, keys: [key] });
    assert.deepEqual(report.findings, [], `cut at call ${cutAt}`);
  }
  assert(cuts > 60, `${cuts} cuts`);
});

test('full tiles are durable when append returns, whatever a cut does to the rest', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const io = new SimFs({ seed });
    await io.makeFolder('/data');
    await io.syncFolder('/');
    // no partial tile behind them: making its folder would sync theirs
    const leaves = leavesOf(1_024);
    const writer = await LedgerWriter.open(io, folder);
    await writer.append(leaves);
    const after = io.cutPower({ seed });
    const again = await LedgerWriter.open(after, folder);
    assert.equal(again.size, 1_024);
    await again.append(leaves.slice(again.size));
    assert.deepEqual((await verifyLedger({ io: after, folder, leaves, keys: [key] })).findings, []);
  }
});

test('an upper tile that a cut kept from being written is written at the next start', async () => {
  const io = await newFs();
  const leaves = leavesOf(65_536 + 256);
  const writer = await LedgerWriter.open(io, folder);
  await writer.append(leaves.slice(0, 65_536));
  await writer.append(leaves.slice(65_536));
  for (const file of ['tile/1/000', 'tile/2/000.p/1', 'tile/1/001.p/1']) await io.remove(`${folder}/${file}`);
  const again = await LedgerWriter.open(io, folder);
  assert.equal(again.size, leaves.length);
  assert.equal(base64(again.root()), base64(writer.root()));
  assert.deepEqual((await verifyLedger({ io, folder, leaves, keys: [key] })).findings, []);
});

test('a reader proves every leaf under every head that it can still read tiles for, and refuses damaged tiles', async () => {
  const io = await newFs();
  const leaves = leavesOf(600);
  const writer = await LedgerWriter.open(io, folder);
  const sizes = [1, 2, 100, 255, 256, 257, 300, 512, 600];
  for (const size of sizes) await writer.append(leaves.slice(writer.size, size));
  const reader = new LedgerReader(io, folder);
  for (const size of [...sizes, 7, 270, 599]) {
    const head = headOf(leaves.slice(0, size));
    for (const index of [0, size - 1, Math.floor(size / 2), Math.min(255, size - 1)])
      await reader.inclusion(index, leaves[index] as Uint8Array, head);
    for (const old of sizes.filter((own) => own <= size)) {
      const oldHead = headOf(leaves.slice(0, old));
      const path = await reader.consistency(oldHead, head);
      assert(
        verifyConsistency({ oldSize: old, oldRoot: oldHead.root, newSize: size, newRoot: head.root, path }),
      );
    }
  }
  const entries: Uint8Array[] = [];
  for await (const entry of reader.entries(250, 520, 599)) entries.push(entry);
  assert.deepEqual(entries, leaves.slice(250, 520));
  const head = headOf(leaves);
  await assert.rejects(reader.inclusion(5, ascii('no such leaf'), head), { code: 'ledger-damaged' });
  await change(io, 'tile/0/001', (octets) => octets.with(40, 0));
  const fresh = new LedgerReader(io, folder);
  await assert.rejects(fresh.inclusion(300, leaves[300] as Uint8Array, head), { code: 'ledger-damaged' });
  await io.remove(`${folder}/tile/0/001`);
  await assert.rejects(new LedgerReader(io, folder).inclusion(300, leaves[300] as Uint8Array, head), {
    code: 'ledger-damaged',
  });
});

test('any portions and any reopening give the root of the leaves', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 6 }), async (portions) => {
      const io = await newFs();
      let leaves: Uint8Array[] = [];
      for (const portion of portions) {
        const writer = await LedgerWriter.open(io, folder);
        const more = leavesOf(portion, leaves.length);
        leaves = [...leaves, ...more];
        await writer.append(leaves.slice(writer.size));
        assert.equal(base64(writer.root()), base64(headOf(leaves).root));
      }
      assert.deepEqual((await verifyLedger({ io, folder, leaves, keys: [key] })).findings, []);
    }),
    { numRuns: 15 },
  );
});

test('tessera: a log of 15 entries has our tiles, bundles and roots at each size', async (t) => {
  const log = corpora('tlog-tiles');
  if (log === null) return t.skip(notRun);
  const at = (...parts: string[]): string => path.join(log, 'log', ...parts);
  const reader = new LedgerReader(nodeIo, path.join(log, 'log'));
  const io = await newFs();
  const writer = await LedgerWriter.open(io, folder);
  const roots: Uint8Array[] = [];
  for (let size = 1; size <= 15; size++) {
    for await (const entry of reader.entries(size - 1, size, size)) await writer.append([entry]);
    for (const name of [`tile/0/000.p/${size}`, `tile/entries/000.p/${size}`])
      assert(equalBytes(await io.readFile(`${folder}/${name}`), fs.readFileSync(at(name))), name);
    const note = parseNote(fs.readFileSync(at(`checkpoint.${size}`)));
    const [, count, root = ''] = note.text.split('\n');
    assert.deepEqual([Number(count), root], [size, base64(writer.root())]);
    roots.push(writer.root());
    const head = { size, root: writer.root() };
    for (let old = 1; old <= size; old++)
      await reader.consistency({ size: old, root: roots[old - 1] as Uint8Array }, head);
  }
});
