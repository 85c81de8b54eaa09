import { hex } from '#base/bytes';
import type { Random } from '#base/clock';
import { type AddedAs, encodeMessage, type ParsedMessage } from '#store/index';
import type { Spool } from '#store/large';
import { fileKeyBytes, PayloadSealer, payloadNonceBytes, sealPayload, sha256 } from '#store/segments';
import { base64, commit, commitContent, emptyRoot, hashBytes, messageId, saltBytes } from '#trust/seal';
import { SpoolWriter, takenBytes } from './spool-writer.ts';

/** A message that is ready for the writer: ciphertext, digests and strings; nothing of it can be read without `fileKey`. */
export interface SealedMessage {
  kind: AddedAs;
  /** 26 base32 letters */
  id: string;
  sha256Hex: string;
  sizeBytes: number;
  fileKey: Uint8Array;
  /** the head as it is stored */
  storedHead: Uint8Array;
  /** the octets as they are stored, in pieces; none when they lie in a file of their own */
  storedOctets: readonly Uint8Array[];
  storedOctetsBytes: number;
  /** the file in `spool/` that has the octets, durable, or null */
  ownFile: { spoolName: string; sha256: Uint8Array } | null;
  /** SHA-256(stored octets ‖ stored head), with a file of their own of the head alone */
  storedHash: Uint8Array;
  /** SHA-256 of the head before encryption: the record's body commitment */
  bodyCommitment: Uint8Array;
  /** the six commitments of the leaf, 32 octets each */
  leaf: {
    msg: Uint8Array;
    pre: Uint8Array;
    env: Uint8Array;
    rcp: Uint8Array;
    ses: Uint8Array;
    aut: Uint8Array;
  };
  parsed: ParsedMessage;
}

/** One account's copy, but for the numbers that the writer gives. */
export interface SealedRecipient {
  account: string;
  /** as in RCPT TO, without angle brackets */
  address: string;
  /** our trace fields for this copy */
  prefix: Uint8Array;
  /** its place under the leaf's `rcp` */
  proof: { index: number; path: readonly Uint8Array[]; salt: Uint8Array };
  /** what the sender asked to be told of it (RFC 3461 §4.1, §4.2), or null */
  dsn?: { notify: string | null; orcpt: string | null } | null;
  /** it goes to the mailbox with the role Junk, marked `$Junk`, instead of INBOX */
  isJunk?: boolean;
}

/** Texts that the leaf commits to, complete before the message is answered. */
export interface MessageEvidence {
  env: Uint8Array;
  ses: Uint8Array;
  aut: Uint8Array;
}

/** Hashes and encrypts one message as its octets arrive; a large one goes to the spool on the way. Calls come one after the other. */
export interface MessageSealer {
  /**
   * `octets` must not change until `complete`. A promise: wait for it before the next call.
   *
   * @throws {FengniError} of the spool, `disk-full` among them: the message can only be discarded then
   */
  write(octets: Uint8Array): void | Promise<void>;
  readonly sizeBytes: number;
  /** octets that are in memory now */
  readonly heldBytes: number;
  /**
   * Ends the octets: digest and id are known, which the prefix names before it is committed to.
   *
   * @throws {FengniError} as `write`
   */
  complete(): Promise<{ id: string; sha256Hex: string; sizeBytes: number }>;
  /** Takes away what the spool holds, at any time, also while a call is under way: the message was refused, or will not be completed. */
  discard(): Promise<void>;
  /**
   * @param prefix the common part of the trace fields, from `Received` to `Fengni-Seal`; empty for an added message
   * @param rcp root of the recipients tree, null for an added message
   */
  seal(options: {
    kind: AddedAs;
    evidence: MessageEvidence;
    /** records that `aut` names by their hashes: what repeats a check when DNS has them no longer */
    keys?: readonly { readonly name: string; readonly record: Uint8Array }[];
    prefix: Uint8Array;
    rcp: Uint8Array | null;
    parsed: ParsedMessage;
  }): SealedMessage;
}

/** a longer original lies in a file of its own (FORMATS §2) */
export const ownFileBytesMin = 256 * 1024;

/** Where large originals go, and which are large. */
export interface LargeBodies {
  spool: Spool;
  /** an original of more octets goes to the spool; `ownFileBytesMin` where it is left out */
  aboveBytes?: number;
}

/**
 * Begins a message under a fresh file key.
 *
 * @param large null keeps a message of any size in memory
 * @param msgSalt of an attempt before this one: the same octets under the same salt have the same id
 */
