import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { FengniError } from '#base/errors';
import { type Io, type IoFile, makeFolderDurable } from '#store/durable';
import {
  encodeKeyFileHeader,
  encodeSegmentHeader,
  keyFileName,
  keySlotOffset,
  segmentFileName,
  segmentHeaderBytes,
} from '#store/segments';
import { CompactRange } from '#trust/seal';
import type { ChainState } from './chain.ts';
import {
  type FinishedGroup,
  type FrameDraft,
  Group,
  type GroupBuilder,
  type GroupLeaf,
  slotRuns,
} from './group-builder.ts';
import { keysFolder, segmentsFolder, withFile } from './inventory.ts';
import { destroySlots, type Recovered, type RecoveryOptions, recover } from './recovery.ts';
import type { LogRefusal } from './refusal.ts';
import { scanFrames } from './scan.ts';
import { type Frame, type FrameAddress, openSegmentReader, type SegmentReader } from './segment-reader.ts';
import { type Survey, surveyFrames } from './survey.ts';
import { Window } from './window.ts';

/** A closed file, as its `segment` leaf names it. */
export interface ClosedSegment {
  /** its first seq */
  number: number;
  revision: number;
  /** of the whole file, void octets at its end included */
  sha256: Uint8Array;
}

export interface LeafPlace {
  seq: number;
  leafIndex: number;
  timeMs: number;
}

export interface LogOptions extends RecoveryOptions {
  /** the text of a `segment` leaf */
  segmentLeaf(closed: ClosedSegment, place: LeafPlace): Uint8Array;
  limits?: Partial<SegmentLimits>;
}

/** A segment closes with the group that brings it to one of these. */
export interface SegmentLimits {
  segmentBytesMax: number;
  segmentFramesMax: number;
  segmentAgeMsMax: number;
}

export const segmentLimits: SegmentLimits = {
  segmentBytesMax: 64 * 2 ** 20,
  segmentFramesMax: 65_536,
  segmentAgeMsMax: 24 * 3_600_000,
};

/** A group that is durable: from here on the answer is yes. */
export interface CommittedGroup {
  generation: number;
  /** gap-free in a generation */
  group: number;
  firstSeq: number;
  /** of COMMIT */
  lastSeq: number;
  frames: number;
  sizeBytes: number;
  /** of the records firstSeq to lastSeq */
  recordHashes: readonly Uint8Array[];
  /** the leaves of the group, the log's own ones included */
  leaves: readonly GroupLeaf[];
  /** leaves in the generation with this group */
  leafCount: number;
}

export interface Log {
  readonly kind: 'log';
  readonly generation: number;
  /** of the next frame, after all groups that were handed to `commit` */
  readonly nextSeq: number;
  readonly nextLeafIndex: number;
  readonly lastRecordHash: Uint8Array;
  /** of the last frame that is durable */
  readonly durableSeq: number;
  /** why the log takes no more, or null */
  readonly failure: FengniError | null;
  /** One group is built at a time; a builder that was not committed is void with the next one. */
  beginGroup(): GroupBuilder;
  /**
   * Writes a group and resolves when it is durable. The next group may be built meanwhile; it is written when this one is durable.
   *
   * @throws {FengniError} `log-failed`: the group may be there or not; nothing is written any more, start again
   */
  commit(group: GroupBuilder): Promise<CommittedGroup>;
  /** @throws {FengniError} `frame-damaged` */
  readFrame(address: FrameAddress, seq: number): Promise<Frame>;
  /** The durable frames from a seq on, the log's own ones included. @throws {FengniError} `log-damaged` */
  scan(fromSeq: number): AsyncIterable<Frame>;
  /** What the heads of the durable frames from a seq on look like, unchecked: where snapshots lie. */
  survey(fromSeq: number): Promise<Survey>;
  /** Waits for the group in flight. */
  close(): Promise<void>;
}

/** Recovers the log of a data folder and opens it for writing; a folder without one gets an empty log. One process at a time. */
export const openLog = async (options: LogOptions): Promise<Log | LogRefusal> => {
  await makeLogFolders(options.io, options.folder);
  const recovered = await recover(options);
  if (recovered.kind === 'refused') return recovered;
  return startLog(options, recovered, null);
};

