import { equalBytes, hex } from '#base/bytes';
import type { Io } from '#store/durable';
import {
  encodeSegmentHeader,
  parseSegmentFileName,
  parseSegmentHeader,
  type SegmentHeader,
  segmentFileName,
  segmentHeaderBytes,
  sha256Of,
} from '#store/segments';
import { namesIn } from './verify-folder.ts';
import { findGroups, type GoodGroup } from './verify-repair-groups.ts';
import type { Repairs } from './verify-repairs.ts';

/**
 * Puts segments together again from groups that are good and continue one chain: ours first, those of a copy where ours are not good.
 *
 * A group of the copy is taken only where it continues our chain and our next good group continues it; behind our last one, where it
 * continues ours. Nothing good is given up. Memory: one file of each side, and what is known of each group.
 *
 * @param suspects frames whose stored hashes are good but whose bodies are not what their records commit to
 */
export const repairLog = async (
  io: Io,
  folder: string,
  from: string | null,
  shard: number,
  suspects: ReadonlySet<number>,
  repairs: Repairs,
): Promise<void> => {
  const ours = await readSide(io, `${folder}/segments`, shard);
  const theirs = from === null ? emptySide() : await readSide(io, `${from}/segments`, shard);
  giveWay(ours, theirs, suspects);
  const plan = planFiles(ours, theirs, shard, repairs);
  // All are written before the first takes its name: where files changed places, each is the other's source.
  const written: string[] = [];
  for (const file of plan) {
    const name = await writeFile(io, folder, file, ours, theirs);
    if (name !== null) written.push(name);
  }
  for (const name of written) {
    await io.rename(`${folder}/segments/${name}${unfinished}`, `${folder}/segments/${name}`);
    await io.syncFolder(`${folder}/segments`);
    repairs.done.push(`segments/${name}`);
  }
};

/** behind the name of a file that is being put together; one that was left by a power cut is a source like any other */
const unfinished = '.repair';

/** A group with a suspect makes room for the copy's, where that has the very same records. */
const giveWay = (ours: Side, theirs: Side, suspects: ReadonlySet<number>): void => {
  for (const seq of suspects) {
    const start = ours.starts.findLast((first) => first <= seq);
    const [own] = (start === undefined ? undefined : ours.groups.get(start)) ?? [];
    if (start === undefined || own === undefined || own.lastSeq < seq) continue;
    const same =
      theirs.groups.get(start)?.some(({ lastHash }) => equalBytes(lastHash, own.lastHash)) === true;
    if (!same) continue;
    ours.groups.delete(start);
    ours.starts = ours.starts.filter((first) => first !== start);
  }
};

interface Side {
  /** by first seq: the good headers, whatever name their files have */
  headers: Map<number, { header: SegmentHeader; octets: Uint8Array }>;
  /** first seqs that names of files say, with the revision */
  named: Map<number, number>;
  /** by first seq */
  groups: Map<number, GoodGroup[]>;
  /** ascending */
  starts: number[];
  /** octets of files by path, the last one read */
  read(path: string): Promise<Uint8Array>;
  folder: string;
}

const emptySide = (): Side => ({
  headers: new Map(),
  named: new Map(),
  groups: new Map(),
  starts: [],
  read: async () => new Uint8Array(0),
  folder: '',
});

const readSide = async (io: Io, folder: string, shard: number): Promise<Side> => {
  let last: { path: string; octets: Uint8Array } | null = null;
  const side: Side = {
    ...emptySide(),
    folder,
    read: async (path) => {
      if (last?.path !== path) last = { path, octets: await io.readFile(path) };
      return last.octets;
    },
  };
  for (const name of await namesIn(io, folder)) {
    const isUnfinished = name.endsWith(unfinished);
    const parsed = parseSegmentFileName(isUnfinished ? name.slice(0, -unfinished.length) : name);
    if (parsed === null) continue;
    if (!isUnfinished) side.named.set(parsed.firstSeq, parsed.revision);
    const path = `${folder}/${name}`;
    const octets = await side.read(path);
    const header = parseSegmentHeader(octets.subarray(0, segmentHeaderBytes));
    if (header.kind === 'header' && header.header.shard === shard)
      side.headers.set(header.header.firstSeq, {
        header: header.header,
        octets: octets.slice(0, segmentHeaderBytes),
      });
    for (const group of findGroups(path, octets)) {
      const same = side.groups.get(group.firstSeq) ?? [];
      side.groups.set(group.firstSeq, [...same, group]);
    }
  }
  side.starts = [...side.groups.keys()].sort((a, b) => a - b);
  return side;
};

