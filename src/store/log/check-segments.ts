import { createHash } from 'node:crypto';
import { equalBytes } from '#base/bytes';
import { type Json, parseCanonicalJson } from '#base/canonical-json';
import type { Io } from '#store/durable';
import {
  alignUp,
  type CommitBody,
  frameTypeName,
  frameTypes,
  isKnownFrameType,
  isZeros,
  keyFileHeaderBytes,
  keyFileName,
  keySlotBytes,
  keySlotOffset,
  parseCommitBody,
  parseErasedKeys,
  parseKeySlot,
  parseSealBody,
  places,
  slotStates,
  slotsPerEpoch,
} from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';
import { type CheckedFrame, findFrame, readFrame } from './checked-frame.ts';
import {
  commitEndingAt,
  keysFolder,
  type SegmentFile,
  segmentsFolder,
  takeInventory,
  withFile,
} from './inventory.ts';
import { wrongHeader } from './key-reader.ts';
import { KeySlots } from './key-slots.ts';
import type { ClosedSegment } from './log.ts';
import { proofOfMore } from './proof.ts';
import { Window } from './window.ts';

/** Something that is not as it must be. */
export interface Deviation {
  /** below DATA, as in `segments/0000000000000001.0.fseg` */
  file: string;
  offset: number | null;
  seq: number | null;
  /** what it is, a phrase */
  what: string;
}

export interface CheckOptions {
  io: Io;
  /** DATA */
  folder: string;
  shard: number;
  /** a server writes meanwhile: what stands behind the last whole group is still being written */
  live: boolean;
  /**
   * What is known to have been acknowledged: by the writer, an index, a signed head. A last group beyond it that is not whole is taken for
   * one that never was, as recovery does.
   */
  certain?: { seq: number; leaves: number };
  deviation(found: Deviation): void;
  /** every good frame, in order: for leaves, heads and bodies, which others check */
  frame?(frame: CheckedFrame, file: string): void | Promise<void>;
  /** what a leaf says of a closed file, or null for a leaf of another kind */
  segmentOfLeaf?(leaf: Uint8Array): ClosedSegment | null;
  progress?(done: { octets: number; ofOctets: number }): void;
}

export interface CheckSummary {
  segments: number;
  groups: number;
  frames: number;
  octets: number;
  /** sealed bodies whose octets are as stored, and those that are erased */
  sealed: number;
  erased: number;
  keySlots: number;
  firstSeq: number;
  lastSeq: number;
  /** octets behind the last group that never became one; the next start puts them out of the way */
  unfinishedOctets: number;
  /** key slots behind the last group that are not empty: the same */
  unfinishedSlots: number;
  /** deviations inside octets that a later generation accepted as lost */
  acceptedLosses: number;
}

/**
 * Checks every octet of segments and key files, without a key: headers, checksums, chain, numbers, leaves, stored hashes, padding, slots.
 *
 * It goes on behind damage as far as anything can be made out, and reports each deviation once.
 */
export const checkSegments = async (options: CheckOptions): Promise<CheckSummary> => {
  const { io, folder, shard } = options;
  const inventory = await takeInventory(io, folder, shard);
  const checker = new Checker(options, inventory.segments);
  await checker.readGaps();
  await checkNames(options, inventory.segments);
  for (const at of inventory.segments.keys()) await checker.segment(at);
  for (const epoch of inventory.epochs) await checker.keyFile(epoch);
  checker.finish(inventory.epochs);
  return checker.summary;
};

/** Files that no reader looks at must be ones that may be there. */
const checkNames = async (
  { io, folder, deviation }: CheckOptions,
  segments: readonly SegmentFile[],
): Promise<void> => {
  const known = new Set(segments.map(({ name }) => name));
  const allowed: [string, RegExp][] = [
    [segmentsFolder(folder), /\.fseg\.(void\d*|par2)$/],
    [keysFolder(folder), /^\d{8}\.fkeys(\.void\d*)?$/],
  ];
  for (const [path, pattern] of allowed) {
    const sub = path.slice(folder.length + 1);
    if ((await io.stat(path)) === null) {
      deviation({ file: sub, offset: null, seq: null, what: 'the folder is missing' });
      continue;
    }
    for (const name of await io.readFolder(path)) {
      if (!known.has(name) && !pattern.test(name))
        deviation({
          file: `${sub}/${name}`,
          offset: null,
          seq: null,
          what: 'a file that does not belong here',
        });
    }
  }
};

