import type { Hash } from 'node:crypto';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  type ErasedKey,
  encodeDestroyedSlot,
  frameTypes,
  isKnownFrameType,
  isZeros,
  keyFileHeaderBytes,
  keyFileName,
  keySlotBytes,
  keySlotOffset,
  parseErasedKeys,
  parseKeySlot,
  slotStates,
  slotsPerEpoch,
  zeroOctets,
} from '#store/segments';
import { CompactRange } from '#trust/seal';
import { type ChainState, type ReadGroup, readGroup } from './chain.ts';
import { findFrame } from './checked-frame.ts';
import {
  commitEndingAt,
  type Inventory,
  keysFolder,
  type SegmentFile,
  segmentsFolder,
  takeInventory,
  withAhead,
  withFile,
} from './inventory.ts';
import { KeySlots } from './key-slots.ts';
import { proofOfMore } from './proof.ts';
import {
  damagedRefusal,
  futureRefusal,
  type KnownHead,
  type LogRefusal,
  rolledBackRefusal,
  unfinishedRefusal,
} from './refusal.ts';
import { Window } from './window.ts';

export interface RecoveryOptions {
  io: Io;
  /** DATA */
  folder: string;
  shard: number;
  knownHeads: readonly KnownHead[];
  /** the ledger's root at a size; null when it cannot tell. Without it roots are computed from the log itself */
  rootAt?: ((generation: number, size: number) => Promise<Uint8Array | null>) | undefined;
}

/** The file that the next group goes into. */
export interface OpenSegment {
  firstSeq: number;
  revision: number;
  path: string;
  /** where the next group begins */
  offset: number;
  birthMs: number;
  frames: number;
  /** over the records of the whole segment */
  root: CompactRange;
}

export interface Recovered {
  kind: 'recovered';
  state: ChainState;
  /** null when the next group begins a new file */
  current: OpenSegment | null;
  /** for the header of the next new file: where the log ends */
  endOffset: number;
  /** a closed file that no `segment` leaf names yet */
  unnamed: SegmentFile | null;
  /** SHA-256 of the newest file, where it was read from one end to the other: `current`, or else `unnamed` where it is that one */
  hashed: { path: string; hash: Hash } | null;
}

/**
 * Finds out what the log holds and makes it so.
 *
 * First everything is looked at and nothing changed; a refusal leaves the disk as it was found. Then what is believed is made certain,
 * what is void is put out of the way. Every step may be cut short and done again.
 */
export const recover = async (options: RecoveryOptions): Promise<Recovered | LogRefusal> => {
  const { io, folder, shard } = options;
  await syncNewest(io, folder);
  const inventory = await takeInventory(io, folder, shard);
  const found = await examine(options, inventory);
  if (found.kind !== 'examined') return found;
  await settle(options, inventory, found);
  return {
    kind: 'recovered',
    state: found.state,
    current: found.current,
    endOffset: found.endOffset,
    unnamed: found.unnamed,
    hashed: found.hashed,
  };
};

/** What the log holds, as recovery would find it. Nothing is written, so that it can be asked beside anybody. */
export const examineLog = async (
  options: RecoveryOptions,
): Promise<{ kind: 'whole'; generation: number; lastSeq: number; leaves: number } | LogRefusal> => {
  const found = await examine(options, await takeInventory(options.io, options.folder, options.shard));
  if (found.kind !== 'examined') return found;
  const { generation, lastSeq, leaves } = found.state;
  return { kind: 'whole', generation, lastSeq, leaves };
};

/** What a killed process wrote may be in memory only; what is read must first be on the disk. */
export const syncNewest = async (io: Io, folder: string): Promise<void> => {
  for (const sub of [segmentsFolder(folder), keysFolder(folder)]) {
    if ((await io.stat(sub)) === null) continue;
    const names = (await io.readFolder(sub)).filter((name) => /\.f(seg|keys)$/.test(name));
    for (const name of names.slice(-2)) await withFile(io, `${sub}/${name}`, 'write', (file) => file.sync());
    await io.syncFolder(sub);
  }
};

