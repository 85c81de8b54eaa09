import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalBytes, utf8 } from '#base/bytes';
import { canonicalJson } from '#base/canonical-json';
import { leafHash } from '#trust/seal';
import * as frameFuzz from './frame.fuzz.ts';
import { encodeFrameHead, frameTypes, parseFrameHead, places } from './frame.ts';
import {
  encodeCommitBody,
  encodeSealBody,
  parseCommitBody,
  parseErasedKeys,
  parseSealBody,
} from './group-bodies.ts';
import * as keyFuzz from './key-file.fuzz.ts';
import {
  encodeClearSlot,
  encodeDestroyedSlot,
  encodeKeyFileHeader,
  parseKeyFileHeader,
  parseKeySlot,
} from './key-file.ts';
import { keyFileName, parseKeyFileName, parseSegmentFileName, segmentFileName } from './names.ts';
import * as headerFuzz from './segment-header.fuzz.ts';
import { encodeSegmentHeader, parseSegmentHeader } from './segment-header.ts';
import { sha256, sha256Of } from './sha256.ts';

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u32 = fc.nat(0xffff_fffe);
const seq = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

const flipped = (octets: Uint8Array, bit: number): Uint8Array => {
  const changed = new Uint8Array(octets);
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
};

test('a segment header comes back from its octets, and no changed octet is accepted (docs/formats/segment.md)', () => {
  const prevEnd = fc.record({ seq, offset: fc.nat(2 ** 30).map((n) => n * 512), recordHash: hash });
  fc.assert(
    fc.property(
      u32,
      u32,
      u32,
      u32,
      fc.option(prevEnd),
      fc.nat(1_000),
      fc.nat(4095),
      (shard, generation, revision, epoch, end, more, bit) => {
        const firstSeq = Math.min(Number.MAX_SAFE_INTEGER, (end?.seq ?? 0) + 1 + more);
        fc.pre(end === null || end.seq < firstSeq);
        const header = { shard, generation, revision, epoch, firstSeq, prevEnd: end };
        const octets = encodeSegmentHeader(header);
        assert.equal(octets.length, 512);
        const parsed = parseSegmentHeader(octets);
        assert(parsed.kind === 'header');
        assert.deepEqual(encodeSegmentHeader(parsed.header), octets);
        assert.equal(parseSegmentHeader(flipped(octets, bit)).kind, 'bad');
        assert.equal(parseSegmentHeader(octets.subarray(0, 511)).kind, 'bad');
      },
    ),
  );
});

test('a frame comes back from its octets, and no changed octet of storage header or record is accepted', () => {
  const arbitrary = fc.record({
    type: fc.nat(255),
    critical: fc.boolean(),
    leaf: fc.option(fc.uint8Array({ minLength: 1, maxLength: 400 })),
    leafIndex: fc.nat(Number.MAX_SAFE_INTEGER),
    seq,
    key: fc.option(fc.record({ epoch: u32, slot: u32 })),
    bodyCommitment: hash,
    prev: hash,
    encoding: fc.nat(255),
    place: fc.nat(2),
    headStoredLength: fc.nat(64 * 2 ** 20),
    storedLength: fc.nat(2 ** 40),
    storedHash: hash,
  });
  fc.assert(
    fc.property(arbitrary, fc.nat(8 * 232 - 1), hash, (draft, bit, sha256OfFile) => {
      const leaf = draft.leaf ?? new Uint8Array(0);
      const {
        type,
        critical,
        key,
        bodyCommitment,
        prev,
        encoding,
        place,
        headStoredLength,
        storedLength,
        storedHash,
      } = draft;
      const record = {
        type,
        critical,
        leafLength: leaf.length,
        seq: draft.seq,
        leafIndex: draft.leaf === null ? null : draft.leafIndex,
        key,
        leafHash: draft.leaf === null ? new Uint8Array(32) : leafHash(leaf),
        bodyCommitment,
        prev,
      };
      const fileHash = place === places.ownFile ? sha256OfFile : null;
      const storage = { encoding, place, headStoredLength, storedLength, storedHash, fileHash };
      const { octets, recordHash } = encodeFrameHead(record, storage, leaf);
      const parsed = parseFrameHead(octets);
      assert(parsed.kind === 'frame');
      assert.deepEqual(encodeFrameHead(parsed.frame.record, parsed.frame.storage, leaf).octets, octets);
      assert(equalBytes(parsed.frame.recordHash, recordHash));
      assert.deepEqual(parsed.frame.storage, storage);
      assert.equal(parsed.frame.headAt, (fileHash === null ? 232 : 264) + leaf.length);
      assert.equal(parseFrameHead(flipped(octets, bit)).kind, 'bad');
    }),
  );
});

