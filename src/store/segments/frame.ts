import { ascii, concat } from '#base/bytes';
import { alignUp, copyOf, isZeros, putU64, u16, u32, u64, viewOf } from './integers.ts';
import { sha256, sha256Is } from './sha256.ts';

export const frameTypes = {
  MSG: 1,
  DELIVER: 2,
  STATE: 3,
  ROW: 4,
  LEAF: 5,
  HEAD: 6,
  ERASED: 7,
  SNAP: 8,
  ELIDE: 9,
  COMMIT: 10,
  SEAL: 11,
} as const;
export type FrameTypeName = keyof typeof frameTypes;

const typeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(frameTypes).map(([name, type]) => [type, name]),
);
/** `MSG`, or `type 77` for one that this program does not know. */
export const frameTypeName = (type: number): string => typeNames.get(type) ?? `type ${type}`;
export const isKnownFrameType = (type: number): boolean => typeNames.has(type);

/** Where the stored octets lie. */
export const places = { here: 0, ownFile: 1, erased: 2 } as const;

export const storageHeaderBytes = 104;
/** with place “own file”: SHA-256 of that file stands behind the rest */
export const ownFileHeaderBytes = storageHeaderBytes + 32;
export const recordBytes = 128;
export const frameAlignBytes = 8;
export const groupAlignBytes = 512;

/** No writer makes more, no reader believes more. */
export const frameLimits = {
  leafBytesMax: 400,
  headStoredBytesMax: 64 * 2 ** 20,
  storedBytesMax: 2 ** 40,
  headerBytesMax: 4096,
} as const;

export interface KeyRef {
  epoch: number;
  slot: number;
}

/** What was said: never changes, is chained and committed to. */
export interface FrameRecord {
  type: number;
  critical: boolean;
  leafLength: number;
  seq: number;
  leafIndex: number | null;
  key: KeyRef | null;
  /** RFC 6962 leaf hash, or zeros without a leaf */
  leafHash: Uint8Array;
  /** SHA-256 of the plaintext head (sealed) or of the body (clear); zeros without a body */
  bodyCommitment: Uint8Array;
  /** hash of the record before; zeros in the very first */
  prev: Uint8Array;
}

/** How and where it lies: may be rewritten. */
export interface StorageHeader {
  encoding: number;
  place: number;
  headStoredLength: number;
  /** stored octets without the head, wherever they lie */
  storedLength: number;
  /** SHA-256(stored octets ‖ stored head) of what stands in the frame: with “own file” of the head alone */
  storedHash: Uint8Array;
  /** SHA-256 of the file that has the octets; null when they have none of their own */
  fileHash: Uint8Array | null;
}

export interface FrameHead {
  storage: StorageHeader;
  record: FrameRecord;
  recordHash: Uint8Array;
  /** where the leaf begins, from the start of the frame */
  leafAt: number;
  /** where the stored head begins */
  headAt: number;
  /** where the stored octets begin */
  octetsAt: number;
  /** end without padding */
  endAt: number;
  /** octets of the frame, padding included */
  lengthBytes: number;
}

export type ParsedFrameHead = { kind: 'frame'; frame: FrameHead } | { kind: 'bad'; field: string };

const magic = ascii('FRM1');
const magicNumber = u32(magic, 0);
const noIndex = 0xffffffff;

/**
 * Storage header ‖ record ‖ leaf, with room for `spareBytes` more.
 *
 * @source docs/formats/segment.md, “Frame”
 */
export const encodeFrameHead = (
  record: FrameRecord,
  storage: StorageHeader,
  leaf: Uint8Array,
  spareBytes = 0,
): { octets: Uint8Array; recordHash: Uint8Array } => {
  const { fileHash } = storage;
  const headerBytes = fileHash === null ? storageHeaderBytes : ownFileHeaderBytes;
  const octets = new Uint8Array(headerBytes + recordBytes + leaf.length + spareBytes);
  const recordOctets = octets.subarray(headerBytes, headerBytes + recordBytes);
  writeRecord(recordOctets, record);
  octets.set(leaf, headerBytes + recordBytes);
  if (fileHash !== null) octets.set(fileHash, storageHeaderBytes);
  const view = viewOf(octets);
  octets.set(magic, 0);
  view.setUint16(4, headerBytes);
  octets[6] = 1;
  octets[7] = storage.encoding;
  octets[8] = storage.place;
  view.setUint32(12, storage.headStoredLength);
  putU64(view, 16, storage.storedLength);
  octets.set(storage.storedHash, 24);
  octets.set(storageChecksum(octets, headerBytes, recordOctets), 72);
  return { octets, recordHash: sha256(recordOctets) };
};

/**
 * Reads storage header and record at the start of `octets` (more may follow); names the first field that is not as it must be.
 * Leaf, head and body are the caller's to check.
 */