interface PlannedFile {
  firstSeq: number;
  revision: number;
  header: Uint8Array;
  /** in order; `at` is the offset in the file, a gap between two of them is a part that could not be repaired */
  groups: { group: GoodGroup; at: number; isOurs: boolean }[];
  /** where the next file says that this one ends; null for the last */
  isLast: boolean;
  sha256: Uint8Array | null;
}

interface Chain {
  lastSeq: number;
  nextSeq: number;
  lastHash: Uint8Array;
  generation: number;
  epoch: number;
}

const planFiles = (ours: Side, theirs: Side, shard: number, repairs: Repairs): PlannedFile[] => {
  const files: PlannedFile[] = [];
  const closed = new Map<number, Uint8Array>();
  let chain: Chain = { lastSeq: 0, nextSeq: 1, lastHash: new Uint8Array(32), generation: 1, epoch: 0 };
  let file: PlannedFile | null = null;
  let end = segmentHeaderBytes;

  const begin = (firstSeq: number, revision: number, header: Uint8Array): void => {
    if (file !== null) file.isLast = false;
    file = { firstSeq, revision, header, groups: [], isLast: true, sha256: null };
    files.push(file);
    end = segmentHeaderBytes;
  };
  const take = (group: GoodGroup, isOurs: boolean, at: number): void => {
    file?.groups.push({ group, at, isOurs });
    end = at + (group.end - group.start);
    const { lastSeq, lastHash, generation, epoch } = group;
    chain = { lastSeq, nextSeq: lastSeq + 1, lastHash, generation, epoch };
    for (const { number, sha256 } of group.segments) closed.set(number, sha256);
  };
  /** the header of a file that begins exactly here */
  const headerHere = (side: Side): { header: SegmentHeader; octets: Uint8Array } | null => {
    for (const each of side.headers.values()) {
      const { prevEnd, firstSeq, generation } = each.header;
      if (prevEnd === null) {
        if (chain.lastSeq === 0 && firstSeq === chain.nextSeq) return each;
        continue;
      }
      const continues = prevEnd.seq === chain.lastSeq && equalBytes(prevEnd.recordHash, chain.lastHash);
      if (continues && (firstSeq === chain.nextSeq || generation > chain.generation)) return each;
    }
    return null;
  };
  const beginWith = (found: { header: SegmentHeader; octets: Uint8Array }): void => {
    begin(found.header.firstSeq, found.header.revision, found.octets);
    if (found.header.firstSeq !== chain.nextSeq)
      chain = { ...chain, nextSeq: found.header.firstSeq, generation: found.header.generation };
  };
  const isBegun = (firstSeq: number): boolean => files.some((each) => each.firstSeq === firstSeq);
  const linking = (side: Side, state: Chain): GoodGroup | undefined =>
    side.groups.get(state.nextSeq)?.find(({ prev }) => equalBytes(prev, state.lastHash));

  for (;;) {
    const own = headerHere(ours);
    if (own !== null && !isBegun(own.header.firstSeq)) {
      beginWith(own);
      continue;
    }
    // A file of ours whose header is damaged: everything that it said follows from the chain.
    const revision = ours.named.get(chain.nextSeq);
    if (revision !== undefined && !ours.headers.has(chain.nextSeq) && !isBegun(chain.nextSeq)) {
      begin(chain.nextSeq, revision, derivedHeader(chain, revision, shard, end));
      continue;
    }
    const next = linking(ours, chain);
    if (next !== undefined && file !== null) {
      take(next, true, end);
      continue;
    }
    const bridge = findBridge(ours, theirs, chain, linking);
    if (bridge.kind === 'bridge') {
      for (const group of bridge.groups) {
        const header = headerHere(ours) ?? headerHere(theirs);
        if (header !== null && !isBegun(header.header.firstSeq)) beginWith(header);
        take(group, false, end);
      }
      continue;
    }
    // What is missing stays missing; the chain goes on behind it with our own next good group.
    const after = ours.starts.find((seq) => seq > chain.nextSeq);
    if (after === undefined) break;
    repairs.refused.push(
      `frames ${chain.nextSeq} to ${after - 1}: ${bridge.kind === 'fork' ? 'the copy has another history' : theirs.folder === '' ? 'not without a copy' : 'the copy does not have them'}`,
    );
    const resumed = ours.groups.get(after)?.[0] as GoodGroup;
    const inFile =
      [...ours.named.keys()]
        .filter((seq) => seq <= after)
        .sort((a, b) => a - b)
        .at(-1) ?? after;
    if (!isBegun(inFile)) {
      const header = ours.headers.get(inFile);
      if (header === undefined) break;
      begin(inFile, header.header.revision, header.octets);
    }
    take(resumed, true, resumed.start);
  }
  for (const each of files) each.sha256 = closed.get(each.firstSeq) ?? null;
  return files;
};

