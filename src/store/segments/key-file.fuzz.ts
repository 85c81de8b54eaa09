import assert from 'node:assert/strict';
import { concat } from '#base/bytes';
import {
  encodeClearSlot,
  encodeDestroyedSlot,
  encodeKeyFileHeader,
  keyFileHeaderBytes,
  keySlotBytes,
  keySlotOffset,
  parseKeyFileHeader,
  parseKeySlot,
  slotStates,
} from './key-file.ts';

export const seeds: Uint8Array[] = [
  concat([
    encodeKeyFileHeader({ shard: 1, generation: 2, epoch: 3 }),
    encodeClearSlot(0, 17, new Uint8Array(16).fill(9)),
    encodeDestroyedSlot(1, 18),
    new Uint8Array(keySlotBytes),
  ]),
];

/** What is accepted is what the encoders write. */
export const run = (data: Uint8Array): void => {
  const header = parseKeyFileHeader(data);
  if (header.kind === 'header')
    assert.deepEqual(
      encodeKeyFileHeader(header.header),
      new Uint8Array(data.subarray(0, keyFileHeaderBytes)),
    );
  for (let slot = 0; keySlotOffset(slot) < data.length; slot++) {
    const octets = data.subarray(keySlotOffset(slot), keySlotOffset(slot + 1));
    const parsed = parseKeySlot(octets, slot);
    if (parsed.kind !== 'slot') continue;
    const { state, seq, fileKey } = parsed.slot;
    if (state === slotStates.wrapped) continue;
    const again = fileKey === null ? encodeDestroyedSlot(slot, seq) : encodeClearSlot(slot, seq, fileKey);
    assert.deepEqual(again, new Uint8Array(octets));
  }
};
