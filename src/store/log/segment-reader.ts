import { concat, equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import {
  type FrameHead,
  frameLimits,
  isZeros,
  largeFileName,
  openPayload,
  openPayloadAtHand,
  openWholePayload,
  type PayloadReader,
  parseFrameHead,
  parseSegmentFileName,
  places,
  segmentFileName,
  sha256Is,
} from '#store/segments';
import { isMessageLeaf, leafHash, messageId, parseLeaf } from '#trust/seal';
import { FilePool } from './file-pool.ts';

/** Where a frame lies. */
export interface FrameAddress {
  /** the first `seq` of its segment: it names the file in every revision */
  segment: number;
  /** octets from the start of the file to the frame's storage header */
  offset: number;
  /** octets of the whole frame, padding included */
  lengthBytes: number;
}

export interface Frame {
  address: FrameAddress;
  head: FrameHead;
  /** empty without a leaf */
  leaf: Uint8Array;
  /** the sealed head; empty in a clear frame */
  storedHead: Uint8Array;
  /** null in a sealed frame */
  clearBody: Uint8Array | null;
  /** the stored octets when the frame is small enough to have been read at once, else null */
  storedOctets: Uint8Array | null;
  /** the head in clear, once `openHead` has checked it */
  openedHead?: Uint8Array;
}

/** Octets of frames that were read before they were asked for; for the command at hand, and then dropped. */
export interface ReadAhead {
  /** the frame's octets as they are stored, or null when they were not read */
  octets(address: FrameAddress): Uint8Array | null;
}

/** Reads frames at addresses that the writer announced after they were durable; every process may have one. */
export interface SegmentReader {
  /**
   * Checked: storage header, record, seq, leaf; for a clear frame its body too.
   *
   * @throws {FengniError} `frame-damaged`, or of `Io`
   */
  readFrame(address: FrameAddress, seq: number, ahead?: ReadAhead): Promise<Frame>;
  /** As `readFrame`, of a frame whose octets are at hand: all of them, with whatever follows. */
  frameIn(octets: Uint8Array, address: FrameAddress, seq: number): Frame;
  /**
   * Reads the octets of several frames with as few calls as their places allow: messages that came together lie together. What is too
   * large, or too much, is left to `readFrame`.
   */
  readAhead(addresses: readonly FrameAddress[]): Promise<ReadAhead>;
  /**
   * The octets of a sealed frame, to be read by ranges.
   *
   * @param chunkHashes the table of the head
   * @throws {FengniError} `frame-damaged`, `payload-damaged`
   */
  openOctets(frame: Frame, fileKey: Uint8Array, chunkHashes: Uint8Array | null): Promise<PayloadReader>;
  close(): Promise<void>;
}

/** Read at once, whatever the frame: most mail fits. */
const firstReadBytes = 16_384;
const openFilesMax = 64;
/** octets that one call reads ahead, and all that a caller has at once */
const aheadRunBytesMax = 256 * 1024;
const aheadBytesMax = 512 * 1024;
/** a larger frame is read by its parts */
const aheadFrameBytesMax = 128 * 1024;
/** octets between two frames that are read with them */
const aheadGapBytesMax = 8 * 1024;
/** files in `large/` that are kept open while nobody reads them: none, so that one that was erased is gone */
const idleLargeFilesMax = 0;

/** @param options.folder DATA */
export const openSegmentReader = (options: { io: Io; folder: string }): SegmentReader => {
  const { io, folder } = options;
  const revisions = new Map<number, number>();
  const files = new FilePool<IoFile>({
    filesMax: openFilesMax,
    open: (name) => io.open(`${folder}/segments/${name}`, 'read'),
    close: (file) => file.close(),
  });

  const largeFiles = new FilePool<{ file: IoFile; sizeBytes: number }>({
    filesMax: idleLargeFilesMax,
    open: async (name) => {
      const file = await io.open(`${folder}/large/${name}`, 'read');
      return { file, sizeBytes: await file.size() };
    },
    close: ({ file }) => file.close(),
  });

  /** The octets that lie in a file of their own; it is open as long as a range is being read. */
  const openOwnFile = async (
    frame: Frame,
    fileKey: Uint8Array,
    chunkHashes: Uint8Array | null,
  ): Promise<PayloadReader> => {
    const { address, head } = frame;
    const { storedLength } = head.storage;
    const id = messageIdOf(frame);
    if (id === null) throw damaged(address, await nameOf(address.segment), 'leaf');
    const name = largeFileName(id);
    const hold = async (): Promise<{ file: IoFile; release(): void }> => {
      try {
        const { file, release } = await largeFiles.acquire(name);
        if (file.sizeBytes === storedLength) return { file: file.file, release };
        release();
        throw largeDamaged(name, `it has ${file.sizeBytes} octets instead of ${storedLength}`);
      } catch (error) {
        if (!(error instanceof FengniError) || error.code !== 'file-not-found') throw error;
        throw largeDamaged(name, 'the file is missing');
      }
    };
    const read = async (position: number, lengthBytes: number): Promise<Uint8Array> => {
      const { file, release } = await hold();
      try {
        const octets = new Uint8Array(lengthBytes);
        if ((await file.read(octets, position)) < lengthBytes) throw largeDamaged(name, 'it became shorter');
        return octets;
      } finally {
        release();
      }
    };
    const payload = await openPayload({ storedLength, read }, fileKey, chunkHashes);
    return {
      lengthBytes: payload.lengthBytes,
      async *range(start, end) {
        const { release } = await hold();
        try {
          yield* payload.range(start, end);
        } finally {
          release();
        }
      },
      rangeAtHand: () => null,
    };
  };

  const nameOf = async (segment: number): Promise<string> => {
    if (!revisions.has(segment)) {
      for (const name of await io.readFolder(`${folder}/segments`)) {
        const parsed = parseSegmentFileName(name);
        if (parsed === null) continue;
        revisions.set(parsed.firstSeq, Math.max(parsed.revision, revisions.get(parsed.firstSeq) ?? 0));
      }
    }
    return segmentFileName(segment, revisions.get(segment) ?? 0);
  };

  /** What the revision is known to be; a file that was never opened has none yet. */
  const knownName = (segment: number): string => segmentFileName(segment, revisions.get(segment) ?? 0);

  const frameOf = (
    octets: Uint8Array,
    head: FrameHead,
    address: FrameAddress,
    seq: number,
    name: string,
  ): Frame => {
    if (head.record.seq !== seq) throw damaged(address, name, `seq (${head.record.seq})`);
    if (head.lengthBytes !== address.lengthBytes) throw damaged(address, name, 'length of the frame');
    const clear = head.record.key === null;
    const frame: Frame = {
      address,
      head,
      leaf: octets.subarray(head.leafAt, head.headAt),
      storedHead: octets.subarray(head.headAt, head.octetsAt),
      clearBody: clear ? octets.subarray(head.octetsAt, head.endAt) : null,
      storedOctets: octets.length >= head.endAt ? octets.subarray(head.octetsAt, head.endAt) : null,
    };
    const wrong = wrongPart(frame);
    if (wrong !== null) throw damaged(address, name, wrong);
    return frame;
  };

  const frameIn = (octets: Uint8Array, address: FrameAddress, seq: number): Frame => {
    const name = knownName(address.segment);
    const parsed = parseFrameHead(octets);
    if (parsed.kind === 'bad') throw damaged(address, name, parsed.field);
    return frameOf(octets, parsed.frame, address, seq, name);
  };

  return {
    frameIn,

    async readFrame(address, seq, ahead) {
      const name = await nameOf(address.segment);
      const held = ahead?.octets(address) ?? null;
      if (held !== null) return frameIn(held, address, seq);
      return files.use(name, async (file) => {
        const first = await readExactly(
          file,
          address,
          0,
          Math.min(firstReadBytes, address.lengthBytes),
          name,
        );
        const parsed = parseFrameHead(first);
        if (parsed.kind === 'bad') throw damaged(address, name, parsed.field);
        const head = parsed.frame;
        const wanted = head.record.key === null ? head.endAt : head.octetsAt;
        if (wanted <= first.length || head.lengthBytes !== address.lengthBytes)
          return frameOf(first, head, address, seq, name);
        const rest = await readExactly(file, address, first.length, wanted - first.length, name);
        return frameOf(concat([first, rest]), head, address, seq, name);
      });
    },

    async readAhead(addresses) {
      const runs = runsOf(addresses);
      const read = await Promise.all(
        runs.map(async ({ segment, offset, lengthBytes }) => {
          const octets = new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer);
          try {
            const name = await nameOf(segment);
            // What the file does not have is found missing when the frame itself is read.
            const length = await files.use(name, (file) => file.read(octets, offset));
            return { segment, offset, octets: octets.subarray(0, length) };
          } catch (error) {
            if (!(error instanceof FengniError)) throw error;
            return { segment, offset, octets: octets.subarray(0, 0) };
          }
        }),
      );
      return {
        octets: ({ segment, offset, lengthBytes }) => {
          for (const run of read) {
            const at = offset - run.offset;
            if (run.segment === segment && at >= 0 && at + lengthBytes <= run.octets.length)
              return run.octets.subarray(at, at + lengthBytes);
          }
          return null;
        },
      };
    },

    async openOctets(frame, fileKey, chunkHashes) {
      const { address, head, storedOctets } = frame;
      if (head.storage.place === places.ownFile) return openOwnFile(frame, fileKey, chunkHashes);
      if (head.storage.place !== places.here)
        throw damaged(address, knownName(address.segment), 'place (the octets are erased)');
      if (storedOctets !== null) return openPayloadAtHand(storedOctets, fileKey, chunkHashes);
      const name = await nameOf(address.segment);
      return openPayload(
        {
          storedLength: head.storage.storedLength,
          read: (position, lengthBytes) =>
            files.use(name, (file) =>
              readExactly(file, address, head.octetsAt + position, lengthBytes, name),
            ),
        },
        fileKey,
        chunkHashes,
      );
    },

    close: async () => {
      await files.close();
      await largeFiles.close();
    },
  };
};

