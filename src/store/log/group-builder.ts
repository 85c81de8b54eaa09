import assert from 'node:assert/strict';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import {
  alignUp,
  copyOf,
  type ErasedKey,
  encodeClearSlot,
  encodeCommitBody,
  encodeFrameHead,
  encodeSealBody,
  type FrameTypeName,
  fileKeyBytes,
  frameAlignBytes,
  frameLimits,
  frameTypes,
  groupAlignBytes,
  type KeyRef,
  parseErasedKeys,
  places,
  plainLengthOf,
  sha256,
  sha256Of,
  slotsPerEpoch,
  zeroOctets,
} from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';
import { type ChainState, groupFramesMax } from './chain.ts';
import type { FrameAddress } from './segment-reader.ts';

/** What a frame says beside its leaf. */
export type DraftBody =
  | { kind: 'none' }
  /** may be read by anybody who can read the file: impersonal only */
  | { kind: 'clear'; octets: Uint8Array }
  | {
      kind: 'sealed';
      /** age payload of the head */
      storedHead: Uint8Array;
      /** age payload of the octets, in pieces; none for all but MSG, and none with a file of their own */
      storedOctets: readonly Uint8Array[];
      /** the file that has the octets, durable under its name already; null or left out where they stand in the frame */
      ownFile?: OwnFile | null;
      /** SHA-256 of the plaintext head */
      bodyCommitment: Uint8Array;
      /** SHA-256(stored octets ‖ stored head), with a file of their own of the head alone */
      storedHash: Uint8Array;
    };

/** The payload of a large body, as it lies in `large/`. */
export interface OwnFile {
  lengthBytes: number;
  sha256: Uint8Array;
}

export interface FrameDraft {
  type: FrameTypeName;
  /** a reader that does not know the type must stop */
  critical: boolean;
  leaf: Uint8Array | null;
  /** the key of a sealed body: from `useKey`, or one taken earlier */
  key: KeyRef | null;
  body: DraftBody;
}

export interface Placed {
  seq: number;
  leafIndex: number | null;
  recordHash: Uint8Array;
  /** readable once the group is committed */
  address: FrameAddress;
}

/**
 * Collects the frames of one group. Pieces of bodies are kept, not copied: they must not change until the commit resolves.
 * A builder that is not committed leaves no trace, its numbers included.
 */
export interface GroupBuilder {
  /** of the frame that `add` takes next */
  nextSeq(): number;
  /** of the next frame that has a leaf */
  nextLeafIndex(): number;
  /** Takes a key slot for a file key of 16 octets; a frame of this group must use it. */
  useKey(fileKey: Uint8Array): KeyRef;
  add(draft: FrameDraft): Placed;
  /** frames so far */
  readonly count: number;
  /** octets of the group so far */
  readonly sizeBytes: number;
  /** frames that the log itself put in front, such as the `segment` leaf of a closed file */
  readonly opening: readonly { placed: Placed; draft: FrameDraft }[];
}

export interface TakenSlot {
  key: KeyRef;
  fileKey: Uint8Array;
  /** of the frame that used it first */
  seq: number | null;
}

export interface FinishedGroup {
  pieces: readonly Uint8Array[];
  /** where it goes in its segment */
  offset: number;
  sizeBytes: number;
  segment: number;
  slots: readonly TakenSlot[];
  erased: readonly ErasedKey[];
  first: number;
  /** of COMMIT */
  last: number;
  count: number;
  sealed: boolean;
  /** hashes of the records first to last */
  recordHashes: readonly Uint8Array[];
  recordLeafHashes: readonly Uint8Array[];
  leaves: readonly GroupLeaf[];
  next: ChainState;
}

/** One leaf of a group, the log's own ones included: what the ledger appends. */
export interface GroupLeaf {
  leafIndex: number;
  seq: number;
  octets: Uint8Array;
}

/** Smaller pieces are copied together, so that a group is few pieces to the kernel; larger ones are passed on. */
const copiedPieceBytesMax = 4096;
const arenaBytes = 16_384;

