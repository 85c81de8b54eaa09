import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';

import { FengniError } from '#base/errors';
import type { IoFile } from '#store/durable';
import { Window } from './window.ts';

/** A file in memory whose reads can be made to fail from a position on. */
const fileOf = (octets: Uint8Array, failsFrom = Number.POSITIVE_INFINITY): IoFile & { reads: number } => {
  const refuse = async (): Promise<never> => assert.fail('only read');
  const file = {
    reads: 0,
    read: async (into: Uint8Array, position: number) => {
      file.reads += 1;
      if (position >= failsFrom)
        throw new FengniError('io-error', { subject: 'read file (EIO)', remedy: '-' });
      const part = octets.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    write: refuse,
    dataSync: refuse,
    sync: refuse,
    truncate: refuse,
    size: async () => octets.length,
    close: async () => {},
  };
  return file;
};

const octetsOf = (length: number): Uint8Array => {
  const octets = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) octets[at] = (at * 31 + (at >>> 8) * 7 + (at >>> 16)) & 0xff;
  return octets;
};

const steps = fc.array(fc.integer({ min: 1, max: 256 * 1024 }), { maxLength: 60 });

test('a walk that reads ahead sees the octets of the file, whatever its steps, and hashes each of them once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 3_000_000 }),
      fc.nat(512),
      steps,
      async (length, from, sizes) => {
        const octets = octetsOf(length);
        const window = new Window(fileOf(octets), 'ahead');
        let at = from;
        for (const size of [...sizes, ...Array.from({ length: 3_000_000 / 200_000 }, () => 200_000)]) {
          const expected = octets.subarray(at, at + size);
          const seen = window.held(at, size) ?? (await window.view(at, size));
          assert.equal(Buffer.compare(seen, expected), 0, `${size} octets at ${at} of ${length}`);
          at += expected.length;
          if (at >= length) break;
        }
        await window.end();
        if (at < length) return;
        const hash = window.hashOf(length);
        assert.ok(hash !== null || length < from);
        if (hash !== null)
          assert.equal(hash.digest('hex'), createHash('sha256').update(octets).digest('hex'));
      },
    ),
    { numRuns: 40 },
  );
});

test('whoever looks elsewhere gets the octets, and no hash of a walk that was none', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(2_000_000), fc.integer({ min: 1, max: 700_000 })), {
        minLength: 1,
        maxLength: 12,
      }),
      async (places) => {
        const octets = octetsOf(2_000_000);
        const window = new Window(fileOf(octets), 'ahead');
        for (const [at, size] of places)
          assert.equal(Buffer.compare(await window.view(at, size), octets.subarray(at, at + size)), 0);
        await window.end();
        const hash = window.hashOf(2_000_000);
        if (hash !== null)
          assert.equal(hash.digest('hex'), createHash('sha256').update(octets).digest('hex'));
      },
    ),
    { numRuns: 60 },
  );
});

test('a read that fails ahead of the walk is an error where the walk needs it, and none where it ends before', async () => {
  const octets = octetsOf(2_000_000);
  const window = new Window(fileOf(octets, 600_000), 'ahead');
  await window.view(0, 100_000);
  await window.view(100_000, 100_000);
  const needed = (async () => {
    for (let at = 200_000; at < octets.length; at += 100_000) await window.view(at, 100_000);
  })();
  await assert.rejects(needed, { code: 'io-error' });
  await window.end();
  const short = new Window(fileOf(octets, 500_000), 'ahead');
  await short.view(0, 1_000);
  await short.end();
});