/** Whose body a frame has, by its leaf; null for a frame that is no message's. */
export const messageIdOf = (frame: Pick<Frame, 'leaf'>): string | null => {
  try {
    const leaf = parseLeaf(frame.leaf);
    return isMessageLeaf(leaf) ? messageId(leaf.msg) : null;
  } catch {
    return null;
  }
};

/**
 * The plaintext head of a sealed frame, checked against the record's commitment.
 *
 * @throws {FengniError} `frame-damaged`, `payload-damaged`
 */
export const openHead = (frame: Frame, fileKey: Uint8Array): Uint8Array => {
  if (frame.openedHead !== undefined) return frame.openedHead;
  const plain = openWholePayload(fileKey, frame.storedHead);
  if (!sha256Is(plain, frame.head.record.bodyCommitment))
    throw damaged(frame.address, segmentFileName(frame.address.segment, 0), 'bodyCommitment');
  frame.openedHead = plain;
  return plain;
};

const wrongPart = (frame: Frame): string | null => {
  const { record, storage } = frame.head;
  if (record.leafIndex !== null && !equalBytes(leafHash(frame.leaf), record.leafHash)) return 'leaf';
  if (frame.clearBody === null || storage.place !== places.here) return null;
  if (frame.clearBody.length === 0 && isZeros(record.bodyCommitment)) return null;
  if (!sha256Is(frame.clearBody, record.bodyCommitment)) return 'bodyCommitment';
  return null;
};

