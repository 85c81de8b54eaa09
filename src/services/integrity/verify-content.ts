import { createHash, type Hash } from 'node:crypto';
import { equalBytes, hex, latin1 } from '#base/bytes';
import { canonicalJson, type JsonObject, parseCanonicalJson } from '#base/canonical-json';
import { FengniError } from '#base/errors';
import { sha256, sha256OfText } from '#base/sha256';
import type { MessageParser } from '#services/mailstore';
import {
  type DeliverContent,
  decodeDeliver,
  decodeMessage,
  idOf,
  type KeyRef,
  type LogEvent,
  type ParsedMessage,
} from '#store/index';
import { type Frame, type KeyReader, openHead, type SegmentReader } from '#store/log';
import { frameTypes } from '#store/segments';
import {
  base64,
  type CommittedField,
  commit,
  commitContent,
  isMessageLeaf,
  type Leaf,
  type MessageLeaf,
  messageId,
  parseBase64,
  parseHash,
  parseLeaf,
  saltBytes,
  verifyRecipient,
} from '#trust/seal';

/** What a frame of the log means to the projections, as the writer decodes it (`eventOf` of services/writer). */
export type DecodeFrame = (
  frame: Frame,
  readers: {
    segments: SegmentReader;
    keys: KeyReader;
    parse: (octets: AsyncIterable<Uint8Array>) => Promise<ParsedMessage>;
  },
) => Promise<LogEvent | 'erased' | null>;

export interface ContentCounts {
  /** originals decrypted and compared with hash, chunk table and leaf */
  checked: number;
  /** stored octets unchanged, content not checked: no key at hand, or not asked for */
  unchecked: number;
  erased: number;
  /** copies whose trace fields and recipient were compared with the leaf */
  copies: number;
}

export type ContentOutcome =
  | { kind: 'event'; event: LogEvent | null }
  /** its key is not at hand: what the frame says is not known */
  | { kind: 'unknown' }
  | { kind: 'wrong'; what: string; id: string | null };

/** What a copy must fit: kept for the copies that follow their message. */
interface KnownMessage {
  leaf: MessageLeaf;
  preSalt: Uint8Array | null;
}

/** copies follow their message in the same group, which has at most 65,536 frames */
const knownMessagesMax = 65_536;

/** Opens what frames say and compares it with what their leaves commit to. */
export class ContentCheck {
  readonly counts: ContentCounts = { checked: 0, unchecked: 0, erased: 0, copies: 0 };
  readonly #segments: SegmentReader;
  readonly #keys: KeyReader;
  readonly #decode: DecodeFrame;
  readonly #parser: () => MessageParser;
  readonly #known = new Map<number, KnownMessage>();
  /** slots of messages that are destroyed, and all that an ERASED frame names */
  readonly #destroyed: KeyRef[] = [];
  readonly #named = new Set<string>();

  constructor(options: {
    segments: SegmentReader;
    keys: KeyReader;
    decode: DecodeFrame;
    parser: () => MessageParser;
  }) {
    this.#segments = options.segments;
    this.#keys = options.keys;
    this.#decode = options.decode;
    this.#parser = options.parser;
  }

