import { ascii, equalBytes } from '#base/bytes';
import { copyOf, isZeros, putU64, u32, u64, viewOf } from './integers.ts';
import { sha256, sha256Is } from './sha256.ts';

export interface KeyFileHeader {
  shard: number;
  generation: number;
  epoch: number;
}

export const slotStates = { empty: 0, clear: 1, wrapped: 2, destroyed: 3 } as const;

export interface KeySlot {
  state: number;
  slot: number;
  /** of the frame that took it */
  seq: number;
  /** 16 octets when `state` is clear, else null */
  fileKey: Uint8Array | null;
}

export type ParsedKeyFileHeader = { kind: 'header'; header: KeyFileHeader } | { kind: 'bad'; field: string };
export type ParsedKeySlot =
  | { kind: 'slot'; slot: KeySlot }
  | { kind: 'empty' }
  | { kind: 'bad'; field: string };

export const keyFileHeaderBytes = 512;
export const keySlotBytes = 128;
/** an epoch's file is full at this many */
export const slotsPerEpoch = 65_536;
export const fileKeyBytes = 16;
const magic = ascii('FENGKEY1');

export const keySlotOffset = (slot: number): number => keyFileHeaderBytes + slot * keySlotBytes;

/** 512 octets. @source docs/formats/keys.md, “Header” */
export const encodeKeyFileHeader = (header: KeyFileHeader): Uint8Array => {
  const octets = new Uint8Array(keyFileHeaderBytes);
  const view = viewOf(octets);
  octets.set(magic, 0);
  view.setUint16(8, keyFileHeaderBytes);
  view.setUint16(10, 1);
  view.setUint32(12, header.shard);
  view.setUint32(16, header.generation);
  view.setUint32(20, header.epoch);
  octets.set(sha256(octets.subarray(0, 480)), 480);
  return octets;
};

export const parseKeyFileHeader = (octets: Uint8Array): ParsedKeyFileHeader => {
  if (octets.length < keyFileHeaderBytes) return { kind: 'bad', field: 'length of the header' };
  if (!equalBytes(octets.subarray(0, 8), magic)) return { kind: 'bad', field: 'magic' };
  if (!sha256Is(octets.subarray(0, 480), octets.subarray(480, 512)))
    return { kind: 'bad', field: 'checksum of the header' };
  const view = viewOf(octets);
  if (view.getUint16(8) !== keyFileHeaderBytes) return { kind: 'bad', field: 'headerLength' };
  if (view.getUint16(10) !== 1) return { kind: 'bad', field: 'format' };
  if (!isZeros(octets.subarray(24, 480))) return { kind: 'bad', field: 'reserved octets' };
  return {
    kind: 'header',
    header: { shard: view.getUint32(12), generation: view.getUint32(16), epoch: view.getUint32(20) },
  };
};

/** 128 octets. @source docs/formats/keys.md, “Slot” */
export const encodeClearSlot = (slot: number, seq: number, fileKey: Uint8Array): Uint8Array => {
  if (fileKey.length !== fileKeyBytes) throw new RangeError(`a file key has ${fileKeyBytes} octets`);
  return encodeSlot(slotStates.clear, slot, seq, fileKey);
};

export const encodeDestroyedSlot = (slot: number, seq: number): Uint8Array =>
  encodeSlot(slotStates.destroyed, slot, seq, null);

export const parseKeySlot = (octets: Uint8Array, slot: number): ParsedKeySlot => {
  if (octets.length !== keySlotBytes) return { kind: 'bad', field: 'length of the slot' };
  if (octets[0] === slotStates.empty && isZeros(octets)) return { kind: 'empty' };
  if (!sha256Is(octets.subarray(0, 96), octets.subarray(96, 128)))
    return { kind: 'bad', field: 'checksum of the slot' };
  const state = octets[0] as number;
  if (state === slotStates.empty || state > slotStates.destroyed) return { kind: 'bad', field: 'state' };
  if (!isZeros(octets.subarray(1, 4))) return { kind: 'bad', field: 'reserved octets' };
  if (u32(octets, 4) !== slot) return { kind: 'bad', field: 'slot number' };
  const seq = u64(octets, 8);
  if (seq === null || seq === 0) return { kind: 'bad', field: 'seq' };
  const rest = octets.subarray(state === slotStates.clear ? 32 : 16, 96);
  if (state !== slotStates.wrapped && !isZeros(rest)) return { kind: 'bad', field: 'reserved octets' };
  return {
    kind: 'slot',
    slot: { state, slot, seq, fileKey: state === slotStates.clear ? copyOf(octets, 16, 32) : null },
  };
};

const encodeSlot = (state: number, slot: number, seq: number, fileKey: Uint8Array | null): Uint8Array => {
  const octets = new Uint8Array(keySlotBytes);
  const view = viewOf(octets);
  octets[0] = state;
  view.setUint32(4, slot);
  putU64(view, 8, seq);
  if (fileKey !== null) octets.set(fileKey, 16);
  octets.set(sha256(octets.subarray(0, 96)), 96);
  return octets;
};