/** What to read with one call each, in the order of the file. */
const runsOf = (addresses: readonly FrameAddress[]): FrameAddress[] => {
  const sorted = addresses
    .filter(({ lengthBytes }) => lengthBytes <= aheadFrameBytesMax)
    .sort((a, b) => a.segment - b.segment || a.offset - b.offset);
  const runs: FrameAddress[] = [];
  let bytes = 0;
  for (const { segment, offset, lengthBytes } of sorted) {
    const run = runs.at(-1);
    const end = offset + lengthBytes;
    const isNear =
      run !== undefined &&
      run.segment === segment &&
      offset - (run.offset + run.lengthBytes) <= aheadGapBytesMax &&
      end - run.offset <= aheadRunBytesMax;
    const before = isNear ? run.lengthBytes : 0;
    const after = isNear ? Math.max(before, end - run.offset) : lengthBytes;
    if (bytes + after - before > aheadBytesMax) break;
    bytes += after - before;
    if (isNear) run.lengthBytes = after;
    else runs.push({ segment, offset, lengthBytes });
  }
  return runs;
};

const readExactly = async (
  file: IoFile,
  address: FrameAddress,
  at: number,
  lengthBytes: number,
  name: string,
): Promise<Uint8Array> => {
  const bounded = Math.min(lengthBytes, 2 * frameLimits.headStoredBytesMax);
  if (bounded === 0) return new Uint8Array(0);
  const octets = new Uint8Array(bounded);
  const length = await file.read(octets, address.offset + at);
  if (length < bounded) throw damaged(address, name, 'length of the file');
  return octets;
};

const damaged = (address: FrameAddress, name: string, field: string): FengniError =>
  new FengniError('frame-damaged', {
    subject: `segments/${name}, frame at offset ${address.offset}: ${field}`,
    remedy: 'run "fengni verify --repair"',
    exitStatus: 1,
  });

const largeDamaged = (name: string, what: string): FengniError =>
  new FengniError('frame-damaged', {
    subject: `large/${name}: ${what}`,
    remedy: 'run "fengni verify --repair --from COPY"',
    exitStatus: 1,
  });
