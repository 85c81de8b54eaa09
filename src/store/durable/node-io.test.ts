import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { equalBytes, utf8 } from '#base/bytes';
import { makeFolderDurable, nodeIo, randomNumbers, replaceFileDurable, SimFs } from './index.ts';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-io-'));
after(() => fs.rmSync(folder, { recursive: true }));

for (const [name, io, root] of [
  ['the machine', nodeIo, folder],
  ['the simulated machine', new SimFs({ seed: 1 }), '/data'],
] as const) {
  test(`${name}: what is written in any pieces is read back from any place`, async () => {
    await makeFolderDurable(io, `${root}/a/b`);
    const file = await io.open(`${root}/a/b/f`, 'create-new');
    const numbers = randomNumbers(7);
    // More pieces than one writev takes, empty ones among them.
    const pieces = Array.from({ length: 2_500 }, () => new Uint8Array(numbers() % 40).fill(numbers() & 255));
    await file.write(pieces, 5);
    const whole = Buffer.concat(pieces);
    assert.equal(await file.size(), whole.length + 5);
    const into = new Uint8Array(1_000);
    assert.equal(await file.read(into, 1_005), 1_000);
    assert(equalBytes(into, whole.subarray(1_000, 2_000)));
    assert.equal(await file.read(into, whole.length), 5);
    assert.equal(await file.read(into, whole.length + 5), 0);
    await file.dataSync();
    await file.sync();
    await file.truncate(7);
    assert.equal(await file.size(), 7);
    await file.close();
    await file.close();
    assert(
      equalBytes(await io.readFile(`${root}/a/b/f`), Buffer.concat([Buffer.alloc(5), whole.subarray(0, 2)])),
    );
  });

  test(`${name}: names are made, found, moved and removed; errors have codes`, async () => {
    await makeFolderDurable(io, `${root}/names`);
    await makeFolderDurable(io, `${root}/names`);
    await replaceFileDurable(io, `${root}/names/b`, [utf8('one')]);
    await replaceFileDurable(io, `${root}/names/b`, [utf8('two'), utf8('!')]);
    await io.rename(`${root}/names/b`, `${root}/names/c`);
    await (await io.open(`${root}/names/a`, 'create')).close();
    await io.makeFolder(`${root}/names/d`);
    await io.syncFolder(`${root}/names`);
    assert.deepEqual(await io.readFolder(`${root}/names`), ['a', 'c', 'd']);
    assert.equal(new TextDecoder().decode(await io.readFile(`${root}/names/c`)), 'two!');
    const stat = await io.stat(`${root}/names/c`);
    assert(stat?.kind === 'file' && stat.size === 4 && stat.inode > 0);
    assert.equal((await io.stat(`${root}/names/d`))?.kind, 'folder');
    assert.equal(await io.stat(`${root}/names/none`), null);
    await assert.rejects(io.readFile(`${root}/names/none`), { code: 'file-not-found' });
    await assert.rejects(io.readFolder(`${root}/names/none`), { code: 'file-not-found' });
    await assert.rejects(io.open(`${root}/names/none`, 'write'), { code: 'file-not-found' });
    await assert.rejects(io.open(`${root}/names/c`, 'create-new'), { code: 'file-exists' });
    await assert.rejects(io.open(`${root}/names/c`, 'create-new-synced'), { code: 'file-exists' });
    await assert.rejects(makeFolderDurable(io, `${root}/names/c/e`), { code: 'file-exists' });
    await io.remove(`${root}/names/c`);
    await assert.rejects(io.remove(`${root}/names/c`), { code: 'file-not-found' });
  });
}