type Bridge = { kind: 'bridge'; groups: GoodGroup[] } | { kind: 'fork' } | { kind: 'none' };

/** Groups of the copy from here to our next good group; or to the copy's end, where we have nothing more. */
const findBridge = (
  ours: Side,
  theirs: Side,
  start: Chain,
  linking: (side: Side, state: Chain) => GoodGroup | undefined,
): Bridge => {
  const goal = ours.starts.find((seq) => seq > start.nextSeq);
  const groups: GoodGroup[] = [];
  let chain = start;
  for (;;) {
    const resumed = goal !== undefined && chain.nextSeq === goal;
    if (resumed) return linking(ours, chain) === undefined ? { kind: 'fork' } : { kind: 'bridge', groups };
    if (goal !== undefined && chain.nextSeq > goal) return { kind: 'fork' };
    const group = linking(theirs, chain);
    if (group === undefined) {
      const isFork = theirs.groups.has(chain.nextSeq);
      if (goal === undefined && groups.length > 0) return { kind: 'bridge', groups };
      return isFork ? { kind: 'fork' } : { kind: 'none' };
    }
    groups.push(group);
    const { lastSeq, lastHash, generation, epoch } = group;
    chain = { lastSeq, nextSeq: lastSeq + 1, lastHash, generation, epoch };
  }
};

const derivedHeader = (chain: Chain, revision: number, shard: number, end: number): Uint8Array =>
  encodeSegmentHeader({
    shard,
    generation: chain.generation,
    revision,
    firstSeq: chain.nextSeq,
    epoch: chain.epoch,
    prevEnd: chain.lastSeq === 0 ? null : { seq: chain.lastSeq, offset: end, recordHash: chain.lastHash },
  });

const writeFile = async (
  io: Io,
  folder: string,
  file: PlannedFile,
  ours: Side,
  theirs: Side,
): Promise<string | null> => {
  const name = segmentFileName(file.firstSeq, file.revision);
  const path = `${folder}/segments/${name}`;
  const present = (await io.stat(path)) === null ? null : (await ours.read(path)).slice();
  const pieces: Uint8Array[] = [file.header];
  let at = segmentHeaderBytes;
  for (const { group, at: wanted, isOurs } of file.groups) {
    // A part that could not be repaired stays as it is.
    if (wanted > at && present !== null) pieces.push(present.slice(at, wanted));
    const octets = await (isOurs ? ours : theirs).read(group.path);
    pieces.push(octets.slice(group.start, group.end));
    at = wanted + (group.end - group.start);
  }
  const finished = await withRest(io, file, pieces, at, present, theirs);
  if (present !== null && sameOctets(finished, present)) return null;
  const temporary = `${path}${unfinished}`;
  if ((await io.stat(temporary)) !== null) await io.remove(temporary);
  const opened = await io.open(temporary, 'create-new');
  try {
    await opened.write(finished, 0);
    await opened.sync();
  } finally {
    await opened.close();
  }
  return name;
};

/**
 * Behind the last group of a closed file lie octets that mean nothing but are part of the file that a leaf names. Ours, those of the
 * copy or none: what the leaf says; without a leaf ours.
 */
const withRest = async (
  io: Io,
  file: PlannedFile,
  pieces: readonly Uint8Array[],
  end: number,
  present: Uint8Array | null,
  theirs: Side,
): Promise<Uint8Array[]> => {
  const none = [...pieces];
  const own = present === null || present.length <= end ? none : [...pieces, present.slice(end)];
  // Behind a group that the copy brought back, what we had was no longer that group.
  if (file.isLast) return file.groups.at(-1)?.isOurs === false ? none : own;
  const copyPath = `${theirs.folder}/${segmentFileName(file.firstSeq, file.revision)}`;
  const copy =
    theirs.folder === '' || (await io.stat(copyPath)) === null
      ? new Uint8Array(0)
      : await theirs.read(copyPath);
  const variants = [own, none, copy.length > end ? [...pieces, copy.slice(end)] : none];
  const { sha256 } = file;
  if (sha256 === null) return own;
  return variants.find((variant) => hex(sha256Of(variant)) === hex(sha256)) ?? own;
};

const sameOctets = (pieces: readonly Uint8Array[], whole: Uint8Array): boolean => {
  let at = 0;
  for (const piece of pieces) {
    if (!equalBytes(whole.subarray(at, at + piece.length), piece)) return false;
    at += piece.length;
  }
  return at === whole.length;
};
