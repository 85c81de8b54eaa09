import assert from 'node:assert/strict';
import { leafHash } from '#trust/seal';
import {
  encodeFrameHead,
  type FrameRecord,
  frameTypes,
  ownFileHeaderBytes,
  parseFrameHead,
  type StorageHeader,
  storageHeaderBytes,
} from './frame.ts';
import { sha256 } from './sha256.ts';

const record = (change: Partial<FrameRecord>): FrameRecord => ({
  type: frameTypes.ROW,
  critical: true,
  leafLength: 0,
  seq: 12,
  leafIndex: null,
  key: null,
  leafHash: new Uint8Array(32),
  bodyCommitment: new Uint8Array(32),
  prev: sha256(new Uint8Array(3)),
  ...change,
});

const storage = (change: Partial<StorageHeader>): StorageHeader => ({
  encoding: 0,
  place: 0,
  headStoredLength: 0,
  storedLength: 0,
  storedHash: sha256(new Uint8Array(0)),
  fileHash: null,
  ...change,
});

const leaf = new Uint8Array(40).fill(0x61);

export const seeds: Uint8Array[] = [
  encodeFrameHead(record({}), storage({}), new Uint8Array(0)).octets,
  encodeFrameHead(
    record({
      type: frameTypes.MSG,
      leafLength: 40,
      leafIndex: 3,
      leafHash: leafHash(leaf),
      key: { epoch: 0, slot: 65_535 },
    }),
    storage({ headStoredLength: 132, storedLength: 2_000 }),
    leaf,
  ).octets,
  encodeFrameHead(
    record({ type: 77, critical: false, seq: 2 ** 53 - 1 }),
    storage({ place: 2 }),
    new Uint8Array(0),
  ).octets,
  encodeFrameHead(
    record({ type: frameTypes.MSG, key: { epoch: 1, slot: 3 } }),
    storage({ place: 1, headStoredLength: 132, storedLength: 2 ** 40, fileHash: sha256(leaf) }),
    new Uint8Array(0),
  ).octets,
];

/** What is accepted is what the encoder writes. */
export const run = (data: Uint8Array): void => {
  const parsed = parseFrameHead(data);
  if (parsed.kind === 'bad') {
    assert(parsed.field.length > 0);
    return;
  }
  const { frame } = parsed;
  assert(frame.lengthBytes % 8 === 0 && frame.lengthBytes >= frame.endAt && frame.endAt >= frame.octetsAt);
  const headerBytes = frame.storage.fileHash === null ? storageHeaderBytes : ownFileHeaderBytes;
  if (frame.leafAt !== headerBytes + 128) return;
  const again = encodeFrameHead(frame.record, frame.storage, new Uint8Array(0));
  assert.deepEqual(again.octets, new Uint8Array(data.subarray(0, frame.leafAt)));
  assert.deepEqual(again.recordHash, frame.recordHash);
};