test('what is written to a file opened create-new-synced is durable when the write resolves, without any sync', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const machine = new SimFs({ seed });
    await makeFolderDurable(machine, '/data');
    const file = await machine.open('/data/f', 'create-new-synced');
    await machine.syncFolder('/data');
    await file.write([utf8('x'.repeat(700))], 0);
    await file.write([utf8('y'.repeat(700))], 700);
    const found = await machine.cutPower({ seed }).readFile('/data/f');
    assert.equal(new TextDecoder().decode(found), 'x'.repeat(700) + 'y'.repeat(700));
  }
  const real = path.join(folder, 'synced');
  const file = await nodeIo.open(real, 'create-new-synced');
  await file.write([utf8('x')], 0);
  if (fs.existsSync('/proc/self/fdinfo')) {
    const descriptor = fs.readdirSync('/proc/self/fd').find((name) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${name}`) === fs.realpathSync(real);
      } catch {
        return false;
      }
    });
    const flags = /^flags:\s+(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
    assert.ok((Number.parseInt(flags ?? '0', 8) & fs.constants.O_DSYNC) !== 0, 'the kernel syncs each write');
  }
  await file.close();
});

test('a write that syncs and fails is the last of its descriptor', async () => {
  const machine = new SimFs({
    seed: 1,
    fault: ({ operation }) => (operation === 'data-sync' ? 'EIO' : null),
  });
  const file = await machine.open('/f', 'create-new-synced');
  await assert.rejects(file.write([utf8('x')], 0), { code: 'io-error' });
  await assert.rejects(file.write([utf8('y')], 1), { code: 'descriptor-poisoned' });
});

test('files are made for their owner alone', async () => {
  await (await nodeIo.open(path.join(folder, 'mode'), 'create-new')).close();
  await nodeIo.makeFolder(path.join(folder, 'modes'));
  assert.equal(fs.statSync(path.join(folder, 'mode')).mode & 0o077, 0);
  assert.equal(fs.statSync(path.join(folder, 'modes')).mode & 0o077, 0);
});

test('a descriptor whose sync failed takes no write and no second sync', async (t) => {
  const file = await nodeIo.open(path.join(folder, 'poisoned'), 'create-new');
  await file.write([utf8('x')], 0);
  // A sync of a pipe fails on every machine; here it stands for a disk that does.
  const machine = new SimFs({
    seed: 1,
    fault: ({ operation }) => (operation === 'data-sync' ? 'EIO' : null),
  });
  const simulated = await machine.open('/f', 'create');
  await simulated.write([utf8('x')], 0);
  await assert.rejects(simulated.dataSync(), { code: 'io-error' });
  await assert.rejects(simulated.sync(), { code: 'descriptor-poisoned' });
  await assert.rejects(simulated.write([utf8('y')], 0), { code: 'descriptor-poisoned' });
  await file.close();
  if (!fs.existsSync('/dev/full')) {
    t.diagnostic('no /dev/full here');
    return;
  }
  const full = await nodeIo.open('/dev/full', 'write');
  await assert.rejects(full.write([utf8('x')], 0), { code: 'disk-full' });
  // Character devices cannot be synced: EINVAL, an error like any other.
  await assert.rejects(full.dataSync(), { code: 'io-error' });
  await assert.rejects(full.dataSync(), { code: 'descriptor-poisoned' });
  await assert.rejects(full.write([utf8('x')], 0), { code: 'descriptor-poisoned' });
  await full.close();
});

test('writes around the size that is done at once: the same octets, short writes continued, errors with their code', async (t) => {
  const file = await nodeIo.open(`${folder}/at-once`, 'create-new');
  let at = 0;
  const wrote: Uint8Array[] = [];
  for (const bytes of [1, 262_143, 262_144, 262_145, 300_000]) {
    const pieces = [new Uint8Array(bytes - 1).fill(bytes % 251), new Uint8Array([7])];
    await file.write(pieces, at);
    at += bytes;
    wrote.push(...pieces);
  }
  const { writevSync } = fs;
  // The kernel may take a part, within a piece or between two.
  const short = t.mock.method(
    fs,
    'writevSync',
    (descriptor: number, pieces: readonly Uint8Array[], from: number) =>
      writevSync(descriptor, [(pieces[0] as Uint8Array).subarray(0, 1_000)], from),
  );
  const pieces = [new Uint8Array(2_500).fill(1), new Uint8Array(1_000).fill(2), new Uint8Array(10).fill(3)];
  await file.write(pieces, at);
  assert.equal(short.mock.callCount(), 5);
  wrote.push(...pieces);
  short.mock.mockImplementation(() => 0);
  await assert.rejects(file.write([utf8('x')], 0), { code: 'io-error' });
  short.mock.restore();
  await file.close();
  assert(equalBytes(await nodeIo.readFile(`${folder}/at-once`), Buffer.concat(wrote)));

  const full = await nodeIo.open('/dev/full', 'write');
  for (const bytes of [10, 300_000])
    await assert.rejects(full.write([new Uint8Array(bytes)], 0), { code: 'disk-full' });
  await full.close();
});

test('a write that syncs is never done on the event loop', async (t) => {
  const atOnce = t.mock.method(fs, 'writevSync');
  const file = await nodeIo.open(`${folder}/synced-elsewhere`, 'create-new-synced');
  await file.write([utf8('x')], 0);
  await file.close();
  assert.equal(atOnce.mock.callCount(), 0);
});