test('a longer storage header or record of a newer program is read, the rest skipped', () => {
  const [plain] = frameFuzz.seeds as [Uint8Array];
  const longer = new Uint8Array(232 + 24 + 16);
  longer.set(plain.subarray(0, 104), 0);
  longer.fill(0xee, 104, 128);
  longer.set(plain.subarray(104, 232), 128);
  longer.fill(0xdd, 256, 272);
  const view = new DataView(longer.buffer);
  view.setUint16(4, 128);
  view.setUint16(128, 144);
  longer.set(sha256Of([longer.subarray(0, 72), longer.subarray(104, 128), longer.subarray(128, 272)]), 72);
  const parsed = parseFrameHead(longer);
  assert(parsed.kind === 'frame');
  assert.equal(parsed.frame.leafAt, 272);
  assert.equal(parsed.frame.record.seq, 12);
  assert(equalBytes(parsed.frame.recordHash, sha256(longer.subarray(128, 272))));
  for (const at of [110, 260]) assert.equal(parseFrameHead(flipped(longer, at * 8)).kind, 'bad');
});

test('a key file comes back from its octets, and no changed octet is accepted (docs/formats/keys.md)', () => {
  fc.assert(
    fc.property(
      u32,
      u32,
      u32,
      fc.nat(65_535),
      seq,
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.nat(1_023),
      (shard, generation, epoch, slot, by, key, bit) => {
        const header = encodeKeyFileHeader({ shard, generation, epoch });
        assert.deepEqual(parseKeyFileHeader(header), {
          kind: 'header',
          header: { shard, generation, epoch },
        });
        assert.equal(parseKeyFileHeader(flipped(header, bit * 4)).kind, 'bad');
        const clear = encodeClearSlot(slot, by, key);
        assert.deepEqual(parseKeySlot(clear, slot), {
          kind: 'slot',
          slot: { state: 1, slot, seq: by, fileKey: key },
        });
        assert.equal(parseKeySlot(flipped(clear, bit), slot).kind, 'bad');
        assert.equal(parseKeySlot(clear, slot + 1).kind, 'bad');
        const destroyed = encodeDestroyedSlot(slot, by);
        assert.deepEqual(parseKeySlot(destroyed, slot), {
          kind: 'slot',
          slot: { state: 3, slot, seq: by, fileKey: null },
        });
      },
    ),
  );
  assert.deepEqual(parseKeySlot(new Uint8Array(128), 4), { kind: 'empty' });
});

