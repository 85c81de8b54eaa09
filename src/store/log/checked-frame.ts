import { createHash } from 'node:crypto';
import { ascii, equalBytes } from '#base/bytes';
import { type FrameHead, frameLimits, isZeros, parseFrameHead, places, sha256 } from '#store/segments';
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
  const parsed = parseFrameHead(await window.view(offset, Math.min(headBytesMax, end - offset)));
  if (parsed.kind === 'bad') return { kind: 'bad', field: parsed.field, head: null };
  const head = parsed.frame;
  const bad = (field: string): FrameRead => ({ kind: 'bad', field, head });
  const { record, storage } = head;
  if (offset + head.lengthBytes > end) return bad('end of the frame');

  const leaf = (await window.view(offset + head.leafAt, record.leafLength)).slice();
  if (record.leafIndex !== null && !equalBytes(leafHash(leaf), record.leafHash)) return bad('leaf');
  const padding = await window.view(offset + head.endAt, head.lengthBytes - head.endAt);
  if (!isZeros(padding)) return bad('padding of the frame');

  if (storage.place === places.erased) {
    if (!isZeros(storage.storedHash)) return bad('storedHash');
    for (let at = head.headAt; at < head.endAt; ) {
      const part = await window.view(offset + at, Math.min(65_536, head.endAt - at));
      if (!isZeros(part)) return bad('erased octets');
      at += part.length;
    }
    return { kind: 'frame', frame: { offset, head, leaf, clearBody: null } };
  }

  const clear = record.key === null;
  if (clear && storage.headStoredLength !== 0) return bad('headStoredLength');
  let clearBody: Uint8Array | null = null;
  if (storage.place === places.here) {
    const storedHash = await hashStored(window, offset, head);
    const kept = clear && storage.encoding === 0 && storage.storedLength <= clearBodyBytesMax;
    if (kept) clearBody = (await window.view(offset + head.octetsAt, storage.storedLength)).slice();
    if (!equalBytes(storedHash, storage.storedHash)) return bad('storedHash');
    if (clear && storage.encoding === 0) {
      // Without a head, what is stored is the body, and the two hashes are the same one.
      const none = storage.storedLength === 0 && isZeros(record.bodyCommitment);
      if (!none && !equalBytes(record.bodyCommitment, storedHash)) return bad('bodyCommitment');
    }
  }
  return { kind: 'frame', frame: { offset, head, leaf, clearBody } };
};

/** SHA-256(stored octets ‖ stored head), whatever their size. */
const hashStored = async (
  window: Window,
  offset: number,
  { storage, headAt, octetsAt, endAt }: FrameHead,
): Promise<Uint8Array> => {
  const single = storage.storedLength === 0 || storage.headStoredLength === 0;
  if (single && endAt - headAt <= 65_536) return sha256(await window.view(offset + headAt, endAt - headAt));
  const hash = createHash('sha256');
  await window.hash([hash], offset + octetsAt, storage.storedLength);
  await window.hash([hash], offset + headAt, storage.headStoredLength);
  return hash.digest();
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
