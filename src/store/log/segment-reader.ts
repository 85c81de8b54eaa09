import { createHash } from 'node:crypto';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import {
  type FrameHead,
  frameLimits,
  isZeros,
  largeFileName,
  openPayload,
  openWholePayload,
  type PayloadReader,
  parseFrameHead,
  parseSegmentFileName,
  places,
  segmentFileName,
  sha256,
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
}

/** Reads frames at addresses that the writer announced after they were durable; every process may have one. */
export interface SegmentReader {
  /**
   * Checked: storage header, record, seq, leaf; for a clear frame its body too.
   *
   * @throws {FengniError} `frame-damaged`, or of `Io`
   */
  readFrame(address: FrameAddress, seq: number): Promise<Frame>;
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

  return {
    async readFrame(address, seq) {
      const name = await nameOf(address.segment);
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
        if (head.record.seq !== seq) throw damaged(address, name, `seq (${head.record.seq})`);
        if (head.lengthBytes !== address.lengthBytes) throw damaged(address, name, 'length of the frame');
        const clear = head.record.key === null;
        const wanted = clear ? head.endAt : head.octetsAt;
        const rest = await readExactly(file, address, first.length, Math.max(0, wanted - first.length), name);
        const part = (from: number, to: number): Uint8Array => slice(first, rest, from, to);
        const frame: Frame = {
          address,
          head,
          leaf: part(head.leafAt, head.headAt),
          storedHead: part(head.headAt, head.octetsAt),
          clearBody: clear ? part(head.octetsAt, head.endAt) : null,
          storedOctets: first.length >= head.endAt ? first.subarray(head.octetsAt, head.endAt) : null,
        };
        const wrong = wrongPart(frame);
        if (wrong !== null) throw damaged(address, name, wrong);
        return frame;
      });
    },

    async openOctets(frame, fileKey, chunkHashes) {
      const { address, head, storedOctets } = frame;
      if (head.storage.place === places.ownFile) return openOwnFile(frame, fileKey, chunkHashes);
      const name = await nameOf(address.segment);
      if (head.storage.place !== places.here) throw damaged(address, name, 'place (the octets are erased)');
      return openPayload(
        {
          storedLength: head.storage.storedLength,
          read: (position, lengthBytes) =>
            storedOctets !== null
              ? Promise.resolve(storedOctets.subarray(position, position + lengthBytes))
              : files.use(name, (file) =>
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
  const plain = openWholePayload(fileKey, frame.storedHead);
  if (!equalBytes(sha256(plain), frame.head.record.bodyCommitment))
    throw damaged(frame.address, segmentFileName(frame.address.segment, 0), 'bodyCommitment');
  return plain;
};

const wrongPart = (frame: Frame): string | null => {
  const { record, storage } = frame.head;
  if (record.leafIndex !== null && !equalBytes(leafHash(frame.leaf), record.leafHash)) return 'leaf';
  if (frame.clearBody === null || storage.place !== places.here) return null;
  if (frame.clearBody.length === 0 && isZeros(record.bodyCommitment)) return null;
  if (!equalBytes(createHash('sha256').update(frame.clearBody).digest(), record.bodyCommitment))
    return 'bodyCommitment';
  return null;
};

const slice = (first: Uint8Array, rest: Uint8Array, from: number, to: number): Uint8Array => {
  if (to <= first.length) return first.subarray(from, to);
  if (from >= first.length) return rest.subarray(from - first.length, to - first.length);
  const whole = new Uint8Array(to - from);
  whole.set(first.subarray(from), 0);
  whole.set(rest.subarray(0, to - first.length), first.length - from);
  return whole;
};

const readExactly = async (
  file: IoFile,
  address: FrameAddress,
  at: number,
  lengthBytes: number,
  name: string,
): Promise<Uint8Array> => {
  const bounded = Math.min(lengthBytes, 2 * frameLimits.headStoredBytesMax);
  const octets = new Uint8Array(bounded);
  if (bounded === 0) return octets;
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