interface Examined {
  kind: 'examined';
  state: ChainState;
  current: OpenSegment | null;
  endOffset: number;
  unnamed: SegmentFile | null;
  hashed: Recovered['hashed'];
  /** files without anything that was ever acknowledged */
  setAside: SegmentFile[];
  newest: SegmentFile | null;
  groups: number;
  lastGroup: ReadGroup | null;
  /** state before the last group */
  beforeLast: ChainState | null;
  erasedInLast: readonly ErasedKey[];
  erasedEarlier: readonly ErasedKey[];
  slots: KeySlots;
}

const zeros32 = new Uint8Array(32);

const examine = async (options: RecoveryOptions, inventory: Inventory): Promise<Examined | LogRefusal> => {
  const { io, folder, shard } = options;
  const slots = new KeySlots(io, folder, shard);
  const files = [...inventory.segments];
  const setAside: SegmentFile[] = [];

  // A header is durable before a group follows it: without one and without any frame, the file was never begun.
  for (let last = files.at(-1); last !== undefined && last.header === null; last = files.at(-1)) {
    const offset = await withFile(io, last.path, 'read', (file) =>
      findFrame(new Window(file), 0, last.sizeBytes),
    );
    if (offset !== null)
      return damagedRefusal(
        nothing(0),
        { file: `segments/${last.name}`, offset: 0 },
        `${last.wrong}`,
        `a frame follows at ${offset}`,
      );
    setAside.push(last);
    files.pop();
  }
  const newest = files.at(-1) ?? null;

  if (newest === null) {
    const empty = emptyState(1, 0);
    if (inventory.epochs.length > 0 && (await anySlotTaken(slots, inventory.epochs)))
      return damagedRefusal(nothing(1), null, 'segments/ is empty', 'keys/ holds keys of messages');
    const behind = await checkHeads(options, empty, inventory, null);
    return behind ?? { ...blank(empty, slots), setAside };
  }

  const linked = await checkLinks(io, files, newest);
  if (linked.kind === 'refused') return linked;

  const start = linked.start ?? firstState(newest);
  const scanned = await scanNewest(io, newest, start, slots);
  if (scanned.kind === 'refused') return scanned;
  const { state, end, groups } = scanned;
  const torn = end < newest.sizeBytes ? { file: `segments/${newest.name}`, offset: end } : null;
  const behind = await checkHeads(options, state, inventory, torn);
  if (behind !== null) return behind;
  if (groups === 0 && linked.start === null && state.generation > 1) return unfinishedRefusal(foundOf(state));
  const keyFile = state.slots > 0 ? await slots.wrong(state.epoch) : null;
  if (keyFile !== null)
    return damagedRefusal(
      foundOf(state),
      { file: `keys/${keyFileName(state.epoch)}`, offset: 0 },
      keyFile,
      'a group names it',
    );

  const clean = end === newest.sizeBytes;
  const previous = files.at(-2) ?? null;
  const examined = {
    kind: 'examined' as const,
    state,
    newest,
    groups,
    lastGroup: scanned.lastGroup,
    beforeLast: scanned.beforeLast,
    erasedInLast: scanned.erasedInLast,
    erasedEarlier: scanned.erasedEarlier,
    slots,
    setAside,
    hashed: scanned.hash === null ? null : { path: newest.path, hash: scanned.hash },
  };
  if (groups === 0 && !clean) {
    setAside.push(newest);
    const endOffset = newest.header?.prevEnd?.offset ?? 0;
    return { ...examined, newest: null, current: null, endOffset, unnamed: previous };
  }
  if (!clean || scanned.sealed) return { ...examined, current: null, endOffset: end, unnamed: newest };
  const current: OpenSegment = {
    firstSeq: newest.firstSeq,
    revision: newest.revision,
    path: newest.path,
    offset: end,
    // Some file systems keep no time of birth: such a file is taken for a new one.
    birthMs: newest.birthMs > 0 ? newest.birthMs : io.clock.nowMs(),
    frames: scanned.root.size,
    root: scanned.root,
  };
  return { ...examined, current, endOffset: end, unnamed: groups === 0 ? previous : null };
};