test('COMMIT, SEAL and ERASED accept their own canonical text alone', () => {
  const root = new Uint8Array(sha256(utf8('root')));
  const commit = {
    acked: 4,
    count: 3,
    epoch: 0,
    slots: 2,
    first: 5,
    generation: 1,
    group: 2,
    last: 7,
    leaves: 1,
    root,
  };
  assert.deepEqual(parseCommitBody(encodeCommitBody(commit)), commit);
  assert.equal(parseCommitBody(encodeCommitBody({ ...commit, count: 4 })), null);
  assert.equal(parseCommitBody(encodeCommitBody({ ...commit, acked: 5 })), null);
  assert.equal(parseCommitBody(utf8('{}')), null);
  assert.equal(parseCommitBody(utf8(`${new TextDecoder().decode(encodeCommitBody(commit))} `)), null);
  const last = { ...commit, count: 1, first: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER };
  assert.deepEqual(parseCommitBody(encodeCommitBody(last)), last, 'the largest number is read exactly');
  const text = encodeCommitBody(commit);
  const number = fc.oneof(fc.nat(300), fc.nat(Number.MAX_SAFE_INTEGER), fc.constant(Number.MAX_SAFE_INTEGER));
  const numbers = fc.tuple(number, number, number, number, number, number, number, number, number);
  fc.assert(
    fc.property(
      numbers,
      hash,
      ([acked, count, epoch, slots, first, generation, group, last, leaves], root) => {
        const any = { acked, count, epoch, slots, first, generation, group, last, leaves, root };
        const parsed = parseCommitBody(encodeCommitBody(any));
        const isRight = first > 0 && group > 0 && last - first + 1 === count && acked < first;
        assert.deepEqual(parsed, isRight ? any : null);
      },
    ),
  );
  // An octet exchanged, left out or put in: what is read then is said by exactly these octets, or it is nothing.
  fc.assert(
    fc.property(fc.nat(text.length), fc.nat(2), fc.nat(255), (at, cut, octet) => {
      const put = cut === 2 ? [] : [octet];
      const other = Uint8Array.from([
        ...text.subarray(0, at),
        ...put,
        ...text.subarray(at + (cut === 0 ? 0 : 1)),
      ]);
      const parsed = parseCommitBody(other);
      if (parsed !== null) assert.deepEqual(encodeCommitBody(parsed), other);
    }),
    { numRuns: 2_000 },
  );
  for (const wrong of ['01', '-1', '1.0', '1e0', '9007199254740993', '', ' 1'])
    assert.equal(
      parseCommitBody(utf8(`${Buffer.from(text)}`.replace('"epoch":0', `"epoch":${wrong}`))),
      null,
    );
  const seal = { count: 3, first: 5, last: 7, root };
  assert.deepEqual(parseSealBody(encodeSealBody(seal)), seal);
  assert.equal(parseSealBody(encodeSealBody({ ...seal, last: 8 })), null);
  const keys = [{ epoch: 0, slot: 9 }];
  assert.deepEqual(parseErasedKeys(utf8(canonicalJson({ keys, why: 'purge' }))), keys);
  for (const wrong of ['{}', '{"keys":[{}]}', '{"keys":[{"epoch":0,"slot":-1}]}', '{"keys":3}', '[]'])
    assert.equal(parseErasedKeys(utf8(wrong)), null);
});

test('names of files have one spelling', () => {
  assert.equal(segmentFileName(513, 0), '0000000000000513.0.fseg');
  assert.deepEqual(parseSegmentFileName('0000000000000513.12.fseg'), { firstSeq: 513, revision: 12 });
  for (const name of [
    '513.0.fseg',
    '0000000000000513.00.fseg',
    '0000000000000000.0.fseg',
    '0000000000000513.0.fseg.void',
  ])
    assert.equal(parseSegmentFileName(name), null);
  assert.equal(keyFileName(3), '00000003.fkeys');
  assert.equal(parseKeyFileName('00000003.fkeys'), 3);
  assert.equal(parseKeyFileName('3.fkeys'), null);
  assert.equal(frameTypes.SEAL, 11);
});

test('the parsers stand what the fuzzers begin with, and every flip of it', () => {
  for (const { seeds, run } of [frameFuzz, keyFuzz, headerFuzz]) {
    for (const seed of seeds) {
      run(seed);
      for (let bit = 0; bit < seed.length * 8; bit += 3) run(flipped(seed, bit));
      for (let length = 0; length < seed.length; length += 5) run(seed.subarray(0, length));
    }
  }
});
