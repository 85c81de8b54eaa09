import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import {
  decodeDeliver,
  decodeMessage,
  decodeRow,
  decodeSnapshot,
  decodeState,
  type KeyRef,
  type LogEvent,
  type ParsedMessage,
} from '#store/index';
import { type Frame, type KeyReader, openHead, type SegmentReader } from '#store/log';
import { frameTypes, parseErasedKeys, places } from '#store/segments';
import { isMessageLeaf, messageId, parseHash, parseLeaf } from '#trust/seal';

/** Parses a message's octets outside of this process: what strangers sent is never parsed where the log is written. */
export type ParseElsewhere = (octets: AsyncIterable<Uint8Array>) => Promise<ParsedMessage>;

export interface ReplayReaders {
  segments: SegmentReader;
  keys: KeyReader;
  parse: ParseElsewhere;
  /**
   * What to put for a large body whose file is missing or damaged; left out, that is an error like any other.
   */
  unreadable?(error: FengniError, frame: Frame): Promise<ParsedMessage>;
}

/**
 * What a frame of the log means to the projections, or null for one that means nothing to them.
 *
 * @returns `erased` where its key is gone with an ERASED frame: the projections then have what the log can still say, nothing
 * @throws {FengniError} `frame-damaged`, `payload-damaged`, `frame-content-damaged`, `key-missing`
 */
export const eventOf = async (frame: Frame, readers: ReplayReaders): Promise<LogEvent | 'erased' | null> => {
  const { record } = frame.head;
  const { seq } = record;
  switch (record.type) {
    case frameTypes.MSG: {
      const key = keyOf(frame);
      const leaf = parseLeaf(frame.leaf);
      if (!isMessageLeaf(leaf)) throw damaged(frame, `a leaf of kind ${leaf.kind}`);
      const fileKey = await fileKeyOf(key, frame, readers.keys);
      if (fileKey === null) return 'erased';
      const head = decodeMessage(openHead(frame, fileKey));
      const table = chunkTable(head.chunks);
      if (table === null) throw damaged(frame, 'a chunk table that is not base64');
      return {
        type: 'message',
        seq,
        at: addressOf(frame),
        key,
        id: messageId(leaf.msg),
        kind: leaf.kind,
        timeMs: leaf.timeMs,
        leafIndex: record.leafIndex ?? 0,
        sha256Hex: head.sha256Hex,
        sizeBytes: head.sizeBytes,
        parsed: await parsedOf(frame, fileKey, table, readers),
      };
    }
    case frameTypes.DELIVER: {
      const key = keyOf(frame);
      const fileKey = await fileKeyOf(key, frame, readers.keys);
      if (fileKey === null) return 'erased';
      const { recipient: _, ...content } = decodeDeliver(openHead(frame, fileKey));
      return { type: 'deliver', seq, at: addressOf(frame), key, ...content };
    }
    case frameTypes.STATE: {
      const key = keyOf(frame);
      const fileKey = await fileKeyOf(key, frame, readers.keys);
      if (fileKey === null) return 'erased';
      return { type: 'state', seq, key, ...decodeState(openHead(frame, fileKey)) };
    }
    case frameTypes.ROW: {
      if (frame.clearBody !== null) return { type: 'row', seq, ...decodeRow(frame.clearBody), rowKey: null };
      const rowKey = keyOf(frame);
      const fileKey = await fileKeyOf(rowKey, frame, readers.keys);
      if (fileKey === null) return 'erased';
      return { type: 'row', seq, ...decodeRow(openHead(frame, fileKey)), rowKey };
    }
    case frameTypes.SNAP: {
      const key = keyOf(frame);
      const fileKey = await fileKeyOf(key, frame, readers.keys);
      if (fileKey === null) return 'erased';
      return {
        type: 'snapshot',
        seq,
        at: addressOf(frame),
        key,
        commitment: hex(record.bodyCommitment),
        content: decodeSnapshot(openHead(frame, fileKey)),
      };
    }
    case frameTypes.LEAF: {
      const leaf = parseLeaf(frame.leaf);
      return {
        type: 'leaf',
        seq,
        leafIndex: record.leafIndex ?? 0,
        kind: leaf.kind,
        timeMs: leaf.timeMs,
        dayCount: leaf.kind === 'day' ? leaf.count : null,
        ...(leaf.kind === 'gap' ? { uidGap: leaf.uids } : {}),
      };
    }
    case frameTypes.ERASED: {
      const erased = frame.clearBody === null ? null : parseErasedKeys(frame.clearBody);
      if (erased === null) throw damaged(frame, 'a body that names no keys');
      return { type: 'erased', seq, keys: erased };
    }
    default:
      return null;
  }
};

const parsedOf = async (
  frame: Frame,
  fileKey: Uint8Array,
  table: Uint8Array,
  { segments, parse, unreadable }: ReplayReaders,
): Promise<ParsedMessage> => {
  try {
    const reader = await segments.openOctets(frame, fileKey, table);
    return await parse(reader.range(0, reader.lengthBytes));
  } catch (error) {
    const isDamage = error instanceof FengniError && damageCodes.has(error.code);
    if (unreadable === undefined || !isDamage || frame.head.storage.place !== places.ownFile) throw error;
    return unreadable(error, frame);
  }
};

const damageCodes: ReadonlySet<string> = new Set(['frame-damaged', 'payload-damaged']);

export const addressOf = (frame: Frame): { segment: number; offset: number; lengthBytes: number } => {
  const { segment, offset, lengthBytes } = frame.address;
  return { segment, offset, lengthBytes };
};

const keyOf = (frame: Frame): KeyRef => {
  const { key } = frame.head.record;
  if (key === null) throw damaged(frame, 'a sealed frame without a key');
  return key;
};

/** null: destroyed with an ERASED frame */
const fileKeyOf = async (ref: KeyRef, frame: Frame, keys: KeyReader): Promise<Uint8Array | null> => {
  const found = await keys.fileKey(ref);
  if (found.kind === 'clear') return found.fileKey;
  if (found.kind === 'destroyed') return null;
  throw new FengniError('key-missing', {
    subject: `frame ${frame.head.record.seq}: ${found.kind === 'missing' ? found.what : 'the key is wrapped'}`,
    remedy: 'run "fengni verify"; put the key file back from a copy',
    exitStatus: 1,
  });
};

/** The table of a head as octets, 32 for each 64 KiB; null when it is not base64. */
export const chunkTable = (chunks: readonly string[]): Uint8Array | null => {
  const table = new Uint8Array(chunks.length * 32);
  for (const [at, chunk] of chunks.entries()) {
    const hash = parseHash(chunk);
    if (hash === null) return null;
    table.set(hash, at * 32);
  }
  return table;
};

const damaged = (frame: Frame, what: string): FengniError =>
  new FengniError('frame-damaged', {
    subject: `frame ${frame.head.record.seq} (record ${hex(frame.head.record.leafHash).slice(0, 8)}): ${what}`,
    remedy: 'run "fengni verify --repair"',
    exitStatus: 1,
  });
