import { createHash } from 'node:crypto';
import { ascii, equalBytes } from '#base/bytes';
import {
  copyOf,
  type FrameHead,
  frameLimits,
  frameTypes,
  isZeros,
  parseFrameHead,
  places,
  sha256,
  sha256Of,
} from '#store/segments';
import { leafHash } from '#trust/seal';
import type { Window } from './window.ts';

/** A frame read from a segment, every octet of it checked. */
export interface CheckedFrame {
  offset: number;
  head: FrameHead;
  /** empty without a leaf */
  leaf: Uint8Array;
  /** the body of a clear frame of up to 1 MiB, else null */
  clearBody: Uint8Array | null;
}

export type FrameRead =
  | { kind: 'frame'; frame: CheckedFrame }
  /** `head` is there when storage header and record are good and something behind them is not */
  | { kind: 'bad'; field: string; head: FrameHead | null };

/** Clear bodies are ours and small; a larger one is hashed without being kept. */
const clearBodyBytesMax = 2 ** 20;

const frameMagic = ascii('FRM1');
const headBytesMax = 2 * frameLimits.headerBytesMax;

/**
 * What is kept of a frame that was checked. `chain`: its record, and the body of what the log itself reads (COMMIT, ERASED), for one who
 * asks where the log ends and looks at a whole segment for it.
 */
export type Kept = 'all' | 'chain';

/** Reads the frame at `offset`, which must lie whole before `end`; names the first field that is not as it must be. */
export const readFrame = async (
  window: Window,
  offset: number,
  end: number,
  kept: Kept = 'all',
): Promise<FrameRead> => {
  const atHand = heldFrame(window, offset, end, kept);
  if (atHand !== null) return atHand;
  const headBytes = Math.min(headBytesMax, end - offset);
  const parsed = parseFrameHead(window.held(offset, headBytes) ?? (await window.view(offset, headBytes)));
  if (parsed.kind === 'bad') return { kind: 'bad', field: parsed.field, head: null };
  const head = parsed.frame;
  const { lengthBytes } = head;
  if (offset + lengthBytes > end) return { kind: 'bad', field: 'end of the frame', head };
  const parts =
    lengthBytes <= smallFrameBytesMax
      ? partsOf(head, await window.view(offset, lengthBytes), kept)
      : await readParts(window, offset, head);
  return outcome(offset, head, parts);
};

/**
 * As `readFrame`, for a small frame that is at hand as a whole, else null: waiting costs more than hashing.
 */
export const heldFrame = (window: Window, offset: number, end: number, kept: Kept): FrameRead | null => {
  const octets = window.held(offset, Math.min(headBytesMax, end - offset));
  if (octets === null) return null;
  const parsed = parseFrameHead(octets);
  if (parsed.kind === 'bad') return { kind: 'bad', field: parsed.field, head: null };
  const head = parsed.frame;
  const { lengthBytes } = head;
  if (offset + lengthBytes > end) return { kind: 'bad', field: 'end of the frame', head };
  if (lengthBytes > smallFrameBytesMax) return null;
  const whole = lengthBytes <= octets.length ? octets : window.held(offset, lengthBytes);
  return whole === null ? null : outcome(offset, head, partsOf(head, whole, kept));
};

const outcome = (offset: number, head: FrameHead, parts: Parts): FrameRead => {
  const field = wrongPart(head, parts);
  if (field !== null) return { kind: 'bad', field, head };
  return { kind: 'frame', frame: { offset, head, leaf: parts.leaf, clearBody: parts.clearBody } };
};

const smallFrameBytesMax = 65_536;
const noOctets = new Uint8Array(0);

/** What is behind the record, as far as it is checked. */
interface Parts {
  leaf: Uint8Array;
  /** whether it is the one that the record names */
  leafIsGood: boolean;
  paddingIsZeros: boolean;
  /** SHA-256(stored octets ‖ stored head), as far as they stand in the frame; null when they are erased */
  storedHash: Uint8Array | null;
  /** for erased frames: what is left of head and octets */
  restIsZeros: boolean;
  clearBody: Uint8Array | null;
}

const keepsBody = ({ record, storage }: FrameHead): boolean =>
  record.key === null &&
  storage.place === places.here &&
  storage.encoding === 0 &&
  storage.storedLength <= clearBodyBytesMax;