class Checker {
  readonly summary: CheckSummary = {
    segments: 0,
    groups: 0,
    frames: 0,
    octets: 0,
    sealed: 0,
    erased: 0,
    keySlots: 0,
    firstSeq: 0,
    lastSeq: 0,
    unfinishedOctets: 0,
    unfinishedSlots: 0,
    acceptedLosses: 0,
  };
  readonly #options: CheckOptions;
  readonly #files: readonly SegmentFile[];
  readonly #slots: KeySlots;
  readonly #ofOctets: number;
  /** by epoch: for each slot the seq of the frame that took it */
  readonly #taken = new Map<number, Float64Array>();
  readonly #erasedKeys = new Set<string>();
  readonly #destroyed: { epoch: number; slot: number; seq: number }[] = [];
  readonly #hashes = new Map<number, { file: string; revision: number; sha256: Uint8Array }>();
  readonly #named = new Set<number>();
  /** where void octets follow the SEAL of a file: a cut of the power left them when the SEAL itself was on the disk, unless its hash is another */
  readonly #behindSeal = new Map<number, number>();
  readonly #groups = new Map<number, number>();
  readonly #accepted = new Map<string, { from: number; to: number }[]>();
  /** seqs of the frames that are there, as runs */
  readonly #runs: { first: number; last: number }[] = [];
  /** nothing is missing between the last COMMIT and here */
  #unbroken = true;
  /** what the next frame must connect to; null where that is not known */
  #seq: number | null = null;
  #prev: Uint8Array | null = null;
  #leaves: number | null = null;
  #commit: CommitBody | null = null;
  #lastSeq = 0;

  constructor(options: CheckOptions, files: readonly SegmentFile[]) {
    this.#options = options;
    this.#files = files;
    this.#slots = new KeySlots(options.io, options.folder, options.shard);
    this.#ofOctets = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  }

  /** What later generations declare as lost. */
  async readGaps(): Promise<void> {
    for (const [at, file] of this.#files.entries()) {
      if (
        at === 0 ||
        file.header === null ||
        file.header.generation === this.#files[at - 1]?.header?.generation
      )
        continue;
      const read = await withFile(this.#options.io, file.path, 'read', (opened) =>
        readFrame(new Window(opened), file.groupsAt, file.sizeBytes),
      );
      if (read.kind !== 'frame' || read.frame.clearBody === null) continue;
      for (const { file: name, from, to } of parseLost(read.frame.clearBody)) {
        this.#accepted.set(name, [...(this.#accepted.get(name) ?? []), { from, to }]);
      }
    }
  }

  async segment(at: number): Promise<void> {
    const file = this.#files[at] as SegmentFile;
    const before = this.#files[at - 1] ?? null;
    const next = this.#files[at + 1] ?? null;
    const name = `segments/${file.name}`;
    this.summary.segments += 1;
    await this.#link(file, before, name);
    const newGeneration = file.header !== null && file.header.generation !== before?.header?.generation;
    const end = Math.min(file.sizeBytes, next?.header?.prevEnd?.offset ?? file.sizeBytes);
    if (newGeneration) {
      this.#seq = file.header?.firstSeq ?? null;
      this.#prev = file.header?.prevEnd?.recordHash ?? new Uint8Array(32);
      this.#leaves = 0;
      this.#commit = null;
      this.#unbroken = false;
      this.#lastSeq = file.header?.prevEnd?.seq ?? 0;
    }
    await withFile(this.#options.io, file.path, 'read', async (opened) => {
      await this.#frames(new Window(opened), file, end, next === null);
      const hash = createHash('sha256');
      await new Window(opened).hash([hash], 0, file.sizeBytes);
      this.#hashes.set(file.firstSeq, { file: name, revision: file.revision, sha256: hash.digest() });
    });
    this.summary.octets += file.sizeBytes;
    this.#options.progress?.({ octets: this.summary.octets, ofOctets: this.#ofOctets });
  }

