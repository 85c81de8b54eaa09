import { equalBytes, hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import {
  CompactRange,
  emptyRoot,
  encodeVerifierKey,
  type Leaf,
  leafHash,
  parseCheckpoint,
  parseLeaf,
  parseOrigin,
  parseVerifierKey,
  type SignedCheckpoint,
  type VerifierKey,
  verifyNote,
} from '#trust/seal';
import { type Findings, findingOf } from './verify-finding.ts';

/** A head that somebody kept, with where. */
export interface KeptHead {
  /** for people: `ledger/g1/checkpoint`, `the sealer`, a file's name */
  source: string;
  generation: number;
  size: number;
  root: Uint8Array;
}

/** One frame as far as leaves are concerned. */
export interface LeafFrame {
  file: string;
  offset: number;
  seq: number;
  leafIndex: number | null;
  recordHash: Uint8Array;
  leaf: Uint8Array;
  /** of the leaf, as it was found right */
  leafHash: Uint8Array;
  /** the body of HEAD, else null */
  note: Uint8Array | null;
}

/** Ledger of one generation, as its leaves in the log give it. */
export interface GenerationLeaves {
  generation: number;
  /** leaves, also those that are only known by the number of a later one */
  count: number;
  /** false from the first leaf on that could not be read */
  whole: boolean;
  lastLeafMs: number;
  lastSeq: number;
  /** of the heads asked for, by size */
  roots: ReadonlyMap<number, Uint8Array>;
  /** the last good head in the log */
  head: { note: Uint8Array; size: number } | null;
  /** leaves under the good head before that: what `checkpoint` has at least, unless it was put back */
  headBefore: number;
  heads: number;
}

/** right edges kept to compare the heads that follow: a head comes a few leaves behind the last one that it covers */
const edgesMax = 16_384;
const waitingHeadsMax = 1_000;

/** Follows the leaves of one generation through the log: order, times, roots, heads. */
export class LeafTrack implements GenerationLeaves {
  readonly generation: number;
  readonly roots = new Map<number, Uint8Array>();
  /** heads older than the edges kept, to be compared in a second reading */
  readonly lateHeads: { frame: LeafFrame; head: SignedCheckpoint }[] = [];
  count = 0;
  whole = true;
  lastLeafMs = 0;
  lastSeq = 0;
  head: { note: Uint8Array; size: number } | null = null;
  headBefore = 0;
  heads = 0;
  readonly #findings: Findings;
  readonly #wanted: ReadonlySet<number>;
  readonly #edges = new Map<number, CompactRange>();
  readonly #range = new CompactRange();
  readonly #waiting: { frame: LeafFrame; head: SignedCheckpoint }[] = [];
  #key: VerifierKey | null = null;
  /** over the records from the last `frames` record on */
  #records = new CompactRange();
  #recordsWhole = true;
  #framesSeq: number | null;
  #firstSeq: number | null = null;
  #days: number;
  #lowSegmentLeaf: LeafFrame | null = null;
  readonly #before: LeafTrack | null;
  lastLeaf: Leaf | null = null;
  /** the key that the generation before handed over to; null where it did not */
  promised: string | null = null;

  /** @param before the generation before, whose times and days go on */
  constructor(generation: number, before: LeafTrack | null, wanted: ReadonlySet<number>, findings: Findings) {
    this.generation = generation;
    this.#findings = findings;
    this.#wanted = wanted;
    this.#days = before?.days ?? 0;
    this.#before = before;
    this.lastLeafMs = before?.lastLeafMs ?? 0;
    this.#framesSeq = null;
    if (wanted.has(0)) this.roots.set(0, emptyRoot);
  }

  get days(): number {
    return this.#days;
  }

  get key(): VerifierKey | null {
    return this.#key;
  }

  /** The generation's key, when its row has been read. */
  setKey(text: string): void {
    try {
      const key = parseVerifierKey(text);
      if (parseOrigin(key.name)?.generation !== this.generation) throw new Error('of another generation');
      const { promised } = this;
      if (promised !== null && promised !== encodeVerifierKey(key)) throw new Error('not the one promised');
      this.#key = key;
    } catch {
      this.#findings.add(findingOf('head-wrong', `the key of generation ${this.generation} is none`));
      return;
    }
    for (const { frame, head } of this.#waiting.splice(0)) this.#signature(frame, head);
  }

  /** Something before the next frame could not be read. */
  broken(): void {
    this.whole = false;
    this.#recordsWhole = false;
  }

  frame(frame: LeafFrame): Leaf | null {
    this.#firstSeq ??= frame.seq;
    const leaf = frame.leafIndex === null ? null : this.#leaf(frame, frame.leafIndex);
    if (leaf?.kind === 'frames') {
      this.#framesLeaf(frame, leaf);
      this.#records = new CompactRange();
      this.#recordsWhole = true;
      this.#framesSeq = frame.seq;
    }
    this.#records.append(leafHash(frame.recordHash));
    this.lastSeq = frame.seq;
    if (frame.note !== null) this.#head(frame, frame.note);
    return leaf;
  }

  /** To be called behind the last frame. */
  finish(): void {
    this.#lowTime(null);
    for (const { frame } of this.#waiting)
      this.#wrong('head-wrong', frame, `the log has no key of generation ${this.generation}`);
  }

  /** A generation begins behind a gap that declares a loss, or with the genesis of a log that handed over to its key. */
  #begins(frame: LeafFrame, leaf: Leaf): void {
    const before = this.#before;
    if (before === null || leaf.kind === 'gap') return;
    const last = before.lastLeaf;
    if (leaf.kind !== 'genesis' || leaf.previous === null) {
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: a generation that begins with ${leaf.kind}`);
      return;
    }
    if (!before.whole) return;
    if (last?.kind !== 'handover') {
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: a generation without a gap or a handover`);
      return;
    }
    this.promised = last.key;
    const { size, root } = leaf.previous;
    if (size !== before.count || !equalBytes(root, before.root()))
      this.#wrong(
        'leaf-wrong',
        frame,
        `frame ${frame.seq}: the genesis does not name the last head of the generation before`,
      );
  }

  /** Of all leaves so far. */
  root(): Uint8Array {
    return this.#range.root();
  }

  #leaf(frame: LeafFrame, index: number): Leaf | null {
    if (index !== this.count) this.whole = false;
    this.count = index + 1;
    if (this.whole) {
      this.#range.append(frame.leafHash);
      this.#edges.set(this.count, this.#range.copy());
      this.#edges.delete(this.count - edgesMax);
      if (this.#wanted.has(this.count)) this.roots.set(this.count, this.#range.root());
    }
    let leaf: Leaf;
    try {
      leaf = parseLeaf(frame.leaf);
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: ${error.subject}`);
      return null;
    }
    if (leaf.seq !== frame.seq)
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: its leaf says seq ${leaf.seq}`);
    this.#time(frame, leaf);
    if (index === 0) this.#begins(frame, leaf);
    this.lastLeaf = leaf;
    return leaf;
  }

  #time(frame: LeafFrame, leaf: Leaf): void {
    this.#lowTime(leaf);
    if (leaf.timeMs < this.lastLeafMs && leaf.kind !== 'clock') {
      // The log's own leaf of a closed file stands in front of the `clock` leaf that explains its time.
      if (leaf.kind === 'segment') {
        this.#lowSegmentLeaf = frame;
        return;
      }
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: its time falls without a clock leaf`);
    }
    if (leaf.kind === 'clock' && this.whole && leaf.beforeMs !== this.lastLeafMs)
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: the clock leaf names another time before`);
    this.lastLeafMs = leaf.timeMs;
    if (leaf.kind !== 'day') return;
    if (this.whole && leaf.count !== this.#days + 1)
      this.#wrong('leaf-wrong', frame, `frame ${frame.seq}: day ${leaf.count} instead of ${this.#days + 1}`);
    this.#days = leaf.count;
  }

  #lowTime(next: Leaf | null): void {
    const low = this.#lowSegmentLeaf;
    this.#lowSegmentLeaf = null;
    if (low !== null && next !== null && next.kind !== 'clock')
      this.#wrong('leaf-wrong', low, `frame ${low.seq}: its time falls without a clock leaf`);
  }

  #framesLeaf(frame: LeafFrame, leaf: { first: number; last: number; root: Uint8Array }): void {
    if (!this.#recordsWhole) return;
    const first = this.#framesSeq ?? this.#firstSeq;
    // The first one of a later generation may reach back over a gap; from there on it is exact.
    const known = this.#framesSeq !== null || this.generation === 1;
    if (!known) return;
    if (leaf.first !== first || leaf.last !== frame.seq - 1)
      this.#wrong(
        'leaf-wrong',
        frame,
        `frame ${frame.seq}: its leaf covers other frames than those since the last`,
      );
    else if (!equalBytes(leaf.root, this.#records.root()))
      this.#wrong(
        'leaf-wrong',
        frame,
        `frame ${frame.seq}: its root is not that of the records ${leaf.first} to ${leaf.last}`,
      );
  }

  #head(frame: LeafFrame, note: Uint8Array): void {
    this.heads += 1;
    let head: SignedCheckpoint;
    try {
      head = parseCheckpoint(note);
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      this.#wrong('head-wrong', frame, `frame ${frame.seq}: no signed head (${error.subject})`);
      return;
    }
    if (parseOrigin(head.origin)?.generation !== this.generation) {
      this.#wrong('head-wrong', frame, `frame ${frame.seq}: a head of ${head.origin}`);
      return;
    }
    if (this.#key !== null && !this.#signature(frame, head)) return;
    if (this.#key === null && this.#waiting.length < waitingHeadsMax) this.#waiting.push({ frame, head });
    if (!this.whole) return;
    if (head.size > this.count) {
      this.#wrong(
        'head-wrong',
        frame,
        `frame ${frame.seq}: a head over ${head.size} leaves, where there are ${this.count}`,
      );
      return;
    }
    const edge = head.size === 0 ? new CompactRange() : this.#edges.get(head.size);
    if (edge === undefined) {
      if (this.lateHeads.length < waitingHeadsMax) this.lateHeads.push({ frame, head });
    } else if (!this.compareHead(frame, head, edge.root())) return;
    this.headBefore = this.head?.size ?? 0;
    this.head = { note, size: head.size };
  }

  /** Whether a head is that of the tree of its size. */
  compareHead(frame: LeafFrame, head: SignedCheckpoint, root: Uint8Array): boolean {
    if (equalBytes(root, head.root)) return true;
    this.#wrong(
      'head-wrong',
      frame,
      `frame ${frame.seq}: a head over ${head.size} leaves of another tree (root ${hex(head.root).slice(0, 16)}…)`,
    );
    return false;
  }

  #signature(frame: LeafFrame, head: SignedCheckpoint): boolean {
    if (this.#key !== null && verifyNote(head.note, this.#key).kind === 'signed') return true;
    this.#wrong(
      'head-wrong',
      frame,
      `frame ${frame.seq}: the head is not signed by the key of its generation`,
    );
    return false;
  }

  #wrong(code: 'leaf-wrong' | 'head-wrong', frame: LeafFrame, what: string): void {
    this.#findings.add(findingOf(code, what, { file: frame.file, offset: frame.offset, seq: frame.seq }));
  }
}