const leafIs = ({ record }: FrameHead, leaf: Uint8Array): boolean =>
  record.leafIndex === null || equalBytes(leafHash(leaf), record.leafHash);

const partsOf = (head: FrameHead, octets: Uint8Array, kept: Kept): Parts => {
  const { leafAt, headAt, octetsAt, endAt, lengthBytes, storage, record } = head;
  const single = octetsAt === endAt || storage.headStoredLength === 0;
  const leaf = headAt === leafAt ? noOctets : octets.subarray(leafAt, headAt);
  const isKept = kept === 'all' || record.type === frameTypes.COMMIT || record.type === frameTypes.ERASED;
  return {
    leaf: kept === 'all' ? copyOf(leaf) : noOctets,
    leafIsGood: leafIs(head, leaf),
    paddingIsZeros: endAt === lengthBytes || isZeros(octets.subarray(endAt, lengthBytes)),
    storedHash:
      storage.place === places.erased
        ? null
        : single
          ? sha256(octets.subarray(headAt, endAt))
          : sha256Of([octets.subarray(octetsAt, endAt), octets.subarray(headAt, octetsAt)]),
    restIsZeros: storage.place !== places.erased || isZeros(octets.subarray(headAt, endAt)),
    clearBody: isKept && keepsBody(head) ? copyOf(octets, octetsAt, endAt) : null,
  };
};

/** As `partsOf`, for a frame that is too large to be held. */
const readParts = async (window: Window, offset: number, head: FrameHead): Promise<Parts> => {
  const { leafAt, headAt, octetsAt, endAt, lengthBytes, storage } = head;
  const leaf = (await window.view(offset + leafAt, headAt - leafAt)).slice();
  const clearBody = keepsBody(head) ? (await window.view(offset + octetsAt, endAt - octetsAt)).slice() : null;
  let storedHash: Uint8Array | null = null;
  if (storage.place !== places.erased) {
    const hash = createHash('sha256');
    await window.hash([hash], offset + octetsAt, endAt - octetsAt);
    await window.hash([hash], offset + headAt, octetsAt - headAt);
    storedHash = hash.digest();
  }
  let restIsZeros = true;
  for (
    let at = headAt;
    storage.place === places.erased && at < endAt && restIsZeros;
    at += smallFrameBytesMax
  ) {
    restIsZeros = isZeros(await window.view(offset + at, Math.min(smallFrameBytesMax, endAt - at)));
  }
  const paddingIsZeros = isZeros(await window.view(offset + endAt, lengthBytes - endAt));
  return { leaf, leafIsGood: leafIs(head, leaf), paddingIsZeros, storedHash, restIsZeros, clearBody };
};

const wrongPart = ({ record, storage }: FrameHead, parts: Parts): string | null => {
  if (!parts.leafIsGood) return 'leaf';
  if (!parts.paddingIsZeros) return 'padding of the frame';
  if (storage.place === places.erased) {
    if (!isZeros(storage.storedHash)) return 'storedHash';
    return parts.restIsZeros ? null : 'erased octets';
  }
  const clear = record.key === null;
  if (clear && storage.headStoredLength !== 0) return 'headStoredLength';
  // Only a message has octets that can be large, and its key opens them.
  if (storage.place === places.ownFile && (clear || record.type !== frameTypes.MSG)) return 'place';
  if (parts.storedHash === null) return null;
  if (!equalBytes(parts.storedHash, storage.storedHash)) return 'storedHash';
  if (!clear || storage.encoding !== 0) return null;
  // Without a head, what is stored is the body, and the two hashes are the same one.
  const none = storage.storedLength === 0 && isZeros(record.bodyCommitment);
  return none || equalBytes(record.bodyCommitment, parts.storedHash) ? null : 'bodyCommitment';
};

/** The next frame from `from` on whose storage header and record are good, whatever stands between. */
export const findFrame = async (window: Window, from: number, end: number): Promise<number | null> => {
  for (
    let at = await window.find(frameMagic, from, end, 8);
    at !== null;
    at = await window.find(frameMagic, at + 8, end, 8)
  ) {
    const parsed = parseFrameHead(await window.view(at, Math.min(headBytesMax, end - at)));
    if (parsed.kind === 'frame') return at;
  }
  return null;
};
