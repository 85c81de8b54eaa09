import { equalBytes, hex } from '#base/bytes';
import {
  alignUp,
  type CommitBody,
  frameTypes,
  groupAlignBytes,
  isZeros,
  parseCommitBody,
} from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';
import { type CheckedFrame, heldFrame, type Kept, readFrame } from './checked-frame.ts';
import type { Window } from './window.ts';

/** Where the log stands between two groups: everything the next group must connect to. */
export interface ChainState {
  generation: number;
  /** of the last accepted frame; 0 in an empty log */
  lastSeq: number;
  /** of the next frame: lastSeq + 1, or more at the start of a later generation */
  nextSeq: number;
  lastRecordHash: Uint8Array;
  /** groups in this generation */
  group: number;
  /** leaves in this generation's ledger */
  leaves: number;
  /** key epoch in use, and slots taken in it */
  epoch: number;
  slots: number;
}

export interface ReadGroup {
  start: number;
  /** where the next group begins */
  end: number;
  frames: readonly CheckedFrame[];
  commitFrame: CheckedFrame;
  commit: CommitBody;
  /** offsets of frames whose body is not as it must be and may be passed over */
  passedOver: readonly number[];
  /** leaf hashes of the record hashes, COMMIT's too, for the root of the segment */
  recordLeafHashes: readonly Uint8Array[];
  next: ChainState;
}

export type GroupRead =
  | { kind: 'group'; group: ReadGroup }
  | {
      kind: 'bad';
      start: number;
      /** offset of what is bad */
      at: number;
      field: string;
      /** of the frame concerned, where it can be told */
      seq: number | null;
      /** the frames before it, all good in themselves */
      frames: readonly CheckedFrame[];
    };

const nothing: ReadonlySet<number> = new Set();

/** No writer makes a larger group, no reader believes one. */
export const groupFramesMax = 65_536;

/**
 * Reads one group: every octet of it, and that it continues the chain exactly.
 *
 * @param state where the log stands; null takes the group's own word for where it begins (after a part that is lost)
 * @param mayPassOver types of frames that say nothing new: a good record whose body is damaged goes by without it. Never while it is
 * still to be found out where the log ends
 * @param kept `chain`: frames without their leaves, and bodies of COMMIT and ERASED alone
 */
export const readGroup = async (
  window: Window,
  start: number,
  end: number,
  state: ChainState | null,
  mayPassOver: ReadonlySet<number> = nothing,
  kept: Kept = 'all',
): Promise<GroupRead> => {
  const passedOver: number[] = [];
  const frames: CheckedFrame[] = [];
  const recordLeafHashes: Uint8Array[] = [];
  const root = new CompactRange();
  let at = start;
  let seq = state?.nextSeq ?? null;
  let prev = state?.lastRecordHash ?? null;
  let leaves = state?.leaves ?? null;
  const bad = (field: string, where = at): GroupRead => ({
    kind: 'bad',
    start,
    at: where,
    field,
    seq,
    frames,
  });

  for (;;) {
    const read = heldFrame(window, at, end, kept) ?? (await readFrame(window, at, end, kept));
    let frame: CheckedFrame;
    if (read.kind === 'frame') frame = read.frame;
    else {
      if (read.head === null || !mayPassOver.has(read.head.record.type)) return bad(read.field);
      if (at + read.head.lengthBytes > end) return bad(read.field);
      frame = { offset: at, head: read.head, leaf: new Uint8Array(0), clearBody: null };
      passedOver.push(at);
    }
    const { record } = frame.head;
    if (record.seq !== (seq ?? record.seq)) return bad(`seq (${record.seq} instead of ${seq})`);
    seq = record.seq;
    if (prev !== null && !equalBytes(record.prev, prev)) return bad('prev (the chain of records)');
    if (record.leafIndex !== null) {
      if (record.leafIndex !== (leaves ?? record.leafIndex))
        return bad(`leafIndex (${record.leafIndex} instead of ${leaves})`);
      leaves = record.leafIndex + 1;
    }
    const recordLeafHash = leafHash(frame.head.recordHash);
    recordLeafHashes.push(recordLeafHash);
    if (record.type === frameTypes.COMMIT) {
      const padStart = at + frame.head.lengthBytes;
      const groupEnd = alignUp(padStart, groupAlignBytes);
      const commit = frame.clearBody === null ? null : parseCommitBody(frame.clearBody);
      if (commit === null) return bad('body of COMMIT');
      const field = wrongCommit(commit, frame, frames, root, state, leaves);
      if (field !== null) return bad(field);
      const padding =
        window.held(padStart, groupEnd - padStart) ?? (await window.view(padStart, groupEnd - padStart));
      if (groupEnd > end || padding.length < groupEnd - padStart)
        return bad('padding of the group', padStart);
      if (!isZeros(padding)) return bad('padding of the group', padStart);
      const next: ChainState = {
        generation: commit.generation,
        lastSeq: record.seq,
        nextSeq: record.seq + 1,
        lastRecordHash: frame.head.recordHash,
        group: commit.group,
        leaves: commit.leaves,
        epoch: commit.epoch,
        slots: commit.slots,
      };
      return {
        kind: 'group',
        group: {
          start,
          end: groupEnd,
          frames,
          commitFrame: frame,
          commit,
          passedOver,
          recordLeafHashes,
          next,
        },
      };
    }
    root.append(recordLeafHash);
    frames.push(frame);
    if (frames.length > groupFramesMax) return bad('count of frames in a group');
    prev = frame.head.recordHash;
    seq += 1;
    at += frame.head.lengthBytes;
  }
};

const wrongCommit = (
  commit: CommitBody,
  frame: CheckedFrame,
  frames: readonly CheckedFrame[],
  root: CompactRange,
  state: ChainState | null,
  leaves: number | null,
): string | null => {
  const wrong = (name: string, is: number | string, expected: number | string): string =>
    `${name} in COMMIT (${is} instead of ${expected})`;
  const first = frames[0]?.head.record.seq;
  if (first === undefined) return 'COMMIT without a frame before it';
  if (commit.first !== first) return wrong('first', commit.first, first);
  if (commit.last !== frame.head.record.seq - 1) return wrong('last', commit.last, frame.head.record.seq - 1);
  if (leaves !== null && commit.leaves !== leaves) return wrong('leaves', commit.leaves, leaves);
  if (!equalBytes(commit.root, root.root())) return wrong('root', hex(commit.root), hex(root.root()));
  if (state === null) return null;
  if (commit.generation !== state.generation) return wrong('generation', commit.generation, state.generation);
  if (commit.group !== state.group + 1) return wrong('group', commit.group, state.group + 1);
  if (commit.acked !== state.lastSeq) return wrong('acked', commit.acked, state.lastSeq);
  if (commit.epoch < state.epoch || (commit.epoch === state.epoch && commit.slots < state.slots))
    return wrong('slots', commit.slots, `at least ${state.slots}`);
  return null;
};
