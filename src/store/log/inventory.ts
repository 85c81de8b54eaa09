import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import {
  type CommitBody,
  frameTypes,
  parseCommitBody,
  parseKeyFileName,
  parseSegmentFileName,
  parseSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
} from '#store/segments';
import { type CheckedFrame, readFrame } from './checked-frame.ts';
import { Window } from './window.ts';

export interface SegmentFile {
  name: string;
  path: string;
  firstSeq: number;
  revision: number;
  sizeBytes: number;
  birthMs: number;
  /** where the first group begins: behind the header, however long it is */
  groupsAt: number;
  /** null when it cannot be believed, for the reason in `wrong` */
  header: SegmentHeader | null;
  wrong: string | null;
}

export interface Inventory {
  /** by firstSeq; of each firstSeq the highest revision */
  segments: SegmentFile[];
  /** ascending */
  epochs: number[];
}

export const segmentsFolder = (folder: string): string => `${folder}/segments`;
export const keysFolder = (folder: string): string => `${folder}/keys`;

/** What there is, with the header of every segment. */
export const takeInventory = async (io: Io, folder: string, shard: number): Promise<Inventory> => {
  const newest = new Map<number, { name: string; revision: number }>();
  for (const name of await readFolderOrNone(io, segmentsFolder(folder))) {
    const parsed = parseSegmentFileName(name);
    if (parsed === null) continue;
    const known = newest.get(parsed.firstSeq);
    if (known === undefined || known.revision < parsed.revision)
      newest.set(parsed.firstSeq, { name, revision: parsed.revision });
  }
  const segments: SegmentFile[] = [];
  for (const [firstSeq, { name, revision }] of [...newest].sort(([a], [b]) => a - b)) {
    const path = `${segmentsFolder(folder)}/${name}`;
    const stat = await io.stat(path);
    if (stat === null) continue;
    const named = { name, path, firstSeq, revision, sizeBytes: stat.size, birthMs: stat.birthMs };
    segments.push({ ...named, ...(await readHeader(io, path, { firstSeq, revision, shard })) });
  }
  const epochs: number[] = [];
  for (const name of await readFolderOrNone(io, keysFolder(folder))) {
    const epoch = parseKeyFileName(name);
    if (epoch !== null) epochs.push(epoch);
  }
  return { segments, epochs: epochs.sort((a, b) => a - b) };
};

/** Runs a task with an open file and closes it whatever happens. */
export const withFile = async <T>(
  io: Io,
  path: string,
  how: 'read' | 'write',
  task: (file: IoFile) => Promise<T>,
): Promise<T> => {
  const file = await io.open(path, how);
  try {
    return await task(file);
  } finally {
    await file.close();
  }
};

/** Runs a task with a file that is read ahead from its beginning. */
export const withAhead = <T>(io: Io, path: string, task: (window: Window) => Promise<T>): Promise<T> =>
  withFile(io, path, 'read', async (file) => {
    const window = new Window(file, 'ahead');
    try {
      return await task(window);
    } finally {
      await window.end();
    }
  });

/** The COMMIT that ends exactly at `offset`, as the header of a later segment claims; null when there is none. */
export const commitEndingAt = async (
  io: Io,
  path: string,
  offset: number,
  recordHash: Uint8Array,
): Promise<{ frame: CheckedFrame; commit: CommitBody } | null> =>
  withFile(io, path, 'read', async (file) => {
    const window = new Window(file);
    // A COMMIT frame is small, and only padding up to 512 follows it.
    const from = Math.max(segmentHeaderBytes, offset - 2048);
    for (let at = offset - 8; at >= from; at -= 8) {
      const magic = await window.view(at, 4);
      if (magic.length < 4 || magic[0] !== 0x46 || magic[1] !== 0x52) continue;
      const read = await readFrame(window, at, offset);
      if (read.kind === 'bad' || read.frame.head.record.type !== frameTypes.COMMIT) continue;
      if (!equalBytes(read.frame.head.recordHash, recordHash) || read.frame.clearBody === null) continue;
      const commit = parseCommitBody(read.frame.clearBody);
      const end = at + read.frame.head.lengthBytes;
      if (commit !== null && offset - end < 512) return { frame: read.frame, commit };
    }
    return null;
  });

const readFolderOrNone = async (io: Io, path: string): Promise<string[]> => {
  try {
    return await io.readFolder(path);
  } catch (error) {
    if (error instanceof FengniError && error.code === 'file-not-found') return [];
    throw error;
  }
};

const readHeader = async (
  io: Io,
  path: string,
  expected: { firstSeq: number; revision: number; shard: number },
): Promise<Pick<SegmentFile, 'header' | 'wrong' | 'groupsAt'>> => {
  const octets = new Uint8Array(segmentHeaderBytes);
  const length = await withFile(io, path, 'read', (file) => file.read(octets, 0));
  const parsed = parseSegmentHeader(octets.subarray(0, length));
  if (parsed.kind === 'bad') return { header: null, wrong: parsed.field, groupsAt: segmentHeaderBytes };
  const { header, lengthBytes: groupsAt } = parsed;
  if (header.firstSeq !== expected.firstSeq)
    return { header: null, groupsAt, wrong: `firstSeq (${header.firstSeq}: the file has another's name)` };
  if (header.revision !== expected.revision)
    return { header: null, groupsAt, wrong: `revision (${header.revision}: the file has another's name)` };
  if (header.shard !== expected.shard)
    return { header: null, groupsAt, wrong: `shard (${header.shard} instead of ${expected.shard})` };
  return { header, groupsAt, wrong: null };
};
