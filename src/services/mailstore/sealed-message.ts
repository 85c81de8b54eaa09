import { hex } from '#base/bytes';
import type { Random } from '#base/clock';
import { type AddedAs, encodeMessage, type ParsedMessage } from '#store/index';
import { fileKeyBytes, PayloadSealer, payloadNonceBytes, sealPayload, sha256 } from '#store/segments';
import { base64, commit, commitContent, emptyRoot, hashBytes, messageId, saltBytes } from '#trust/seal';

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
  /** the octets as they are stored, in pieces */
  storedOctets: readonly Uint8Array[];
  storedOctetsBytes: number;
  /** SHA-256(stored octets ‖ stored head) */
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
}

/** Texts that the leaf commits to, complete before the message is answered. */
export interface MessageEvidence {
  env: Uint8Array;
  ses: Uint8Array;
  aut: Uint8Array;
}

/** Hashes and encrypts one message as its octets arrive. */
export interface MessageSealer {
  /** `octets` must not change until `id` was asked */
  write(octets: Uint8Array): void;
  readonly sizeBytes: number;
  /**
   * Ends the octets: digest and id are known, which the prefix names before it is committed to.
   */
  complete(): { id: string; sha256Hex: string; sizeBytes: number };
  /**
   * @param prefix the common part of the trace fields, from `Received` to `Fengni-Seal`; empty for an added message
   * @param rcp root of the recipients tree, null for an added message
   */
  seal(options: {
    kind: AddedAs;
    evidence: MessageEvidence;
    prefix: Uint8Array;
    rcp: Uint8Array | null;
    parsed: ParsedMessage;
  }): SealedMessage;
}

/** Begins a message under a fresh file key. */
export const createMessageSealer = (random: Random): MessageSealer => {
  const fileKey = random(fileKeyBytes);
  const payload = new PayloadSealer(fileKey, random(payloadNonceBytes));
  const stored: Uint8Array[] = [];
  const salts = {
    aut: random(saltBytes),
    env: random(saltBytes),
    msg: random(saltBytes),
    pre: random(saltBytes),
    ses: random(saltBytes),
  };
  let sizeBytes = 0;
  let done: { summary: ReturnType<PayloadSealer['finish']>; msg: Uint8Array; id: string } | null = null;

  return {
    write: (octets) => {
      sizeBytes += octets.length;
      for (const piece of payload.write(octets)) stored.push(piece);
    },
    get sizeBytes() {
      return sizeBytes;
    },
    complete: () => {
      const summary = payload.finish();
      for (const piece of summary.pieces) stored.push(piece);
      const msg = commit('msg', salts.msg, summary.sha256);
      done = { summary, msg, id: messageId(msg) };
      return { id: done.id, sha256Hex: hex(summary.sha256), sizeBytes };
    },
    seal: ({ kind, evidence, prefix, rcp, parsed }) => {
      if (done === null) throw new Error('a message is sealed after its octets are complete');
      const { summary, msg, id } = done;
      const head = encodeMessage({
        aut: text(evidence.aut),
        chunks: chunks(summary.chunkHashes),
        env: text(evidence.env),
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
        storedHash: payload.storedHash(storedHead),
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

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Evidence is text by its encoders; what is not UTF-8 never gets this far. */
const text = (octets: Uint8Array): string => decoder.decode(octets);

const chunks = (hashes: Uint8Array): string[] =>
  Array.from({ length: hashes.length / hashBytes }, (_, at) =>
    base64(hashes.subarray(at * hashBytes, (at + 1) * hashBytes)),
  );