const emptyState = (generation: number, epoch: number): ChainState => ({
  generation,
  lastSeq: 0,
  nextSeq: 1,
  lastRecordHash: zeros32,
  group: 0,
  leaves: 0,
  epoch,
  slots: 0,
});

const foundOf = (state: ChainState): LogRefusal['found'] => ({
  generation: state.generation,
  lastSeq: state.lastSeq,
  leaves: state.leaves,
});

const nothing = (generation: number): LogRefusal['found'] => ({ generation, lastSeq: 0, leaves: 0 });

const blank = (state: ChainState, slots: KeySlots): Examined => ({
  kind: 'examined',
  state,
  current: null,
  endOffset: 0,
  unnamed: null,
  hashed: null,
  setAside: [],
  newest: null,
  groups: 0,
  lastGroup: null,
  beforeLast: null,
  erasedInLast: [],
  erasedEarlier: [],
  slots,
});

const anySlotTaken = async (slots: KeySlots, epochs: readonly number[]): Promise<boolean> => {
  for (const epoch of epochs) {
    if ((await slots.wrong(epoch)) !== null) continue;
    const count = Math.min(
      slotsPerEpoch,
      Math.floor(((await slots.sizeBytes(epoch)) - keyFileHeaderBytes) / keySlotBytes),
    );
    for (let number = 0; number < count; number++) {
      if ((await slots.slot(epoch, number)).kind === 'slot') return true;
    }
  }
  return false;
};

/** Each file of the newest generation begins where the one before it ends; older generations have been accepted as they are. */
const checkLinks = async (
  io: Io,
  files: readonly SegmentFile[],
  newest: SegmentFile,
): Promise<{ kind: 'linked'; start: ChainState | null } | LogRefusal> => {
  const generation = newest.header?.generation ?? 1;
  const began = files.findIndex((file) => file.header?.generation === generation);
  let start: ChainState | null = null;
  for (let at = began; at < files.length; at++) {
    const file = files[at] as SegmentFile;
    const place = { file: `segments/${file.name}`, offset: 0 };
    const refuse = (what: string, because: string | null = null): LogRefusal =>
      damagedRefusal(nothing(generation), place, what, because);
    const { header } = file;
    if (header === null) return refuse(`${file.wrong}`, 'later segments follow');
    if (header.generation !== generation)
      return refuse(`generation ${header.generation} after ${generation}`);
    const { prevEnd } = header;
    if (at === began) {
      // A later generation may begin anywhere: what was before it has been accepted as it is.
      if (generation === 1 && (header.firstSeq !== 1 || prevEnd !== null))
        return refuse(
          `the log begins with seq ${header.firstSeq}: ${prevEnd === null ? 'nothing says what was before' : `the frames up to ${prevEnd.seq} are missing`}`,
        );
      continue;
    }
    const before = files[at - 1] as SegmentFile;
    if (prevEnd === null || prevEnd.seq + 1 !== header.firstSeq)
      return refuse(`prevEnd.seq (${prevEnd?.seq ?? 0} instead of ${header.firstSeq - 1})`);
    const commit = await commitEndingAt(io, before.path, prevEnd.offset, prevEnd.recordHash);
    if (commit === null || commit.frame.head.record.seq !== prevEnd.seq) {
      return damagedRefusal(
        nothing(generation),
        { file: `segments/${before.name}`, offset: prevEnd.offset },
        `the group that ends with seq ${prevEnd.seq} is not there: damaged, or a segment is missing between ${before.name} and ${file.name}`,
        'a later segment was begun after it',
      );
    }
    if (commit.commit.epoch !== header.epoch)
      return refuse(`epoch (${header.epoch} instead of ${commit.commit.epoch})`);
    start = {
      generation,
      lastSeq: prevEnd.seq,
      nextSeq: header.firstSeq,
      lastRecordHash: prevEnd.recordHash,
      group: commit.commit.group,
      leaves: commit.commit.leaves,
      epoch: commit.commit.epoch,
      slots: commit.commit.slots,
    };
  }
  return { kind: 'linked', start };
};

