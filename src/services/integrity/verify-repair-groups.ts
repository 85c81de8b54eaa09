import { equalBytes } from '#base/bytes';
import {
  alignUp,
  type FrameHead,
  frameTypes,
  groupAlignBytes,
  isZeros,
  parseCommitBody,
  parseFrameHead,
  places,
  segmentHeaderBytes,
  sha256Of,
} from '#store/segments';
import { CompactRange, leafHash, parseLeaf } from '#trust/seal';

/** A group that is whole and good in every octet, wherever it lies. */
export interface GoodGroup {
  /** of the file that it was found in */
  path: string;
  start: number;
  end: number;
  firstSeq: number;
  /** of COMMIT */
  lastSeq: number;
  /** what it continues, and what the next one must name */
  prev: Uint8Array;
  lastHash: Uint8Array;
  generation: number;
  /** key epoch in use behind it */
  epoch: number;
  /** closed segments that its leaves name: SHA-256 by first seq */
  segments: readonly { number: number; sha256: Uint8Array }[];
}

/**
 * Finds the good groups in a segment, also where octets before them are missing or too many.
 *
 * @param octets the whole file
 */
export const findGroups = (path: string, octets: Uint8Array): GoodGroup[] => {
  const file = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const groups: GoodGroup[] = [];
  for (let at = segmentHeaderBytes; at < file.length; ) {
    const read = readGroup(path, file, at);
    if (read.kind === 'group') {
      groups.push(read.group);
      at = read.group.end;
      continue;
    }
    // Where it failed, every start before it would fail too.
    const next = file.indexOf('FRM1', Math.max(at + 1, read.from), 'latin1');
    if (next === -1) break;
    at = next;
  }
  return groups;
};

type GroupRead = { kind: 'group'; group: GoodGroup } | { kind: 'bad'; from: number };

const headBytesMax = 8_192;

const readGroup = (path: string, file: Buffer, start: number): GroupRead => {
  const root = new CompactRange();
  const segments: { number: number; sha256: Uint8Array }[] = [];
  let first: FrameHead | null = null;
  let before: FrameHead | null = null;
  for (let at = start; ; ) {
    const parsed = parseFrameHead(file.subarray(at, at + headBytesMax));
    if (parsed.kind === 'bad') return { kind: 'bad', from: at + 1 };
    const head = parsed.frame;
    const octets = file.subarray(at, at + head.lengthBytes);
    if (octets.length < head.lengthBytes || !isGoodFrame(head, octets)) return { kind: 'bad', from: at + 1 };
    if (before !== null) {
      const follows =
        head.record.seq === before.record.seq + 1 && equalBytes(head.record.prev, before.recordHash);
      // The frame itself may begin a group.
      if (!follows) return { kind: 'bad', from: at };
    }
    first ??= head;
    before = head;
    at += head.lengthBytes;
    if (head.record.type !== frameTypes.COMMIT) {
      root.append(leafHash(head.recordHash));
      const named = segmentOf(octets.subarray(head.leafAt, head.headAt));
      if (named !== null) segments.push(named);
      continue;
    }
    const commit = parseCommitBody(octets.subarray(head.octetsAt, head.endAt));
    const end = start + alignUp(at - start, groupAlignBytes);
    const good =
      commit !== null &&
      commit.first === first.record.seq &&
      commit.last === head.record.seq - 1 &&
      equalBytes(commit.root, root.root()) &&
      end <= file.length &&
      isZeros(file.subarray(at, end));
    if (!good) return { kind: 'bad', from: at };
    return {
      kind: 'group',
      group: {
        path,
        start,
        end,
        firstSeq: first.record.seq,
        lastSeq: head.record.seq,
        prev: first.record.prev,
        lastHash: head.recordHash,
        generation: commit.generation,
        epoch: commit.epoch,
        segments,
      },
    };
  }
};

/** Every octet of a frame whose storage header and record are good. */
const isGoodFrame = (head: FrameHead, octets: Uint8Array): boolean => {
  const { record, storage, leafAt, headAt, octetsAt, endAt } = head;
  if (record.leafIndex !== null && !equalBytes(leafHash(octets.subarray(leafAt, headAt)), record.leafHash))
    return false;
  if (!isZeros(octets.subarray(endAt))) return false;
  if (storage.place === places.erased)
    return isZeros(storage.storedHash) && isZeros(octets.subarray(headAt, endAt));
  // A file of its own is checked by itself: the frame has its hash.
  if (storage.place === places.ownFile && (record.key === null || record.type !== frameTypes.MSG))
    return false;
  const stored = octets.subarray(octetsAt, endAt);
  if (!equalBytes(sha256Of([stored, octets.subarray(headAt, octetsAt)]), storage.storedHash)) return false;
  if (record.key !== null || storage.encoding !== 0) return true;
  if (storage.headStoredLength !== 0) return false;
  return (
    (stored.length === 0 && isZeros(record.bodyCommitment)) ||
    equalBytes(storage.storedHash, record.bodyCommitment)
  );
};

const segmentOf = (leaf: Uint8Array): { number: number; sha256: Uint8Array } | null => {
  if (leaf.length === 0) return null;
  try {
    const parsed = parseLeaf(leaf);
    return parsed.kind === 'segment' ? { number: parsed.number, sha256: parsed.sha256 } : null;
  } catch {
    return null;
  }
};