export const parseFrameHead = (octets: Uint8Array): ParsedFrameHead => {
  if (octets.length < storageHeaderBytes + recordBytes) return bad('length of the frame');
  if (u32(octets, 0) !== magicNumber) return bad('magic');
  const headerLength = u16(octets, 4);
  if (headerLength < storageHeaderBytes || headerLength > frameLimits.headerBytesMax)
    return bad('headerLength');
  if (octets.length < headerLength + recordBytes) return bad('length of the frame');
  const recordLength = u16(octets, headerLength);
  if (recordLength < recordBytes || recordLength > frameLimits.headerBytesMax)
    return bad('length of the record');
  if (octets.length < headerLength + recordLength) return bad('length of the frame');
  const recordOctets = octets.subarray(headerLength, headerLength + recordLength);
  if (!isStorageChecksum(octets, headerLength, recordOctets))
    return bad('checksum of storage header and record');

  if (octets[6] !== 1) return bad('version');
  const place = octets[8] as number;
  if (place > places.erased) return bad('place');
  if (place === places.ownFile && headerLength < ownFileHeaderBytes) return bad('headerLength');
  if (!areZeros(octets, 9, 12) || !areZeros(octets, 56, 72)) return bad('reserved octets');
  const headStoredLength = u32(octets, 12);
  const storedLength = u64(octets, 16);
  if (headStoredLength > frameLimits.headStoredBytesMax) return bad('headStoredLength');
  if (storedLength === null || storedLength > frameLimits.storedBytesMax) return bad('storedLength');

  const record = readRecord(recordOctets);
  if (typeof record === 'string') return bad(record);
  const leafAt = headerLength + recordLength;
  const headAt = leafAt + record.leafLength;
  const octetsAt = headAt + headStoredLength;
  const endAt = octetsAt + (place === places.ownFile ? 0 : storedLength);
  return {
    kind: 'frame',
    frame: {
      storage: {
        encoding: octets[7] as number,
        place,
        headStoredLength,
        storedLength,
        storedHash: copyOf(octets, 24, 56),
        fileHash: place === places.ownFile ? copyOf(octets, storageHeaderBytes, ownFileHeaderBytes) : null,
      },
      record,
      recordHash: sha256(recordOctets),
      leafAt,
      headAt,
      octetsAt,
      endAt,
      lengthBytes: alignUp(endAt, frameAlignBytes),
    },
  };
};

const bad = (field: string): { kind: 'bad'; field: string } => ({ kind: 'bad', field });

/** As `isZeros`, for a few octets: without a view of them. */
const areZeros = (octets: Uint8Array, from: number, to: number): boolean => {
  for (let at = from; at < to; at++) if (octets[at] !== 0) return false;
  return true;
};

/** What the checksum is over: the header up to it, what stands behind it, the record. */
const checksumInput = (octets: Uint8Array, headerLength: number, record: Uint8Array): Uint8Array => {
  const extra = headerLength - storageHeaderBytes;
  if (extra !== 0 || record.length !== recordBytes)
    return concat([octets.subarray(0, 72), octets.subarray(storageHeaderBytes, headerLength), record]);
  usualInput.set(octets.subarray(0, 72), 0);
  usualInput.set(record, 72);
  return usualInput;
};

const usualInput = new Uint8Array(72 + recordBytes);

const storageChecksum = (octets: Uint8Array, headerLength: number, record: Uint8Array): Uint8Array =>
  sha256(checksumInput(octets, headerLength, record));

const isStorageChecksum = (octets: Uint8Array, headerLength: number, record: Uint8Array): boolean =>
  sha256Is(checksumInput(octets, headerLength, record), octets.subarray(72, 104));

const writeRecord = (octets: Uint8Array, record: FrameRecord): void => {
  const view = viewOf(octets);
  view.setUint16(0, recordBytes);
  octets[2] = record.type;
  octets[3] = record.critical ? 1 : 0;
  view.setUint32(4, record.leafLength);
  putU64(view, 8, record.seq);
  if (record.leafIndex === null) octets.fill(0xff, 16, 24);
  else putU64(view, 16, record.leafIndex);
  view.setUint32(24, record.key?.epoch ?? noIndex);
  view.setUint32(28, record.key?.slot ?? noIndex);
  octets.set(record.leafHash, 32);
  octets.set(record.bodyCommitment, 64);
  octets.set(record.prev, 96);
};

const readRecord = (octets: Uint8Array): FrameRecord | string => {
  const flags = octets[3] as number;
  if ((flags & ~1) !== 0) return 'flags';
  const leafLength = u32(octets, 4);
  if (leafLength > frameLimits.leafBytesMax) return 'leafLength';
  const seq = u64(octets, 8);
  if (seq === null || seq === 0) return 'seq';
  const without = u32(octets, 16) === noIndex && u32(octets, 20) === noIndex;
  const leafIndex = without ? null : u64(octets, 16);
  if (!without && leafIndex === null) return 'leafIndex';
  const epoch = u32(octets, 24);
  const slot = u32(octets, 28);
  if ((epoch === noIndex) !== (slot === noIndex)) return 'key reference';
  const leafHash = copyOf(octets, 32, 64);
  // The leaf itself may have no octets left to check one day; index and hash always come together.
  if ((leafIndex === null) !== (leafLength === 0) || (leafIndex === null) !== isZeros(leafHash))
    return 'leafHash';
  return {
    type: octets[2] as number,
    critical: (flags & 1) === 1,
    leafLength,
    seq,
    leafIndex,
    key: epoch === noIndex ? null : { epoch, slot },
    leafHash,
    bodyCommitment: copyOf(octets, 64, 96),
    prev: copyOf(octets, 96, 128),
  };
};
