import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { concat, equalBytes, fromHex, hex } from '#base/bytes';
import { corpora, notRun } from '../../../test/support/corpora.ts';
import {
  chunkBytes,
  openPayload,
  openWholePayload,
  PayloadSealer,
  type PayloadSource,
  payloadLength,
  plainLengthOf,
  sealPayload,
} from './payload.ts';
import { sha256, sha256Of } from './sha256.ts';

const key = randomBytes(16);
const nonce = randomBytes(16);

const sealIn = (plain: Uint8Array, sizes: readonly number[]) => {
  const sealer = new PayloadSealer(key, nonce);
  const pieces: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < plain.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length] ?? plain.length);
    pieces.push(...sealer.write(plain.subarray(at, at + size)));
    at += size;
  }
  const summary = sealer.finish();
  return { stored: concat([...pieces, ...summary.pieces]), summary, sealer };
};

const sourceOf = (stored: Uint8Array, reads: number[] = []): PayloadSource => ({
  storedLength: stored.length,
  read: async (position, lengthBytes) => {
    reads.push(position);
    return stored.subarray(position, position + lengthBytes);
  },
});

const readRange = async (
  stored: Uint8Array,
  table: Uint8Array | null,
  start: number,
  end: number,
  reads: number[] = [],
) => {
  const reader = await openPayload(sourceOf(stored, reads), key, table);
  const pieces: Uint8Array[] = [];
  for await (const piece of reader.range(start, end)) pieces.push(piece);
  return concat(pieces);
};

test('payloads of other age programs open or fail as their authors say (C2SP CCTV age)', (t) => {
  const folder = corpora('age-cctv');
  if (folder === null) {
    t.skip(notRun);
    return;
  }
  let payloads = 0;
  let failures = 0;
  for (const name of fs.readdirSync(folder)) {
    const raw: Buffer = fs.readFileSync(path.join(folder, name));
    const cut = raw.indexOf('\n\n');
    const fields = new Map<string, string>(
      raw
        .subarray(0, Math.max(0, cut))
        .toString()
        .split('\n')
        .map((line: string): [string, string] => {
          const [field = '', value = ''] = line.split(': ');
          return [field, value];
        }),
    );
    const expect = fields.get('expect');
    const fileKey = fromHex(fields.get('file key') ?? '');
    const isPayload = expect === 'success' || expect === 'payload failure';
    if (fileKey?.length !== 16 || !isPayload || fields.get('armored') !== undefined) continue;
    const body = raw.subarray(cut + 2);
    const file = fields.get('compressed') === 'zlib' ? zlib.inflateSync(body) : body;
    const payload = file.subarray(file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1);
    payloads += 1;
    if (expect === 'success') {
      assert.equal(hex(sha256(openWholePayload(fileKey, payload))), fields.get('payload'), name);
    } else {
      failures += 1;
      assert.throws(() => openWholePayload(fileKey, payload), { code: 'payload-damaged' }, name);
    }
  }
  assert(payloads > 20 && failures > 10, `${payloads} payloads, ${failures} of them bad`);
});

test('any chunking gives the same payload, hashes and table (age v1 “Payload”)', () => {
  const lengths = fc.oneof(
    fc.nat(300),
    fc.constantFrom(65_535, 65_536, 65_537, 131_072, 131_073),
    fc.nat(200_000),
  );
  fc.assert(
    fc.property(
      lengths,
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 }),
      (length, sizes) => {
        const plain = randomBytes(length);
        const { stored, summary, sealer } = sealIn(
          plain,
          sizes.map((size) => Math.max(size, length / 500)),
        );
        assert(equalBytes(stored, sealPayload(key, nonce, plain)));
        assert.equal(summary.storedLength, stored.length);
        assert.equal(payloadLength(length), stored.length);
        assert.equal(plainLengthOf(stored.length), length);
        assert(equalBytes(summary.sha256, createHash('sha256').update(plain).digest()));
        const chunks = Array.from({ length: Math.max(1, Math.ceil(length / chunkBytes)) }, (_, index) =>
          sha256(plain.subarray(index * chunkBytes, (index + 1) * chunkBytes)),
        );
        assert(equalBytes(summary.chunkHashes, concat(chunks)));
        const head = randomBytes(20);
        assert(equalBytes(sealer.storedHash(head), sha256Of([stored, head])));
        assert(equalBytes(openWholePayload(key, stored), plain));
      },
    ),
    { numRuns: 60 },
  );
});