const noBody = { kind: 'none' } as const;
const zeroHash = new Uint8Array(32);
const noOctets = new Uint8Array(0);
const noOctetsHash = sha256(noOctets);

export class Group implements GroupBuilder {
  readonly #state: ChainState;
  readonly #segment: number;
  readonly #offset: number;
  readonly #firstSlot: number;
  readonly #recordHashes: Uint8Array[] = [];
  readonly #leafList: GroupLeaf[] = [];
  readonly #opening: { placed: Placed; draft: FrameDraft }[] = [];
  #arena = noOctets;
  #arenaFrom = 0;
  #arenaTo = 0;
  readonly #pieces: Uint8Array[] = [];
  readonly #slots: TakenSlot[] = [];
  readonly #erased: ErasedKey[] = [];
  readonly #recordLeafHashes: Uint8Array[] = [];
  readonly #root = new CompactRange();
  #sizeBytes = 0;
  #prev: Uint8Array;
  #seq: number;
  #leaves: number;
  #epoch: number;
  #nextSlot: number;
  #finished = false;

  /** @param state where the log will stand when this group is written @param offset in the segment */
  constructor(state: ChainState, segment: number, offset: number) {
    this.#state = state;
    this.#segment = segment;
    this.#firstSlot = state.epoch * slotsPerEpoch + state.slots;
    this.#offset = offset;
    this.#prev = state.lastRecordHash;
    this.#seq = state.nextSeq;
    this.#leaves = state.leaves;
    this.#epoch = state.epoch;
    this.#nextSlot = state.slots;
  }

  get count(): number {
    return this.#recordLeafHashes.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get segment(): number {
    return this.#segment;
  }

  get opening(): readonly { placed: Placed; draft: FrameDraft }[] {
    return this.#opening;
  }

  /** A frame of the log's own, in front of all others. */
  open(draft: FrameDraft): Placed {
    const placed = this.#add(draft);
    this.#opening.push({ placed, draft });
    return placed;
  }

  get endOffset(): number {
    return this.#offset + this.#sizeBytes;
  }

  nextSeq(): number {
    return this.#seq;
  }

  nextLeafIndex(): number {
    return this.#leaves;
  }