  /**
   * @param known the frame's leaf, where it has been read already
   * @param open false leaves the octets of a message closed: its stored hash was compared already
   */
  async frame(frame: Frame, known: Leaf | null, open: boolean): Promise<ContentOutcome> {
    let id: string | null = null;
    try {
      const { type, key } = frame.head.record;
      const leaf = known ?? (frame.leaf.length === 0 ? null : parseLeaf(frame.leaf));
      if (leaf !== null && isMessageLeaf(leaf)) id = messageId(leaf.msg);
      if (type === frameTypes.MSG && !open) {
        this.counts.unchecked += 1;
        return { kind: 'unknown' };
      }
      const fault = { digest: null as Uint8Array | null, octets: 0 };
      const event = await this.#decode(frame, {
        segments: this.#segments,
        keys: this.#keys,
        parse: (octets) => this.#readWhole(octets, fault),
      });
      if (event === 'erased') {
        if (type === frameTypes.MSG && key !== null) this.#destroyed.push(key);
        return { kind: 'event', event: null };
      }
      if (event?.type === 'erased')
        for (const { epoch, slot } of event.keys) this.#named.add(`${epoch}/${slot}`);
      const what =
        type === frameTypes.MSG
          ? await this.#message(frame, leaf, fault)
          : type === frameTypes.DELIVER
            ? await this.#copy(frame)
            : type === frameTypes.LEAF && key !== null
              ? await this.#evidence(frame, leaf)
              : null;
      if (what !== null) return { kind: 'wrong', what, id };
      return { kind: 'event', event };
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      if (error.code === 'key-missing') {
        if (frame.head.record.type === frameTypes.MSG) this.counts.unchecked += 1;
        return { kind: 'unknown' };
      }
      if (!contentFaults.has(error.code) && !error.code.endsWith('-malformed')) throw error;
      return { kind: 'wrong', what: error.subject, id };
    }
  }

  async isDestroyed(key: KeyRef): Promise<boolean> {
    return (await this.#keys.fileKey(key)).kind === 'destroyed';
  }

  /** Counts as erased what an ERASED frame took away, and nothing else: any other lost key is a finding. */
  finish(): void {
    for (const { epoch, slot } of this.#destroyed)
      if (this.#named.has(`${epoch}/${slot}`)) this.counts.erased += 1;
  }

  /** Whose copy a DELIVER frame is. @throws {FengniError} when it cannot be read */
  async copyOf(frame: Frame): Promise<{ account: string; messageSeq: number }> {
    const { account, messageSeq } = decodeDeliver(await this.#openHead(frame));
    return { account, messageSeq };
  }

  /** Decrypts and hashes the whole original once, for the comparison and for the index alike. */
  async #readWhole(
    octets: AsyncIterable<Uint8Array>,
    into: { digest: Uint8Array | null; octets: number },
  ): Promise<ParsedMessage> {
    const parser = this.#parser();
    // Most messages are one piece: a hash object for each would cost more than the hash.
    let only: Uint8Array | null = null;
    let hash: Hash | null = null;
    for await (const piece of octets) {
      if (hash !== null) hash.update(piece);
      else if (only === null) only = piece;
      else hash = createHash('sha256').update(only).update(piece);
      parser.write(piece);
      into.octets += piece.length;
    }
    into.digest = hash !== null ? hash.digest() : sha256(only ?? new Uint8Array(0));
    return parser.end();
  }

  async #message(
    frame: Frame,
    leaf: Leaf | null,
    read: { digest: Uint8Array | null; octets: number },
  ): Promise<string | null> {
    if (leaf === null || !isMessageLeaf(leaf)) return 'a message without a leaf of its own';
    const head = decodeMessage(await this.#openHead(frame));
    const { seq } = frame.head.record;
    if (read.digest === null || hex(read.digest) !== head.sha256Hex) return 'SHA-256 of the original';
    if (read.octets !== head.sizeBytes) return 'size of the original';
    if (!opensDigest('msg', head.salts.msg, read.digest, leaf.msg)) return 'commitment msg of the leaf';
    const texts = [
      // An added message has no envelope: the commitment is to no octets.
      ['env', leaf.kind === 'added' ? '' : head.env, leaf.env],
      ['ses', head.ses, leaf.ses],
      ['aut', head.aut, leaf.aut],
    ] as const;
    for (const [field, text, commitment] of texts)
      if (!opensText(field, head.salts[field], text, commitment)) return `commitment ${field} of the leaf`;
    for (const { name, record } of head.keys ?? []) {
      const octets = parseBase64(record);
      if (octets === null || !head.aut.includes(`key ${name} sha256=${base64(sha256(octets))}\n`))
        return `key record of ${name}`;
    }
    const preSalt = parseHash(head.salts.pre);
    if (leaf.kind === 'added' && !opensText('pre', head.salts.pre, '', leaf.pre))
      return 'commitment pre of the leaf';
    this.#known.set(seq, { leaf, preSalt });
    if (this.#known.size > knownMessagesMax) this.#known.delete(this.#known.keys().next().value as number);
    this.counts.checked += 1;
    return null;
  }

  async #copy(frame: Frame): Promise<string | null> {
    const { seq } = frame.head.record;
    const content = decodeDeliver(await this.#openHead(frame));
    if (content.emailId !== idOf('e', seq)) return 'emailId of the copy';
    const message = this.#known.get(content.messageSeq);
    // The message itself was not opened, or it is wrong and has been told.
    if (message === undefined) return null;
    const { leaf, preSalt } = message;
    if (leaf.kind === 'added') {
      if (content.prefix.length > 0 || content.recipient !== null) return 'trace fields of an added message';
    } else {
      if (preSalt?.length !== saltBytes) return 'salt pre of the message';
      if (!equalBytes(commitContent('pre', preSalt, commonPart(content.prefix)), leaf.pre))
        return 'commitment pre of the leaf: the trace fields of the copy';
      if (!isRecipient(content, leaf)) return 'commitment rcp of the leaf: the recipient of the copy';
    }
    this.counts.copies += 1;
    return null;
  }

  async #evidence(frame: Frame, leaf: Leaf | null): Promise<string | null> {
    if (leaf === null || !('evt' in leaf)) return null;
    const body = parseCanonicalJson(await this.#openHead(frame)) as JsonObject;
    const { event, evt } = body;
    if (typeof evt !== 'string' || event === undefined) return 'body of an administrative event';
    return opensText('evt', evt, canonicalJson(event), leaf.evt) ? null : 'commitment evt of the leaf';
  }

  async #openHead(frame: Frame): Promise<Uint8Array> {
    const { key } = frame.head.record;
    const found = key === null ? null : await this.#keys.fileKey(key);
    if (found?.kind !== 'clear')
      throw new FengniError('key-missing', {
        subject: 'the key went while it was used',
        remedy: 'run it again',
      });
    return openHead(frame, found.fileKey);
  }
}

const contentFaults: ReadonlySet<string> = new Set([
  'frame-damaged',
  'payload-damaged',
  'frame-content-damaged',
  'json-not-canonical',
]);

const opensDigest = (
  field: CommittedField,
  salt: string,
  digest: Uint8Array,
  commitment: Uint8Array,
): boolean => {
  const octets = parseHash(salt);
  return octets?.length === saltBytes && equalBytes(commit(field, octets, digest), commitment);
};

const opensText = (field: CommittedField, salt: string, text: string, commitment: Uint8Array): boolean =>
  opensDigest(field, salt, sha256OfText(text), commitment);

/** From the start of our `Received` to the end of `Fengni-Seal`; above it stands what only this copy has. */
const commonPart = (prefix: Uint8Array): Uint8Array => {
  const text = latin1(prefix);
  const at = text.startsWith('Received:') ? 0 : text.indexOf('\r\nReceived:') + 2;
  return at < 2 && !text.startsWith('Received:') ? prefix : prefix.subarray(at);
};

const isRecipient = ({ address, recipient }: DeliverContent, leaf: MessageLeaf): boolean => {
  if (recipient === null) return false;
  const salt = parseHash(recipient.salt);
  const path = recipient.path.map((hash) => parseHash(hash) ?? new Uint8Array(0));
  return (
    salt?.length === saltBytes &&
    verifyRecipient(leaf.rcp, { address, salt }, { index: recipient.index, path })
  );
};