  async keyFile(epoch: number): Promise<void> {
    const { io, folder, shard } = this.#options;
    const name = `keys/${keyFileName(epoch)}`;
    const report = (offset: number, seq: number | null, what: string): void =>
      this.#options.deviation({ file: name, offset, seq, what });
    const octets = await io.readFile(`${folder}/${name}`);
    const wrong = wrongHeader(octets.subarray(0, keyFileHeaderBytes), epoch, shard);
    const taken = this.#taken.get(epoch);
    if (wrong !== null) {
      // A file that no group uses yet is made by the next one that does.
      if (taken !== undefined || !this.#isNewestEpoch(epoch)) report(0, null, wrong);
      if (taken === undefined) return;
    }
    const isOpen = this.#isNewestEpoch(epoch);
    const committed = this.#commit?.epoch === epoch ? this.#commit.slots : slotsPerEpoch;
    const count = Math.max(
      Math.ceil((octets.length - keyFileHeaderBytes) / keySlotBytes),
      taken === undefined ? 0 : lastOf(taken) + 1,
    );
    for (let slot = 0; slot < count; slot++) {
      const offset = keySlotOffset(slot);
      const seq = taken?.[slot] ?? 0;
      const raw = octets.subarray(offset, offset + keySlotBytes);
      const parsed =
        raw.length < keySlotBytes && isZeros(raw) ? ({ kind: 'empty' } as const) : parseKeySlot(raw, slot);
      if (seq === 0) {
        // Behind the last group: taken by one that is being written, or that never was.
        const behind = isOpen && slot >= committed;
        if (behind && parsed.kind !== 'empty') this.summary.unfinishedSlots += 1;
        else if (parsed.kind === 'bad') report(offset, null, `slot ${slot}: ${parsed.field}`);
        else if (parsed.kind === 'slot' && this.#isThere(parsed.slot.seq))
          report(
            offset,
            parsed.slot.seq,
            `slot ${slot} is taken by frame ${parsed.slot.seq}, which does not name it`,
          );
        continue;
      }
      this.summary.keySlots += 1;
      if (parsed.kind === 'empty') report(offset, seq, `slot ${slot} is missing`);
      else if (parsed.kind === 'bad') report(offset, seq, `slot ${slot}: ${parsed.field}`);
      // The frame that took it may be lost: then a later one that uses it is the first that is seen.
      else if (parsed.slot.seq > seq || (parsed.slot.seq !== seq && this.#isThere(parsed.slot.seq)))
        report(offset, seq, `slot ${slot}: seq (${parsed.slot.seq} instead of ${seq})`);
      else if (parsed.slot.state === slotStates.destroyed) {
        this.summary.erased += 1;
        this.#destroyed.push({ epoch, slot, seq });
      }
    }
  }

  finish(epochs: readonly number[]): void {
    const { deviation } = this.#options;
    for (const epoch of this.#taken.keys()) {
      if (!epochs.includes(epoch))
        deviation({
          file: `keys/${keyFileName(epoch)}`,
          offset: null,
          seq: null,
          what: 'the file is missing',
        });
    }
    for (const { epoch, slot, seq } of this.#destroyed) {
      if (!this.#erasedKeys.has(`${epoch}:${slot}`)) {
        const file = `keys/${keyFileName(epoch)}`;
        deviation({
          file,
          offset: keySlotOffset(slot),
          seq,
          what: `slot ${slot} is destroyed without an ERASED frame`,
        });
      }
    }
    for (const key of this.#erasedKeys) {
      const [epoch, slot] = key.split(':').map(Number) as [number, number];
      if ((this.#taken.get(epoch)?.[slot] ?? 0) === 0) continue;
      if (
        !this.#destroyed.some((gone) => gone.epoch === epoch && gone.slot === slot) &&
        !this.#options.live
      ) {
        const file = `keys/${keyFileName(epoch)}`;
        deviation({
          file,
          offset: keySlotOffset(slot),
          seq: null,
          what: `slot ${slot} is erased but not destroyed`,
        });
      }
    }
    for (const [at, file] of this.#files.entries()) {
      const next = this.#files[at + 1];
      if (this.#options.segmentOfLeaf === undefined || next === undefined) break;
      // The first group of a segment names the file before it.
      if ((this.#groups.get(next.firstSeq) ?? 0) > 0 && !this.#named.has(file.firstSeq))
        deviation({
          file: `segments/${file.name}`,
          offset: null,
          seq: null,
          what: 'no segment leaf names this file',
        });
    }
    this.summary.lastSeq = this.#lastSeq;
  }

  /** A frame that is missing is reported, or was accepted as lost, where it is missing. */
  #isThere(seq: number): boolean {
    return this.#runs.some(({ first, last }) => seq >= first && seq <= last);
  }

  #isNewestEpoch(epoch: number): boolean {
    return this.#commit === null || epoch >= this.#commit.epoch;
  }

  async #link(file: SegmentFile, before: SegmentFile | null, name: string): Promise<void> {
    const report = (what: string, seq: number | null = null): void =>
      this.#options.deviation({ file: name, offset: 0, seq, what });
    const { header } = file;
    if (header === null) {
      report(`header: ${file.wrong}`);
      return;
    }
    const { prevEnd } = header;
    if (before === null) {
      this.summary.firstSeq = header.firstSeq;
      if (header.generation === 1 && (header.firstSeq !== 1 || prevEnd !== null))
        report(`the log begins with seq ${header.firstSeq}: what was before is missing`, header.firstSeq);
      return;
    }
    const sameGeneration = before.header === null || header.generation === before.header.generation;
    if (before.header !== null && header.generation < before.header.generation)
      report(`header: generation ${header.generation} after ${before.header.generation}`);
    if (prevEnd === null) {
      report('header: prevEnd is missing');
      return;
    }
    if (sameGeneration && prevEnd.seq + 1 !== header.firstSeq)
      report(`header: prevEnd.seq (${prevEnd.seq} instead of ${header.firstSeq - 1})`);
    const commit = await commitEndingAt(this.#options.io, before.path, prevEnd.offset, prevEnd.recordHash);
    if (commit === null || commit.frame.head.record.seq !== prevEnd.seq) {
      report(
        `the group that ends with seq ${prevEnd.seq} is not at the end of segments/${before.name}: damaged there, or a segment between is missing`,
        prevEnd.seq,
      );
    } else if (sameGeneration && commit.commit.epoch !== header.epoch) {
      report(`header: epoch (${header.epoch} instead of ${commit.commit.epoch})`);
    }
  }

  async #frames(window: Window, file: SegmentFile, end: number, isLast: boolean): Promise<void> {
    const name = `segments/${file.name}`;
    const segmentRoot = new CompactRange();
    let groupRoot = new CompactRange();
    /** false while frames are missing from the group or the segment */
    let groupWhole = true;
    let segmentWhole = true;
    let groupFirst: number | null = null;
    let groupStart = file.groupsAt;
    let groupLeaves = this.#leaves ?? 0;
    let pending: [offset: number, frame: CheckedFrame][] = [];
    /** of this group: whole, and from a newer program */
    let unknown = 0;
    let closedBySeal = false;
    /** the last group never became one */
    let unfinished = false;
    let groups = 0;
    const found: Deviation[] = [];
    const report = (offset: number, seq: number | null, what: string): void => {
      found.push({ file: name, offset, seq, what });
    };
    const flush = (): void => {
      for (const deviation of found.splice(0)) {
        const at = deviation.offset ?? 0;
        if (this.#accepted.get(name)?.some(({ from, to }) => at >= from && at < to))
          this.summary.acceptedLosses += 1;
        else this.#options.deviation(deviation);
      }
    };

    let at = file.groupsAt;
    while (at < end) {
      const read = await readFrame(window, at, end);
      const head = read.kind === 'frame' ? read.frame.head : read.head;
      if (head === null || at + head.lengthBytes > end) {
        const next = await findFrame(window, at + 8, end);
        unfinished = isLast && (await this.#neverWas(window, groupStart, end, groupLeaves));
        if (unfinished) break;
        report(
          at,
          this.#seq,
          read.kind === 'bad' ? `frame ${this.#seq ?? ''}: ${read.field}` : 'end of the frame',
        );
        groupWhole = false;
        segmentWhole = false;
        this.#unbroken = false;
        this.#prev = null;
        this.#leaves = null;
        this.#seq = null;
        if (next === null) {
          at = end;
          break;
        }
        at = next;
        continue;
      }
      const { record } = head;
      if (read.kind === 'bad') report(at, record.seq, `frame ${record.seq}: ${read.field}`);
      this.#connect(record, head.recordHash, at, report);
      groupFirst ??= record.seq;
      this.summary.frames += 1;
      const recordLeafHash = leafHash(head.recordHash);

      if (read.kind === 'frame') {
        const { frame } = read;
        if (!isKnownFrameType(record.type) && record.critical) {
          unknown += 1;
          report(
            at,
            record.seq,
            `frame ${record.seq}: a critical ${frameTypeName(record.type)} that this program does not know`,
          );
        }
        pending.push([at, frame]);
        if (record.type === frameTypes.SEAL) {
          const seal = frame.clearBody === null ? null : parseSealBody(frame.clearBody);
          const good =
            seal !== null &&
            (!segmentWhole ||
              (seal.first === file.firstSeq &&
                seal.last === record.seq - 1 &&
                seal.count === segmentRoot.size &&
                equalBytes(seal.root, segmentRoot.root())));
          if (!good) report(at, record.seq, `frame ${record.seq}: SEAL does not fit its segment`);
          closedBySeal = true;
        }
      }
      segmentRoot.append(recordLeafHash);
      at += head.lengthBytes;
      if (record.type !== frameTypes.COMMIT) {
        groupRoot.append(recordLeafHash);
        continue;
      }

      const commitAt = at - head.lengthBytes;
      const body =
        read.kind === 'frame' && read.frame.clearBody !== null ? parseCommitBody(read.frame.clearBody) : null;
      const wrong =
        body === null ? 'body' : this.#wrongCommit(body, file, groupWhole, groupFirst, record.seq, groupRoot);
      if (read.kind === 'frame' && wrong !== null)
        report(commitAt, record.seq, `frame ${record.seq}: ${wrong} of COMMIT`);
      const groupEnd = Math.min(alignUp(at, 512), end);
      if (!isZeros(await window.view(at, groupEnd - at)) || alignUp(at, 512) > end)
        report(at, record.seq, `padding of the group that ends with frame ${record.seq}`);
      const slotsMissing = isLast && groupWhole && body !== null && !(await this.#slotsAreThere(file, body));
      // What a newer program wrote is no torn end: a start refuses it.
      const doubtful = isLast && (slotsMissing || found.length > unknown);
      unfinished = doubtful && (await this.#neverWas(window, groupStart, end, groupLeaves));
      if (unfinished) break;
      if (body !== null) {
        this.#commit = body;
        this.#leaves = body.leaves;
      }
      this.#unbroken = body !== null;
      for (const [offset, frame] of pending.splice(0)) {
        this.#note(frame, name, offset);
        await this.#options.frame?.(frame, name);
      }
      flush();
      groups += 1;
      this.#lastSeq = record.seq;
      this.summary.groups += 1;
      groupRoot = new CompactRange();
      groupWhole = true;
      groupFirst = null;
      unknown = 0;
      at = groupEnd;
      groupStart = at;
      groupLeaves = this.#leaves ?? 0;
    }

    this.#groups.set(file.firstSeq, groups);
    const rest = file.sizeBytes - groupStart;
    // A file may end where a frame does, in the middle of a group.
    if (isLast && groupFirst !== null && !unfinished)
      unfinished = await this.#neverWas(window, groupStart, end, groupLeaves);
    if (unfinished) {
      // The last group was never whole: nothing of it was acknowledged, so nothing about it is a deviation.
      this.summary.unfinishedOctets = rest;
      this.summary.frames -= pending.length;
      pending = [];
      return;
    }
    flush();
    if (groupFirst !== null)
      this.#options.deviation({
        file: name,
        offset: groupStart,
        seq: groupFirst,
        what: 'a group without COMMIT',
      });
    if (!isLast && closedBySeal && file.sizeBytes > end) this.#behindSeal.set(file.firstSeq, end);
  }

  #connect(
    record: CheckedFrame['head']['record'],
    recordHash: Uint8Array,
    at: number,
    report: (offset: number, seq: number | null, what: string) => void,
  ): void {
    if (this.#seq !== null && record.seq !== this.#seq)
      report(at, record.seq, `seq (${record.seq} instead of ${this.#seq})`);
    else if (this.#prev !== null && !equalBytes(record.prev, this.#prev))
      report(at, record.seq, `frame ${record.seq}: prev (the chain of records is broken)`);
    if (record.leafIndex !== null) {
      if (this.#leaves !== null && record.leafIndex !== this.#leaves)
        report(
          at,
          record.seq,
          `frame ${record.seq}: leafIndex (${record.leafIndex} instead of ${this.#leaves})`,
        );
      this.#leaves = record.leafIndex + 1;
    }
    this.#seq = record.seq + 1;
    this.#prev = recordHash;
    const run = this.#runs.at(-1);
    if (run !== undefined && run.last + 1 === record.seq) run.last = record.seq;
    else this.#runs.push({ first: record.seq, last: record.seq });
  }

  /** What a frame of a whole group means for the key files and for other segments. */
  #note(frame: CheckedFrame, file: string, offset: number): void {
    const { record, storage } = frame.head;
    if (record.key !== null) {
      const { epoch, slot } = record.key;
      let taken = this.#taken.get(epoch);
      if (taken === undefined) {
        taken = new Float64Array(slotsPerEpoch);
        this.#taken.set(epoch, taken);
      }
      if (slot >= slotsPerEpoch) {
        this.#options.deviation({
          file,
          offset,
          seq: record.seq,
          what: `frame ${record.seq}: key slot ${slot}`,
        });
      } else if (taken[slot] === 0) {
        taken[slot] = record.seq;
      }
      if (storage.place !== places.erased) this.summary.sealed += 1;
    }
    if (record.type === frameTypes.ERASED && frame.clearBody !== null) {
      for (const key of parseErasedKeys(frame.clearBody) ?? [])
        this.#erasedKeys.add(`${key.epoch}:${key.slot}`);
    }
    const closed = frame.leaf.length > 0 ? (this.#options.segmentOfLeaf?.(frame.leaf) ?? null) : null;
    if (closed !== null) this.#compareClosed(closed, record.seq);
  }

  #compareClosed(closed: ClosedSegment, seq: number): void {
    this.#named.add(closed.number);
    const known = this.#hashes.get(closed.number);
    const file = known?.file ?? `segments/${String(closed.number).padStart(16, '0')}.${closed.revision}.fseg`;
    if (known === undefined) {
      this.#options.deviation({
        file,
        offset: null,
        seq,
        what: `the file that frame ${seq} names is missing`,
      });
    } else if (known.revision === closed.revision && !equalBytes(known.sha256, closed.sha256)) {
      this.#options.deviation({
        file,
        offset: null,
        seq,
        what: `SHA-256 of the file is not the one in the segment leaf of frame ${seq}`,
      });
      const offset = this.#behindSeal.get(closed.number);
      if (offset !== undefined)
        this.#options.deviation({ file, offset, seq: null, what: 'octets behind the SEAL' });
    }
  }

  #wrongCommit(
    body: CommitBody,
    file: SegmentFile,
    whole: boolean,
    first: number | null,
    seq: number,
    root: CompactRange,
  ): string | null {
    const before = this.#commit;
    if (body.last !== seq - 1) return 'last';
    if (file.header !== null && body.generation !== file.header.generation) return 'generation';
    if (whole && body.first !== first) return 'first';
    if (whole && !equalBytes(body.root, root.root())) return 'root';
    if (whole && this.#leaves !== null && body.leaves !== this.#leaves) return 'leaves';
    if (before !== null && whole && this.#unbroken) {
      if (body.group !== before.group + 1) return `group (${body.group} instead of ${before.group + 1})`;
      if (body.acked !== this.#lastSeq) return `acked (${body.acked} instead of ${this.#lastSeq})`;
      if (body.epoch < before.epoch || (body.epoch === before.epoch && body.slots < before.slots))
        return 'slots';
    }
    return null;
  }

  async #slotsAreThere(file: SegmentFile, body: CommitBody): Promise<boolean> {
    // Behind a loss nothing tells which slots the group before took.
    if (!this.#unbroken && this.#commit !== null) return true;
    const from = this.#commit ?? {
      epoch: file.header?.epoch ?? body.epoch,
      slots: file.header === null ? body.slots : 0,
    };
    return (await this.#slots.taken(from, body, body.first, body.last)).kind === 'good';
  }

  /** Whether nothing shows that the group at `start`, which is not whole, was ever acknowledged. */
  async #neverWas(window: Window, start: number, end: number, leaves: number): Promise<boolean> {
    const { certain = { seq: 0, leaves: 0 } } = this.#options;
    if (this.#lastSeq < certain.seq || leaves < certain.leaves) return false;
    const generation = this.#commit?.generation ?? this.#files.at(-1)?.header?.generation ?? 1;
    const state = { generation, lastSeq: this.#lastSeq, group: this.#commit?.group ?? 0, leaves };
    return (await proofOfMore(window, start, end, state)) === null;
  }
}

/** The lost octets that the body of a `gap` leaf names. */
const parseLost = (body: Uint8Array): { file: string; from: number; to: number }[] => {
  let value: Json;
  try {
    value = parseCanonicalJson(body);
  } catch {
    return [];
  }
  const lost = (value as Readonly<Record<string, Json>> | null)?.['lost'];
  if (!Array.isArray(lost)) return [];
  return (lost as readonly Json[]).flatMap((range) => {
    const { file, from, to } = (range ?? {}) as Readonly<Record<string, Json>>;
    return typeof file === 'string' && typeof from === 'number' && typeof to === 'number'
      ? [{ file, from, to }]
      : [];
  });
};

const lastOf = (taken: Float64Array): number => taken.findLastIndex((seq) => seq !== 0);