  useKey(fileKey: Uint8Array): KeyRef {
    assert(!this.#finished, 'a committed group takes no more keys');
    assert.equal(fileKey.length, fileKeyBytes, 'a file key has 16 octets');
    if (this.#nextSlot === slotsPerEpoch) {
      this.#epoch += 1;
      this.#nextSlot = 0;
    }
    const key = { epoch: this.#epoch, slot: this.#nextSlot++ };
    this.#slots.push({ key, fileKey: copyOf(fileKey), seq: null });
    return key;
  }

  add(draft: FrameDraft): Placed {
    assert(!this.#finished, 'a committed group takes no more frames');
    assert(draft.type !== 'COMMIT' && draft.type !== 'SEAL', `${draft.type} is the log's own frame`);
    assert(this.count < groupFramesMax - 3, `a group has at most ${groupFramesMax} frames`);
    if (draft.type === 'ERASED') {
      const keys = draft.body.kind === 'clear' ? parseErasedKeys(draft.body.octets) : null;
      assert(keys !== null, 'the body of ERASED is clear canonical JSON that names its keys');
      this.#erased.push(...keys);
    }
    return this.#add(draft);
  }

  /** Ends the group with COMMIT; before it SEAL, when the segment closes here. @param seal root over the segment's records so far, to be used up */
  finish(seal: { root: CompactRange; first: number } | null): FinishedGroup {
    assert(!this.#finished && this.count > 0, 'a group is committed once, with at least one frame');
    for (const slot of this.#slots)
      assert(slot.seq !== null, `key slot ${slot.key.slot} is used by no frame`);
    const first = this.#state.nextSeq;
    if (seal !== null) {
      for (const hash of this.#recordLeafHashes) seal.root.append(hash);
      const body = { count: seal.root.size, first: seal.first, last: this.#seq - 1, root: seal.root.root() };
      this.#add(own('SEAL', encodeSealBody(body)));
    }
    const last = this.#seq - 1;
    const body = encodeCommitBody({
      acked: this.#state.lastSeq,
      count: last - first + 1,
      epoch: this.#epoch,
      slots: this.#nextSlot,
      first,
      generation: this.#state.generation,
      group: this.#state.group + 1,
      last,
      leaves: this.#leaves,
      root: this.#root.root(),
    });
    const commit = this.#add(own('COMMIT', body));
    const end = alignUp(this.endOffset, groupAlignBytes);
    this.#push(zeroOctets(end - this.endOffset));
    this.#flushArena();
    this.#finished = true;
    return {
      pieces: this.#pieces,
      offset: this.#offset,
      sizeBytes: this.#sizeBytes,
      segment: this.#segment,
      slots: this.#slots,
      erased: this.#erased,
      first,
      last: commit.seq,
      count: commit.seq - first + 1,
      sealed: seal !== null,
      recordHashes: this.#recordHashes,
      recordLeafHashes: this.#recordLeafHashes,
      leaves: this.#leafList,
      next: {
        generation: this.#state.generation,
        lastSeq: commit.seq,
        nextSeq: commit.seq + 1,
        lastRecordHash: commit.recordHash,
        group: this.#state.group + 1,
        leaves: this.#leaves,
        epoch: this.#epoch,
        slots: this.#nextSlot,
      },
    };
  }

  #add(draft: FrameDraft): Placed {
    const seq = this.#seq;
    assert(Number.isSafeInteger(seq + 1), 'seq stays below 2^53');
    const { leaf } = draft;
    const hasLeaf = leaf !== null;
    if (hasLeaf && (leaf.length === 0 || leaf.length > frameLimits.leafBytesMax))
      throw wrongDraft(draft, `a leaf of ${leaf.length} octets (1 to ${frameLimits.leafBytesMax})`);
    const stored = storedParts(draft);
    const key = this.#keyOf(draft, seq);
    const offset = this.endOffset;
    const { octets, recordHash } = encodeFrameHead(
      {
        type: frameTypes[draft.type],
        critical: draft.critical,
        leafLength: hasLeaf ? leaf.length : 0,
        seq,
        leafIndex: hasLeaf ? this.#leaves : null,
        key,
        leafHash: hasLeaf ? leafHash(leaf) : zeroHash,
        bodyCommitment: stored.commitment,
        prev: this.#prev,
      },
      {
        encoding: 0,
        place: stored.fileHash === null ? places.here : places.ownFile,
        headStoredLength: stored.head.length,
        storedLength: stored.octetsLength,
        storedHash: stored.hash,
        fileHash: stored.fileHash,
      },
      leaf ?? noOctets,
    );
    this.#push(octets);
    this.#push(stored.head);
    for (const piece of stored.octets) this.#push(piece);
    this.#push(zeroOctets(alignUp(this.endOffset, frameAlignBytes) - this.endOffset));

    this.#prev = recordHash;
    this.#seq = seq + 1;
    this.#recordHashes.push(recordHash);
    if (hasLeaf) this.#leafList.push({ leafIndex: this.#leaves++, seq, octets: leaf });
    const recordLeafHash = leafHash(recordHash);
    this.#recordLeafHashes.push(recordLeafHash);
    if (draft.type !== 'COMMIT') this.#root.append(recordLeafHash);
    return {
      seq,
      leafIndex: hasLeaf ? this.#leaves - 1 : null,
      recordHash,
      address: { segment: this.#segment, offset, lengthBytes: this.endOffset - offset },
    };
  }

  #keyOf(draft: FrameDraft, seq: number): KeyRef | null {
    const { key } = draft;
    assert.equal(key !== null, draft.body.kind === 'sealed', 'a sealed body has a key, and no other');
    if (key === null) return null;
    // Slots are taken one after the other, over the end of an epoch too: a number tells which one of this group it is.
    const number = key.epoch * slotsPerEpoch + key.slot;
    assert(number < this.#epoch * slotsPerEpoch + this.#nextSlot, 'a key is taken before it is used');
    const taken = this.#slots[number - this.#firstSlot];
    if (taken !== undefined) taken.seq ??= seq;
    return key;
  }

  #push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#sizeBytes += piece.length;
    if (piece.length > copiedPieceBytesMax) {
      this.#flushArena();
      this.#pieces.push(piece);
      return;
    }
    if (this.#arenaTo + piece.length > this.#arena.length) {
      this.#flushArena();
      this.#arena = new Uint8Array(arenaBytes);
      this.#arenaFrom = 0;
      this.#arenaTo = 0;
    }
    this.#arena.set(piece, this.#arenaTo);
    this.#arenaTo += piece.length;
  }

  #flushArena(): void {
    if (this.#arenaTo > this.#arenaFrom)
      this.#pieces.push(this.#arena.subarray(this.#arenaFrom, this.#arenaTo));
    this.#arenaFrom = this.#arenaTo;
  }
}

const own = (type: FrameTypeName, octets: Uint8Array): FrameDraft => ({
  type,
  critical: true,
  leaf: null,
  key: null,
  body: { kind: 'clear', octets },
});

interface StoredParts {
  head: Uint8Array;
  octets: readonly Uint8Array[];
  octetsLength: number;
  hash: Uint8Array;
  fileHash: Uint8Array | null;
  commitment: Uint8Array;
}

const wrongDraft = (draft: FrameDraft, subject: string): FengniError =>
  new FengniError('frame-draft-wrong', {
    subject: `${draft.type}: ${subject}`,
    remedy: 'this is a bug or a process that lies; nothing was stored',
  });

const storedParts = (draft: FrameDraft): StoredParts => {
  const { body } = draft;
  if (body.kind === 'sealed') {
    const { storedHead: head, storedOctets: octets, bodyCommitment, storedHash } = body;
    const ownFile = body.ownFile ?? null;
    if (ownFile !== null && (octets.length > 0 || ownFile.sha256.length !== 32 || draft.type !== 'MSG'))
      throw wrongDraft(draft, 'octets lie in the frame or in a file of their own');
    const octetsLength = ownFile?.lengthBytes ?? octets.reduce((sum, piece) => sum + piece.length, 0);
    const possible =
      plainLengthOf(head.length) !== null && (octetsLength === 0 || plainLengthOf(octetsLength) !== null);
    if (!possible || head.length > frameLimits.headStoredBytesMax)
      throw wrongDraft(draft, 'not the length of a payload');
    if (bodyCommitment.length !== 32) throw wrongDraft(draft, 'bodyCommitment is not 32 octets');
    // Recovery drops a last group in which one hash is wrong: a mistake of another process must end here.
    if (!equalBytes(sha256Of([...octets, head]), storedHash))
      throw wrongDraft(draft, 'storedHash is another');
    const fileHash = ownFile?.sha256 ?? null;
    return { head, octets, octetsLength, hash: storedHash, fileHash, commitment: bodyCommitment };
  }
  if (body.kind === noBody.kind || body.octets.length === 0)
    return {
      head: noOctets,
      octets: [],
      octetsLength: 0,
      hash: noOctetsHash,
      fileHash: null,
      commitment: zeroHash,
    };
  const hash = sha256(body.octets);
  return {
    head: noOctets,
    octets: [body.octets],
    octetsLength: body.octets.length,
    hash,
    fileHash: null,
    commitment: hash,
  };
};

/** The slots of a group as what is written where, one run a key file. */
export const slotRuns = (
  slots: readonly TakenSlot[],
): { epoch: number; firstSlot: number; pieces: Uint8Array[] }[] => {
  const runs: { epoch: number; firstSlot: number; pieces: Uint8Array[] }[] = [];
  for (const { key, fileKey, seq } of slots) {
    const octets = encodeClearSlot(key.slot, seq as number, fileKey);
    const run = runs.at(-1);
    if (run?.epoch === key.epoch) run.pieces.push(octets);
    else runs.push({ epoch: key.epoch, firstSlot: key.slot, pieces: [octets] });
  }
  return runs;
};