export const makeLogFolders = async (io: Io, folder: string): Promise<void> => {
  await makeFolderDurable(io, segmentsFolder(folder));
  await makeFolderDurable(io, keysFolder(folder));
};

/** @param opening a frame to be put first into the first group, given its place */
export const startLog = async (
  options: LogOptions,
  recovered: Recovered,
  opening: ((place: LeafPlace) => FrameDraft) | null,
): Promise<Log> => {
  const { io } = options;
  const { current, unnamed, hashed } = recovered;
  const hash = (path: string, sizeBytes: number): Hash | Promise<Hash> =>
    hashed?.path === path ? hashed.hash : hashOf(io, path, sizeBytes);
  let closed: ClosedSegment | null = null;
  if (unnamed !== null) {
    const whole = await hash(unnamed.path, unnamed.sizeBytes);
    closed = { number: unnamed.firstSeq, revision: unnamed.revision, sha256: whole.digest() };
  }
  const segment: Segment | null =
    current === null
      ? null
      : {
          firstSeq: current.firstSeq,
          revision: current.revision,
          path: current.path,
          offset: current.offset,
          birthMs: current.birthMs,
          root: current.root,
          hash: await hash(current.path, current.offset),
          header: null,
          file: null,
        };
  return new FileLog(options, recovered.state, segment, recovered.endOffset, closed, opening);
};

const hashOf = (io: Io, path: string, sizeBytes: number): Promise<Hash> =>
  withFile(io, path, 'read', async (file) => {
    const hash = createHash('sha256');
    await new Window(file).hash([hash], 0, sizeBytes);
    return hash;
  });

interface Segment {
  firstSeq: number;
  revision: number;
  path: string;
  /** where the next group begins */
  offset: number;
  birthMs: number;
  root: CompactRange;
  /** of the octets up to `offset` */
  hash: Hash;
  /** of a file that is not made yet */
  header: Uint8Array | null;
  file: IoFile | null;
}

interface Job {
  group: FinishedGroup;
  segment: Segment;
}

class FileLog implements Log {
  readonly kind = 'log';
  readonly #options: LogOptions;
  readonly #limits: SegmentLimits;
  readonly #reader: SegmentReader;
  readonly #keyFiles = new Map<number, IoFile>();
  /** after all groups that were handed to `commit` */
  #state: ChainState;
  #segment: Segment | null;
  #endOffset: number;
  #closed: ClosedSegment | null;
  #opening: ((place: LeafPlace) => FrameDraft) | null;
  #building: Group | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #durableSeq: number;
  #failure: FengniError | null = null;

  constructor(
    options: LogOptions,
    state: ChainState,
    segment: Segment | null,
    endOffset: number,
    closed: ClosedSegment | null,
    opening: ((place: LeafPlace) => FrameDraft) | null,
  ) {
    this.#options = options;
    this.#limits = { ...segmentLimits, ...options.limits };
    this.#reader = openSegmentReader(options);
    this.#state = state;
    this.#segment = segment;
    this.#endOffset = endOffset;
    this.#closed = closed;
    this.#opening = opening;
    this.#durableSeq = state.lastSeq;
  }

  get generation(): number {
    return this.#state.generation;
  }
  get nextSeq(): number {
    return this.#state.nextSeq;
  }
  get nextLeafIndex(): number {
    return this.#state.leaves;
  }
  get lastRecordHash(): Uint8Array {
    return this.#state.lastRecordHash;
  }
  get durableSeq(): number {
    return this.#durableSeq;
  }
  get failure(): FengniError | null {
    return this.#failure;
  }

