import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes } from '#base/bytes';
import { type IoFile, isPowerCut, SimFs } from './index.ts';

const sector = (octet: number): Uint8Array => new Uint8Array(512).fill(octet);
const seeds = Array.from({ length: 200 }, (_, seed) => seed);

/** A synced file of eight sectors of ones in a synced folder. */
const begun = async (
  fault: ConstructorParameters<typeof SimFs>[0]['fault'] = () => null,
): Promise<[SimFs, IoFile]> => {
  const machine = new SimFs({ seed: 3, fault });
  const file = await machine.open('/f', 'create');
  await file.write(
    Array.from({ length: 8 }, () => sector(1)),
    0,
  );
  await file.sync();
  await machine.syncFolder('/');
  return [machine, file];
};

const survivors = async (machine: SimFs): Promise<(Uint8Array | undefined)[]> =>
  seeds.map((seed) => machine.wouldSurvive({ seed }).contents().get('/f'));

test('what was synced is there after every cut; what was not survives by sectors, in any subset', async () => {
  const [machine, file] = await begun();
  await file.write([sector(2), sector(2), sector(2)], 512);
  const subsets = new Set<string>();
  for (const octets of await survivors(machine)) {
    assert(octets !== undefined && octets.length === 4096);
    const sectors = Array.from({ length: 8 }, (_, at) => octets.subarray(at * 512, (at + 1) * 512));
    sectors.forEach((one, at) => {
      assert(
        equalBytes(one, sector(1)) || (at >= 1 && at <= 3 && equalBytes(one, sector(2))),
        `sector ${at}`,
      );
    });
    subsets.add(sectors.map((one) => one[0]).join(''));
  }
  assert(subsets.has('11111111') && subsets.has('12221111') && subsets.has('11121111'), [...subsets].join());
  await file.dataSync();
  for (const octets of await survivors(machine)) assert.equal(octets?.[512], 2);
});

test('a file that grew may have any of its lengths and garbage where nothing was written', async () => {
  const [machine, file] = await begun();
  await file.write([sector(2), sector(2)], 4096);
  await file.write([sector(3)], 5120);
  const all = await survivors(machine);
  const lengths = new Set(all.map((octets) => octets?.length));
  assert(lengths.has(4096) && lengths.has(5632) && lengths.has(8192), [...lengths].join());
  assert(
    all.some(
      (octets) => octets !== undefined && octets.length > 5000 && ![0, 2].includes(octets[4096] as number),
    ),
  );
});

test('a name without a sync of its folder may be gone; a rename is one thing', async () => {
  const [machine, file] = await begun();
  await file.close();
  const fresh = await machine.open('/g', 'create-new');
  await fresh.sync();
  await machine.rename('/f', '/h');
  const seen = new Set(
    seeds.map((seed) => [...machine.wouldSurvive({ seed }).contents().keys()].sort().join(' ')),
  );
  assert.deepEqual([...seen].sort(), ['/f', '/f /g', '/g /h', '/h']);
  await machine.syncFolder('/');
  const after = new Set(
    seeds.map((seed) => [...machine.wouldSurvive({ seed }).contents().keys()].sort().join(' ')),
  );
  assert.deepEqual([...after], ['/g /h']);
});

test('a failed sync drops the pages: readable, or not, but on the disk never, whatever is synced later', async () => {
  let failing = false;
  for (const afterFailedSync of ['cache', 'disk'] as const) {
    const machine = new SimFs({
      seed: 1,
      afterFailedSync,
      fault: ({ operation }) => (failing && operation === 'data-sync' ? 'EIO' : null),
    });
    const file = await machine.open('/f', 'create');
    await file.write([sector(1)], 0);
    await file.sync();
    await machine.syncFolder('/');
    await file.write([sector(2)], 0);
    failing = true;
    await assert.rejects(file.dataSync(), { code: 'io-error' });
    failing = false;
    const again = await machine.open('/f', 'write');
    await again.dataSync();
    const read = new Uint8Array(512);
    await again.read(read, 0);
    assert.equal(read[0], afterFailedSync === 'cache' ? 2 : 1);
    for (const octets of await survivors(machine)) assert.equal(octets?.[0], 1);
    // Written again, the pages are dirty again.
    await again.write([sector(2)], 0);
    await again.dataSync();
    for (const octets of await survivors(machine)) assert.equal(octets?.[0], 2);
  }
});

test('a sync covers what was written before it began, not what is written while it runs', async () => {
  const [machine, file] = await begun();
  await file.write([sector(2)], 0);
  const syncing = file.dataSync();
  const writing = file.write([sector(3)], 0);
  await Promise.all([syncing, writing]);
  const first = new Set((await survivors(machine)).map((octets) => octets?.[0]));
  assert.deepEqual([...first].sort(), [2, 3]);
});

test('a full disk takes a part and says so; a process that is killed leaves the cache behind', async () => {
  const machine = new SimFs({ seed: 1, capacityBytes: 1_200 });
  const file = await machine.open('/f', 'create');
  await assert.rejects(file.write([sector(1), sector(2), sector(3)], 0), { code: 'disk-full' });
  assert.equal(await file.size(), 1_024);
  const restarted = machine.killProcess({ seed: 2 });
  await assert.rejects(file.read(new Uint8Array(1), 0), isPowerCut);
  assert.equal(restarted.contents().get('/f')?.length, 1_024);
  assert(seeds.some((seed) => restarted.wouldSurvive({ seed }).contents().get('/f') === undefined));
});

test('the same seed gives the same machine', async () => {
  const history = async (): Promise<unknown> => {
    const machine = new SimFs({ seed: 9, fault: ({ index }) => (index === 12 ? 'power-cut' : null) });
    try {
      for (let count = 0; ; count++) {
        const file = await machine.open(`/f${count}`, 'create');
        await file.write([machine.random(700)], 0);
        await file.sync();
      }
    } catch (error) {
      assert(isPowerCut(error));
    }
    return machine.cutPower({ seed: 10 }).contents();
  };
  assert.deepEqual(await history(), await history());
});
