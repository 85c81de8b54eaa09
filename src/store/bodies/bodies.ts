import { equalBytes, fromHex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  type DeliverContent,
  decodeDeliver,
  decodeMessage,
  type KeyRef,
  type MessageContent,
  type MessageRow,
} from '#store/index';
import { openHead, openKeyReader, openSegmentReader, type SegmentReader } from '#store/log';
import { isMessageLeaf, messageId, parseHash, parseLeaf } from '#trust/seal';

/** One original, open for reading. */
export interface MessageBody {
  sizeBytes: number;
  head: MessageContent;
  /** the leaf as it stands in the ledger */
  leaf: Uint8Array;
  /**
   * Octets `start` to before `end` of the original, each piece verified before it is given out; up to 1 MiB the whole range before its
   * first octet.
   *
   * @throws {FengniError} `payload-damaged`, `frame-damaged`
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /**
   * As `read`, where the octets are in memory and only have to be opened; else null.
   *
   * @throws {FengniError} `payload-damaged`
   */
  readAtHand(start: number, end: number): readonly Uint8Array[] | null;
}

/** What was read of several messages with few calls; each is opened and checked when it is asked for. */
export type ReadAhead = Awaited<ReturnType<SegmentReader['readAhead']>>;

/** Where one account's copy lies. */
export interface CopyPlace {
  emailSeq: number;
  at: MessageRow['at'];
  key: KeyRef;
}

export interface BodyReaders {
  /** @throws {FengniError} `frame-damaged`, `payload-damaged`, `frame-content-damaged`, `message-erased`, `key-missing` */
  message(
    row: Pick<MessageRow, 'seq' | 'at' | 'key' | 'id' | 'sizeBytes' | 'sha256Hex'>,
    ahead?: ReadAhead,
  ): Promise<MessageBody>;
  /** the trace fields of one copy, from its own frame. @throws {FengniError} as `message` */
  prefix(copy: CopyPlace, ahead?: ReadAhead): Promise<Uint8Array>;
  /** everything that one copy's frame says. @throws {FengniError} as `message` */
  copy(copy: CopyPlace, ahead?: ReadAhead): Promise<DeliverContent>;
  /** Reads frames that will be asked for next, up to 512 KiB of them. */
  readAhead(places: readonly MessageRow['at'][]): Promise<ReadAhead>;
  /** keys that were destroyed, or null for any of them, are in memory no longer */
  forget(keys: readonly KeyRef[] | null): void;
  close(): Promise<void>;
}

/** Readers of one process; `folder` is DATA. */
export const openBodyReaders = (options: { io: Io; folder: string; shard: number }): BodyReaders => {
  const segments = openSegmentReader(options);
  const keys = openKeyReader(options);

  const fileKey = async (ref: KeyRef, what: string): Promise<Uint8Array> => {
    const found = await keys.fileKey(ref);
    if (found.kind === 'clear') return found.fileKey;
    if (found.kind === 'destroyed') {
      throw new FengniError('message-erased', {
        subject: what,
        remedy: 'it was erased for good; its proof remains',
        exitStatus: 1,
      });
    }
    throw new FengniError('key-missing', {
      subject: `${what}: ${found.kind === 'missing' ? found.what : 'the key is wrapped'}`,
      remedy: 'run "fengni verify"; put the key file back from a copy',
      exitStatus: 1,
    });
  };

  const copy = async ({ emailSeq, at, key: ref }: CopyPlace, ahead?: ReadAhead): Promise<DeliverContent> => {
    const frame = await segments.readFrame(at, emailSeq, ahead);
    return decodeDeliver(openHead(frame, keys.keyAtHand(ref) ?? (await fileKey(ref, `copy ${emailSeq}`))));
  };

  return {
    message: async (row, ahead) => {
      const what = `message ${row.id}`;
      const frame = await segments.readFrame(row.at, row.seq, ahead);
      const key = keys.keyAtHand(row.key) ?? (await fileKey(row.key, what));
      const head = decodeMessage(openHead(frame, key));
      const leaf = parseLeaf(frame.leaf);
      // The index named this frame: that it is the message's own is checked, not believed.
      const isIt = isMessageLeaf(leaf) && messageId(leaf.msg) === row.id;
      if (!isIt || head.sizeBytes !== row.sizeBytes || head.sha256Hex !== row.sha256Hex) {
        throw new FengniError('frame-damaged', {
          subject: `${what}: the index leads to another message`,
          remedy: 'run "fengni index rebuild"',
          exitStatus: 1,
        });
      }
      const payload = await segments.openOctets(frame, key, tableOf(head));
      return {
        sizeBytes: head.sizeBytes,
        head,
        leaf: frame.leaf,
        read: (start, end) => payload.range(start, end),
        readAtHand: (start, end) => payload.rangeAtHand(start, end),
      };
    },
    prefix: async (place, ahead) => (await copy(place, ahead)).prefix,
    copy,
    readAhead: segments.readAhead,
    forget: (gone) => (gone === null ? keys.forgetAll() : gone.forEach(keys.forget)),
    close: async () => {
      await segments.close();
      await keys.close();
    },
  };
};

/** 32 octets for each 64 KiB. */
const tableOf = (head: MessageContent): Uint8Array => {
  const table = new Uint8Array(head.chunks.length * 32);
  for (const [at, chunk] of head.chunks.entries()) {
    const hash = parseHash(chunk);
    if (hash === null) {
      throw new FengniError('frame-content-damaged', {
        subject: 'the chunk table of a message',
        remedy: 'run "fengni verify --repair"',
        exitStatus: 1,
      });
    }
    table.set(hash, at * 32);
  }
  // A message of one chunk has one hash, which is its digest.
  if (head.chunks.length === 1 && !equalBytes(table, fromHex(head.sha256Hex) ?? new Uint8Array(0))) {
    throw new FengniError('frame-content-damaged', {
      subject: 'the digest of a message',
      remedy: 'run "fengni verify --repair"',
      exitStatus: 1,
    });
  }
  return table;
};