/** The state at the start of a generation, from the header of its first file. */
const firstState = ({ header }: SegmentFile): ChainState => ({
  ...emptyState(header?.generation ?? 1, header?.epoch ?? 0),
  lastSeq: header?.prevEnd?.seq ?? 0,
  nextSeq: header?.firstSeq ?? 1,
  lastRecordHash: header?.prevEnd?.recordHash ?? zeros32,
});

interface Scanned {
  kind: 'scanned';
  state: ChainState;
  end: number;
  groups: number;
  sealed: boolean;
  root: CompactRange;
  /** of the whole file */
  hash: Hash | null;
  lastGroup: ReadGroup | null;
  beforeLast: ChainState | null;
  erasedInLast: readonly ErasedKey[];
  erasedEarlier: readonly ErasedKey[];
}

const scanNewest = (
  io: Io,
  file: SegmentFile,
  start: ChainState,
  slots: KeySlots,
): Promise<Scanned | LogRefusal> =>
  withAhead(io, file.path, async (window) => {
    const size = file.sizeBytes;
    const root = new CompactRange();
    const destroyed: ErasedKey[] = [];
    const erasedEarlier: ErasedKey[] = [];
    let erasedInLast: ErasedKey[] = [];
    let state = start;
    let lastGroup: ReadGroup | null = null;
    let beforeLast: ChainState | null = null;
    let groups = 0;
    let sealed = false;
    let end = file.groupsAt;

    while (end < size) {
      const read = await readGroup(window, end, size, state, undefined, 'chain');
      let bad = read.kind === 'bad' ? { at: read.at, field: read.field, seq: read.seq } : null;
      if (read.kind === 'group') {
        const { group } = read;
        const taken = await slots.taken(state, group.next, group.commit.first, group.commit.last);
        if (taken.kind === 'bad') bad = { at: group.start, field: taken.field, seq: group.commit.first };
        else if (sealed) bad = { at: group.start, field: 'a group after SEAL', seq: group.commit.first };
        else destroyed.push(...taken.destroyed);
      }
      if (bad !== null || read.kind === 'bad') {
        const proof = await proofOfMore(window, end, size, state);
        if (proof === null) break;
        const what = `frame ${bad?.seq ?? state.nextSeq}: ${bad?.field}`;
        return damagedRefusal(
          foundOf(state),
          { file: `segments/${file.name}`, offset: bad?.at ?? end },
          what,
          proof,
        );
      }
      const { group } = read;
      const unknown = group.frames.find(
        ({ head }) => head.record.critical && !isKnownFrameType(head.record.type),
      );
      if (unknown !== undefined)
        return futureRefusal(
          foundOf(state),
          { file: `segments/${file.name}`, offset: unknown.offset },
          unknown.head.record.type,
        );
      erasedEarlier.push(...erasedInLast);
      erasedInLast = group.frames.flatMap(({ head, clearBody }) =>
        head.record.type === frameTypes.ERASED && clearBody !== null
          ? (parseErasedKeys(clearBody) ?? [])
          : [],
      );
      sealed = group.frames.some(({ head }) => head.record.type === frameTypes.SEAL);
      for (const hash of group.recordLeafHashes) root.append(hash);
      // Of the group only its place is needed from here on; its frames would keep a segment's leaves in memory.
      lastGroup = { ...group, frames: [], recordLeafHashes: [] };
      beforeLast = state;
      state = group.next;
      end = group.end;
      groups += 1;
    }

    const erased = [...erasedEarlier, ...erasedInLast];
    const wrong = destroyed.find(
      ({ epoch, slot }) => !erased.some((key) => key.epoch === epoch && key.slot === slot),
    );
    if (wrong !== undefined) {
      return damagedRefusal(
        foundOf(state),
        { file: `keys/${keyFileName(wrong.epoch)}`, offset: keySlotOffset(wrong.slot) },
        `slot ${wrong.slot} is destroyed without an ERASED frame`,
        null,
      );
    }
    return {
      kind: 'scanned',
      state,
      end,
      groups,
      sealed,
      root,
      hash: window.hashOf(size),
      lastGroup,
      beforeLast,
      erasedInLast,
      erasedEarlier,
    };
  });

