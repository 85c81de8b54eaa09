import { createHash } from 'node:crypto';
import { ascii, equalBytes } from '#base/bytes';
import {
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

/** Reads the frame at `offset`, which must lie whole before `end`; names the first field that is not as it must be. */
export const readFrame = async (window: Window, offset: number, end: number): Promise<FrameRead> => {
  const headBytes = Math.min(headBytesMax, end - offset);
  const parsed = parseFrameHead(window.held(offset, headBytes) ?? (await window.view(offset, headBytes)));
  if (parsed.kind === 'bad') return { kind: 'bad', field: parsed.field, head: null };
  const head = parsed.frame;
  const { lengthBytes } = head;
  if (offset + lengthBytes > end) return { kind: 'bad', field: 'end of the frame', head };
  // A frame that is small is looked at as a whole: waiting costs more than hashing.
  const parts =
    lengthBytes <= smallFrameBytesMax
      ? partsOf(head, window.held(offset, lengthBytes) ?? (await window.view(offset, lengthBytes)))
      : await readParts(window, offset, head);
  const field = wrongPart(head, parts);
  if (field !== null) return { kind: 'bad', field, head };
  return { kind: 'frame', frame: { offset, head, leaf: parts.leaf, clearBody: parts.clearBody } };
};

const smallFrameBytesMax = 65_536;
const noOctets = new Uint8Array(0);

/** What is behind the record, as far as it is checked. */
interface Parts {
  leaf: Uint8Array;
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

const partsOf = (head: FrameHead, whole: Uint8Array): Parts => {
  const { leafAt, headAt, octetsAt, endAt, storage } = head;
  const octets = whole.subarray(octetsAt, endAt);
  const single = octets.length === 0 || storage.headStoredLength === 0;
  return {
    leaf: headAt === leafAt ? noOctets : whole.slice(leafAt, headAt),
    paddingIsZeros: isZeros(whole.subarray(endAt)),
    storedHash:
      storage.place === places.erased
        ? null
        : single
          ? sha256(whole.subarray(headAt, endAt))
          : sha256Of([octets, whole.subarray(headAt, octetsAt)]),
    restIsZeros: storage.place !== places.erased || isZeros(whole.subarray(headAt, endAt)),
    clearBody: keepsBody(head) ? octets.slice() : null,
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
  return { leaf, paddingIsZeros, storedHash, restIsZeros, clearBody };
};

const wrongPart = ({ record, storage }: FrameHead, parts: Parts): string | null => {
  if (record.leafIndex !== null && !equalBytes(leafHash(parts.leaf), record.leafHash)) return 'leaf';
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