  beginGroup(): GroupBuilder {
    if (this.#failure !== null) throw this.#failure;
    const segment = this.#segment;
    const group = new Group(
      this.#state,
      segment?.firstSeq ?? this.#state.nextSeq,
      segment?.offset ?? segmentHeaderBytes,
    );
    const place = (): LeafPlace => ({
      seq: group.nextSeq(),
      leafIndex: group.nextLeafIndex(),
      timeMs: this.#options.io.clock.nowMs(),
    });
    if (this.#opening !== null) group.open(this.#opening(place()));
    if (this.#closed !== null) {
      const leaf = this.#options.segmentLeaf(this.#closed, place());
      group.open({ type: 'LEAF', critical: true, leaf, key: null, body: { kind: 'none' } });
    }
    this.#building = group;
    return group;
  }

  commit(builder: GroupBuilder): Promise<CommittedGroup> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    let job: Job;
    try {
      const group = this.#building;
      assert(group !== null && builder === group, 'the group that was begun last is the one to commit');
      this.#building = null;
      job = this.#plan(group);
    } catch (error) {
      // Nothing was handed over: the log stands where it stood.
      return Promise.reject(error);
    }
    const turn = this.#turn.then(() => this.#write(job));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  readFrame(address: FrameAddress, seq: number): Promise<Frame> {
    return this.#reader.readFrame(address, seq);
  }

  scan(fromSeq: number): AsyncIterable<Frame> {
    const { io, folder, shard } = this.#options;
    return scanFrames(io, folder, shard, fromSeq, this.#durableSeq);
  }

  survey(fromSeq: number): Promise<Survey> {
    const { io, folder, shard } = this.#options;
    return surveyFrames(io, folder, shard, fromSeq, this.#durableSeq);
  }

  async close(): Promise<void> {
    await this.#turn;
    this.#failure ??= new FengniError('log-closed', {
      subject: 'the log was closed',
      remedy: 'open it again',
    });
    await this.#closeFiles();
    await this.#reader.close();
  }

  /** Gives the group its place and numbers; from here on it is the one before the next, unless the log fails. */
  #plan(group: Group): Job {
    const nowMs = this.#options.io.clock.nowMs();
    const segment = this.#segment ?? this.#newSegment(nowMs);
    const closes =
      group.endOffset >= this.#limits.segmentBytesMax ||
      segment.root.size + group.count >= this.#limits.segmentFramesMax ||
      nowMs - segment.birthMs >= this.#limits.segmentAgeMsMax;
    const finished = group.finish(closes ? { root: segment.root.copy(), first: segment.firstSeq } : null);
    this.#opening = null;
    this.#closed = null;
    for (const piece of finished.pieces) segment.hash.update(piece);
    for (const hash of finished.recordLeafHashes) segment.root.append(hash);
    segment.offset += finished.sizeBytes;
    this.#state = finished.next;
    this.#endOffset = segment.offset;
    if (closes) {
      this.#closed = { number: segment.firstSeq, revision: segment.revision, sha256: segment.hash.digest() };
      this.#segment = null;
    } else {
      this.#segment = segment;
    }
    return { group: finished, segment };
  }

  #newSegment(nowMs: number): Segment {
    const { lastSeq, nextSeq, lastRecordHash, generation, epoch } = this.#state;
    const header = encodeSegmentHeader({
      shard: this.#options.shard,
      generation,
      revision: 0,
      firstSeq: nextSeq,
      epoch,
      prevEnd: lastSeq === 0 ? null : { seq: lastSeq, offset: this.#endOffset, recordHash: lastRecordHash },
    });
    return {
      firstSeq: nextSeq,
      revision: 0,
      path: `${segmentsFolder(this.#options.folder)}/${segmentFileName(nextSeq, 0)}`,
      offset: segmentHeaderBytes,
      birthMs: nowMs,
      root: new CompactRange(),
      hash: createHash('sha256').update(header),
      header,
      file: null,
    };
  }