const checkHeads = async (
  options: RecoveryOptions,
  state: ChainState,
  inventory: Inventory,
  torn: LogRefusal['place'],
): Promise<LogRefusal | null> => {
  const found = foundOf(state);
  const have = `the log holds ${state.leaves} leaves of generation ${state.generation}, up to seq ${state.lastSeq}`;
  const shorter = (head: KnownHead): LogRefusal => {
    const knew = `${head.source} knows ${head.size} of generation ${head.generation}`;
    return torn === null
      ? rolledBackRefusal(found, head, `${have}, but ${knew}`)
      : { ...damagedRefusal(found, torn, `the octets from here on cannot be believed; ${have}`, knew), head };
  };
  const same: { head: KnownHead; root: Uint8Array }[] = [];
  for (const head of options.knownHeads) {
    if (head.generation > state.generation) return shorter(head);
    if (head.generation < state.generation) continue;
    if (head.size > state.leaves) return shorter(head);
    if (head.root !== null && head.size > 0) same.push({ head, root: head.root });
  }
  if (same.length === 0) return null;
  const roots =
    options.rootAt ??
    (await rootsFromLog(
      options,
      inventory,
      state,
      same.map(({ head }) => head.size),
    ));
  if (typeof roots !== 'function') return roots;
  for (const { head, root } of same) {
    const ours = await roots(head.generation, head.size);
    if (ours !== null && !equalBytes(root, ours)) {
      const what = `the log's first ${head.size} leaves are not those that ${head.source} knows: another history`;
      return rolledBackRefusal(found, head, what);
    }
  }
  return null;
};

/** The roots at some sizes, by reading the leaf hashes of the whole generation. */
const rootsFromLog = async (
  options: RecoveryOptions,
  inventory: Inventory,
  state: ChainState,
  sizes: readonly number[],
): Promise<((generation: number, size: number) => Promise<Uint8Array | null>) | LogRefusal> => {
  const roots = new Map<number, Uint8Array>();
  const range = new CompactRange();
  const files = inventory.segments.filter((file) => file.header?.generation === state.generation);
  for (const [at, file] of files.entries()) {
    const end = files[at + 1]?.header?.prevEnd?.offset ?? file.sizeBytes;
    const bad = await withFile(options.io, file.path, 'read', async (opened) => {
      const window = new Window(opened);
      for (let offset = file.groupsAt; offset < end && range.size < state.leaves; ) {
        const read = await readGroup(window, offset, end, null);
        if (read.kind === 'bad') return read;
        for (const { head } of read.group.frames) {
          if (head.record.leafIndex !== range.size) continue;
          range.append(head.record.leafHash);
          if (sizes.includes(range.size)) roots.set(range.size, range.root());
        }
        offset = read.group.end;
      }
      return null;
    });
    if (bad !== null)
      return damagedRefusal(
        foundOf(state),
        { file: `segments/${file.name}`, offset: bad.at },
        bad.field,
        'later groups follow',
      );
  }
  return async (_generation, size) => roots.get(size) ?? null;
};

/** Makes what was found certain, and puts what is void out of the way. */
const settle = async (options: RecoveryOptions, inventory: Inventory, found: Examined): Promise<void> => {
  const { io, folder } = options;
  const { slots, state, newest, lastGroup, beforeLast } = found;

  if (newest !== null && found.groups <= 1) await writeAgain(io, newest.path, 0, newest.groupsAt);
  if (newest !== null && lastGroup !== null)
    await writeAgain(io, newest.path, lastGroup.start, lastGroup.end);
  if (lastGroup !== null && beforeLast !== null) await settleSlots(io, slots, beforeLast, state);
  // Nobody vouches yet for the header of a key file without slots: its sync may have failed in an earlier life.
  if (state.slots === 0 && (await slots.wrong(state.epoch)) === null)
    await writeAgain(io, slots.path(state.epoch), 0, keyFileHeaderBytes);
  await voidSlots(io, slots, state);
  await destroySlots(io, folder, found.erasedEarlier, false);
  await destroySlots(io, folder, found.erasedInLast, true);

  for (const file of found.setAside) await setFileAside(io, segmentsFolder(folder), file.name);
  for (const epoch of inventory.epochs) {
    const beyond =
      epoch > state.epoch ||
      (epoch === state.epoch && state.slots === 0 && (await slots.wrong(epoch)) !== null);
    if (beyond) await setFileAside(io, keysFolder(folder), keyFileName(epoch));
  }
};