export const createMessageSealer = (
  random: Random,
  large: LargeBodies | null = null,
  msgSalt: Uint8Array = random(saltBytes),
): MessageSealer => {
  const fileKey = random(fileKeyBytes);
  const payload = new PayloadSealer(fileKey, random(payloadNonceBytes));
  /** ciphertext of a message that is not large, or not yet */
  const stored: Uint8Array[] = [];
  let storedBytes = 0;
  let file: SpoolWriter | null = null;
  let staging: Staging | null = null;
  let working: Promise<void> | null = null;
  let discarded = false;
  const salts = {
    aut: random(saltBytes),
    env: random(saltBytes),
    msg: msgSalt,
    pre: random(saltBytes),
    ses: random(saltBytes),
  };
  let sizeBytes = 0;
  let done: { summary: ReturnType<PayloadSealer['finish']>; msg: Uint8Array; id: string } | null = null;

  const keep = (pieces: readonly Uint8Array[]): void => {
    for (const piece of pieces) {
      stored.push(piece);
      storedBytes += piece.length;
    }
  };
  /** From here on it is large: what was kept goes first. */
  const begin = async (spool: Spool): Promise<void> => {
    file = await SpoolWriter.create(spool);
    await file.begin(stored);
    stored.length = 0;
    storedBytes = 0;
    staging = new Staging();
  };
  /** Copies all of `octets` before it waits for the disk, unless they are more than a chunk: what the network gave dies young. */
  const spooled = (to: Staging, octets: Uint8Array): Promise<void> | undefined => {
    for (let at = 0; at < octets.length; ) {
      at += to.fill(octets.subarray(at, at + takenBytes));
      const whole = to.takeWhole();
      const written = whole === null ? undefined : file?.add(payload.write(whole));
      if (written === undefined) continue;
      const rest = octets.subarray(at);
      if (rest.length >= takenBytes) return spooledAfter(written, to, rest);
      to.fill(rest);
      return written;
    }
    return;
  };
  const spooledAfter = async (written: Promise<void>, to: Staging, octets: Uint8Array): Promise<void> => {
    await written;
    if (!discarded) await spooled(to, octets);
  };
  const busy = (work: Promise<void>): Promise<void> => {
    working = work.finally(() => {
      working = null;
    });
    return working;
  };

  return {
    write: (octets) => {
      sizeBytes += octets.length;
      if (staging !== null) {
        const written = spooled(staging, octets);
        return written === undefined ? undefined : busy(written);
      }
      keep(payload.write(octets));
      const isLarge = large !== null && sizeBytes > (large.aboveBytes ?? ownFileBytesMin);
      if (isLarge) return busy(begin(large.spool));
    },
    get sizeBytes() {
      return sizeBytes;
    },
    get heldBytes() {
      return storedBytes + payload.heldBytes + (file === null ? 0 : file.heldBytes + 2 * takenBytes);
    },
    complete: async () => {
      if (staging !== null && file !== null) await file.add(payload.write(staging.rest()));
      const summary = payload.finish();
      if (file === null) keep(summary.pieces);
      else {
        await file.add(summary.pieces);
        await file.end();
      }
      const msg = commit('msg', salts.msg, summary.sha256);
      done = { summary, msg, id: messageId(msg) };
      return { id: done.id, sha256Hex: hex(summary.sha256), sizeBytes };
    },
    discard: async () => {
      discarded = true;
      await working?.catch(() => {});
      await file?.discard();
    },
    seal: ({ kind, evidence, keys = [], prefix, rcp, parsed }) => {
      if (done === null) throw new Error('a message is sealed after its octets are complete');
      const { summary, msg, id } = done;
      const head = encodeMessage({
        aut: text(evidence.aut),
        chunks: chunks(summary.chunkHashes),
        env: text(evidence.env),
        keys: keptKeys(keys),
        salts: {
          aut: base64(salts.aut),
          env: base64(salts.env),
          msg: base64(salts.msg),
          pre: base64(salts.pre),
          ses: base64(salts.ses),
        },
        ses: text(evidence.ses),
        sha256Hex: hex(summary.sha256),
        sizeBytes,
      });
      const storedHead = sealPayload(fileKey, random(payloadNonceBytes), head);
      return {
        kind,
        id,
        sha256Hex: hex(summary.sha256),
        sizeBytes,
        fileKey,
        storedHead,
        storedOctets: stored,
        storedOctetsBytes: summary.storedLength,
        ownFile: file === null ? null : { spoolName: file.name, sha256: payload.fileHash() },
        storedHash: file === null ? payload.storedHash(storedHead) : sha256(storedHead),
        bodyCommitment: sha256(head),
        leaf: {
          msg,
          pre: commitContent('pre', salts.pre, prefix),
          env: commitContent('env', salts.env, evidence.env),
          rcp: rcp ?? emptyRoot,
          ses: commitContent('ses', salts.ses, evidence.ses),
          aut: commitContent('aut', salts.aut, evidence.aut),
        },
        parsed,
      };
    },
  };
};

/**
 * Plaintext of a large message, made into whole chunks in two buffers that take turns: the payload keeps a whole chunk until it sees that
 * another follows, and what the network gave is not kept at all.
 */
class Staging {
  #filling = Buffer.allocUnsafeSlow(takenBytes);
  #kept = Buffer.allocUnsafeSlow(takenBytes);
  #used = 0;

  /** @returns how many octets of up to a chunk it took: all, or as many as complete one */
  fill(octets: Uint8Array): number {
    const taken = octets.subarray(0, takenBytes - this.#used);
    this.#filling.set(taken, this.#used);
    this.#used += taken.length;
    return taken.length;
  }

  /** A chunk that is complete, or null; it must be with the payload before more is filled in. */
  takeWhole(): Uint8Array | null {
    if (this.#used < takenBytes) return null;
    const whole = this.#filling;
    this.#filling = this.#kept;
    this.#kept = whole;
    this.#used = 0;
    return whole;
  }

  rest(): Uint8Array {
    return this.#filling.subarray(0, this.#used);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** octets of all key records that are kept of a message; a signature's is about 400 */
const keyOctetsMax = 65_536;

const keptKeys = (
  keys: readonly { readonly name: string; readonly record: Uint8Array }[],
): { name: string; record: string }[] => {
  let octets = 0;
  return keys.flatMap(({ name, record }) => {
    octets += record.length;
    return octets > keyOctetsMax ? [] : [{ name, record: base64(record) }];
  });
};

/** Evidence is text by its encoders; what is not UTF-8 never gets this far. */
const text = (octets: Uint8Array): string => decoder.decode(octets);

const chunks = (hashes: Uint8Array): string[] =>
  Array.from({ length: hashes.length / hashBytes }, (_, at) =>
    base64(hashes.subarray(at * hashBytes, (at + 1) * hashBytes)),
  );