  async #write({ group, segment }: Job): Promise<CommittedGroup> {
    if (this.#failure !== null) throw this.#failure;
    try {
      const file = await this.#segmentFile(segment);
      const slots = await this.#slotWrites(group);
      await all([file.write(group.pieces, group.offset), ...slots.map(({ write }) => write())]);
      await all([file.dataSync(), ...slots.map((slot) => slot.file.dataSync())]);
    } catch (error) {
      await segment.file?.close().catch(() => {});
      throw await this.#fail(error);
    }
    this.#durableSeq = group.last;
    await this.#closeFullEpochs(group.next.epoch);
    if (group.sealed) await this.#closeSegment(segment);
    await this.#erase(group);
    return {
      generation: group.next.generation,
      group: group.next.group,
      firstSeq: group.first,
      lastSeq: group.last,
      frames: group.count,
      sizeBytes: group.sizeBytes,
      recordHashes: group.recordHashes,
      leaves: group.leaves,
      leafCount: group.next.leaves,
    };
  }

  async #segmentFile(segment: Segment): Promise<IoFile> {
    if (segment.file !== null) return segment.file;
    const { io, folder } = this.#options;
    if (segment.header === null) {
      segment.file = await io.open(segment.path, 'write');
      return segment.file;
    }
    // Header and name are durable before a group follows: recovery takes a file without a header for one never begun.
    segment.file = await io.open(segment.path, 'create-new');
    await segment.file.write([segment.header], 0);
    await segment.file.sync();
    await io.syncFolder(segmentsFolder(folder));
    segment.header = null;
    return segment.file;
  }

  async #slotWrites(group: FinishedGroup): Promise<{ file: IoFile; write(): Promise<void> }[]> {
    const writes: { file: IoFile; write(): Promise<void> }[] = [];
    for (const run of slotRuns(group.slots)) {
      const file = await this.#keyFile(run.epoch, group.next.generation);
      writes.push({ file, write: () => file.write(run.pieces, keySlotOffset(run.firstSlot)) });
    }
    return writes;
  }

  async #keyFile(epoch: number, generation: number): Promise<IoFile> {
    const known = this.#keyFiles.get(epoch);
    if (known !== undefined) return known;
    const { io, folder, shard } = this.#options;
    const path = `${keysFolder(folder)}/${keyFileName(epoch)}`;
    const isNew = (await io.stat(path)) === null;
    const file = await io.open(path, isNew ? 'create-new' : 'write');
    this.#keyFiles.set(epoch, file);
    if (isNew) {
      await file.write([encodeKeyFileHeader({ shard, generation, epoch })], 0);
      await file.sync();
      await io.syncFolder(keysFolder(folder));
    }
    return file;
  }

  /** The answer to the group is yes already; an error here ends the log, and recovery destroys the slots. */
  async #erase(group: FinishedGroup): Promise<void> {
    if (group.erased.length === 0) return;
    try {
      await destroySlots(this.#options.io, this.#options.folder, group.erased, false);
    } catch (error) {
      await this.#fail(error);
    }
  }

  async #closeFullEpochs(current: number): Promise<void> {
    for (const [epoch, file] of this.#keyFiles) {
      if (epoch >= current) continue;
      this.#keyFiles.delete(epoch);
      await file.close().catch(async (error) => this.#fail(error));
    }
  }

  async #closeSegment(segment: Segment): Promise<void> {
    try {
      await segment.file?.close();
    } catch (error) {
      await this.#fail(error);
    }
  }

  /** Fail-stop: what is on the disk is for recovery to find out, with descriptors of its own. */
  async #fail(cause: unknown): Promise<FengniError> {
    this.#failure ??= new FengniError('log-failed', {
      subject: cause instanceof Error ? cause.message : String(cause),
      remedy:
        cause instanceof FengniError
          ? cause.remedy
          : 'look for disk errors in the system log, then start again',
      retryable: true,
      cause,
    });
    this.#building = null;
    await this.#closeFiles();
    return this.#failure;
  }

  async #closeFiles(): Promise<void> {
    const files = [this.#segment?.file ?? null, ...this.#keyFiles.values()];
    this.#keyFiles.clear();
    for (const file of files) await file?.close().catch(() => {});
  }
}

/** Waits for all, then throws the first error: no call may still run when the log is given up. */
const all = async (calls: readonly Promise<void>[]): Promise<void> => {
  for (const result of await Promise.allSettled(calls)) if (result.status === 'rejected') throw result.reason;
};