/**
 * Writes the same octets again, and syncs. The group before may have failed its sync in an earlier life: its pages can still be read,
 * but are no longer dirty, and a sync alone would not bring them to the disk.
 */
const writeAgain = (io: Io, path: string, from: number, to: number): Promise<void> =>
  withFile(io, path, 'write', async (file) => {
    const buffer = new Uint8Array(Math.min(to - from, 2 ** 20));
    for (let at = from; at < to; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, to - at));
      if ((await file.read(piece, at)) < piece.length) throw shorter(path);
      await file.write([piece], at);
    }
    await file.dataSync();
  });

const settleSlots = async (io: Io, slots: KeySlots, from: ChainState, to: ChainState): Promise<void> => {
  for (let epoch = from.epoch; epoch <= to.epoch; epoch++) {
    const start = epoch === from.epoch ? from.slots : 0;
    const end = epoch === to.epoch ? to.slots : slotsPerEpoch;
    if (start >= end) continue;
    const header = await slots.octets(epoch, 0, keyFileHeaderBytes);
    const taken = await slots.octets(epoch, keySlotOffset(start), keySlotOffset(end));
    await withFile(io, slots.path(epoch), 'write', async (file) => {
      await file.write([header], 0);
      await file.write([taken], keySlotOffset(start));
      await file.dataSync();
    });
  }
};

/** Slots of groups that never were: their keys go, and the next group finds the place empty. */
const voidSlots = async (io: Io, slots: KeySlots, state: ChainState): Promise<void> => {
  if ((await slots.wrong(state.epoch)) !== null) return;
  const from = keySlotOffset(state.slots);
  const size = await slots.sizeBytes(state.epoch);
  const rest = await slots.octets(state.epoch, Math.min(from, size), size);
  if (isZeros(rest)) return;
  await withFile(io, slots.path(state.epoch), 'write', async (file) => {
    await file.write([zeroOctets(rest.length)], from);
    await file.dataSync();
  });
};

/**
 * Destroys key slots, as an ERASED frame asks; one that is destroyed already is written again only where its sync is in doubt.
 * A slot that was lost to damage holds no key any more: `verify` names it.
 */
export const destroySlots = async (
  io: Io,
  folder: string,
  keys: readonly ErasedKey[],
  again: boolean,
): Promise<void> => {
  for (const [epoch, ofEpoch] of Map.groupBy(keys, (key) => key.epoch)) {
    const path = `${keysFolder(folder)}/${keyFileName(epoch)}`;
    if ((await io.stat(path)) === null) continue;
    await withFile(io, path, 'write', async (file) => {
      let written = false;
      for (const { slot } of ofEpoch) {
        const octets = new Uint8Array(keySlotBytes);
        await file.read(octets, keySlotOffset(slot));
        const parsed = parseKeySlot(octets, slot);
        if (parsed.kind !== 'slot' || (parsed.slot.state === slotStates.destroyed && !again)) continue;
        await file.write([encodeDestroyedSlot(slot, parsed.slot.seq)], keySlotOffset(slot));
        written = true;
      }
      if (written) await file.dataSync();
    });
  }
};

/** Renames a file that holds nothing acknowledged, so that nobody takes it for a part of the log; kept for people to look at. */
export const setFileAside = async (io: Io, folder: string, name: string): Promise<void> => {
  for (let number = 0; ; number++) {
    const aside = `${folder}/${name}.void${number === 0 ? '' : number}`;
    if ((await io.stat(aside)) !== null) continue;
    await io.rename(`${folder}/${name}`, aside);
    await io.syncFolder(folder);
    return;
  }
};

const shorter = (path: string): FengniError =>
  new FengniError('io-error', {
    subject: `${path} became shorter while it was read`,
    remedy: 'make sure that no other program writes to the data folder',
  });