test('a range costs its chunks alone and gives exactly its octets, at and around every border', async () => {
  const plain = randomBytes(3 * chunkBytes + 100);
  const { stored, summary } = sealIn(plain, [10_000]);
  const borders = [
    0,
    1,
    chunkBytes - 1,
    chunkBytes,
    chunkBytes + 1,
    2 * chunkBytes,
    3 * chunkBytes,
    plain.length - 1,
    plain.length,
  ];
  for (const start of borders) {
    for (const end of borders) {
      const reads: number[] = [];
      const octets = await readRange(stored, summary.chunkHashes, start, end, reads);
      assert(
        equalBytes(octets, start < end ? plain.subarray(start, end) : new Uint8Array(0)),
        `${start} to ${end}`,
      );
      const chunks =
        start < end ? Math.floor((end - 1) / chunkBytes) - Math.floor(start / chunkBytes) + 1 : 0;
      assert.equal(reads.length, 1 + chunks);
    }
  }
});

test('a flipped bit in the range gives an error before any octet; one outside of it does not matter', async () => {
  const plain = randomBytes(3 * chunkBytes);
  const { stored, summary } = sealIn(plain, [plain.length]);
  const hurt = new Uint8Array(stored);
  const at = 16 + chunkBytes + 16 + 500;
  hurt[at] = (hurt[at] as number) ^ 1;
  await assert.rejects(readRange(hurt, summary.chunkHashes, 0, plain.length), { code: 'payload-damaged' });
  await assert.rejects(readRange(hurt, summary.chunkHashes, 2 * chunkBytes - 1, 2 * chunkBytes), {
    code: 'payload-damaged',
  });
  assert(
    equalBytes(await readRange(hurt, summary.chunkHashes, 0, chunkBytes), plain.subarray(0, chunkBytes)),
  );
  assert(
    equalBytes(
      await readRange(hurt, summary.chunkHashes, 2 * chunkBytes, 3 * chunkBytes),
      plain.subarray(2 * chunkBytes),
    ),
  );
  const reader = await openPayload(sourceOf(hurt), key, summary.chunkHashes);
  await assert.rejects(reader.range(0, plain.length).next(), { code: 'payload-damaged' });
});

test('a large range is verified chunk by chunk, each before it is given out', async () => {
  const plain = randomBytes(20 * chunkBytes);
  const { stored, summary } = sealIn(plain, [plain.length]);
  const at = 16 + 19 * (chunkBytes + 16) + 7;
  stored[at] = (stored[at] as number) ^ 128;
  const reader = await openPayload(sourceOf(stored), key, summary.chunkHashes);
  let given = 0;
  await assert.rejects(
    async () => {
      for await (const piece of reader.range(0, plain.length)) {
        assert(equalBytes(piece, plain.subarray(given, given + piece.length)));
        given += piece.length;
      }
    },
    { code: 'payload-damaged' },
  );
  assert.equal(given, 19 * chunkBytes);
});

test('chunks of another payload, in another order, or another table are refused', async () => {
  const plain = randomBytes(2 * chunkBytes);
  const { stored, summary } = sealIn(plain, [plain.length]);
  const swapped = concat([
    stored.subarray(0, 16),
    stored.subarray(16 + chunkBytes + 16),
    stored.subarray(16, 16 + chunkBytes + 16),
  ]);
  await assert.rejects(readRange(swapped, summary.chunkHashes, 0, 10), { code: 'payload-damaged' });
  const other = new Uint8Array(summary.chunkHashes);
  other[3] = (other[3] as number) ^ 1;
  await assert.rejects(readRange(stored, other, 0, 10), { code: 'payload-damaged' });
  await assert.rejects(readRange(stored, summary.chunkHashes.subarray(0, 32), 0, 10), {
    code: 'payload-damaged',
  });
  await assert.rejects(readRange(stored.subarray(0, stored.length - chunkBytes - 16), null, 0, 10), {
    code: 'payload-damaged',
  });
});