/**
 * Compares heads that others kept with the log.
 *
 * @param accepted leaves of a generation that were given up when the next one began
 */
export const compareKeptHeads = (
  heads: readonly KeptHead[],
  generations: ReadonlyMap<number, GenerationLeaves>,
  accepted: ReadonlyMap<number, number>,
  findings: Findings,
): void => {
  const newest = Math.max(0, ...generations.keys());
  for (const head of heads) {
    const own = generations.get(head.generation);
    const file = head.source.startsWith('ledger/') ? head.source : null;
    if (own === undefined) {
      const what =
        head.generation > newest
          ? `${head.source} knows generation ${head.generation} with ${head.size} leaves, the log ends in generation ${newest}`
          : `${head.source} knows generation ${head.generation}, which the log does not have`;
      findings.add(findingOf(head.generation > newest ? 'rolled-back' : 'other-history', what, { file }));
      continue;
    }
    if (head.size > own.count) {
      const missing = head.size - own.count;
      if (head.size <= (accepted.get(head.generation) ?? 0)) {
        findings.note(
          'loss-accepted',
          `${missing} leaves of generation ${head.generation}, known to ${head.source}`,
        );
        continue;
      }
      findings.add(
        findingOf(
          'rolled-back',
          `${head.source} knows ${head.size} leaves of generation ${head.generation}, the log has ${own.count}: the last ${missing} ${missing === 1 ? 'leaf is' : 'leaves are'} missing; it ends with frame ${own.lastSeq}`,
          { file, sinceMs: own.lastLeafMs },
        ),
      );
      continue;
    }
    const root = own.roots.get(head.size);
    if (root === undefined) {
      if (!own.whole) findings.note('not-compared', `${head.source} (${head.size} leaves)`);
    } else if (!equalBytes(root, head.root)) {
      findings.add(
        findingOf(
          'other-history',
          `the first ${head.size} leaves of generation ${head.generation} are not those that ${head.source} knows`,
          { file },
        ),
      );
    }
  }
};
