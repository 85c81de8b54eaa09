import { concat, equalBytes, latin1, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { commit, messageId, opens, saltBytes } from './commitment.ts';
import { hashBytes, sha256 } from './hash.ts';
import { isMessageLeaf, leafBytesMax, type MessageLeaf, parseLeaf } from './leaf.ts';
import { parseNote, signatureLine } from './note.ts';
import {
  type RecipientPlace,
  recipientLevelsMax,
  recipientLevelsMin,
  verifyRecipient,
} from './recipients.ts';
import { base64, malformed, parseDecimal, parseHash, parseUtf8 } from './text.ts';
import { encodeProof, parseProof, type TlogProof } from './tlog-proof.ts';

/** A commitment opened to the digest and length of its content, which lies elsewhere. */
export interface DigestOpening {
  readonly salt: Uint8Array;
  /** SHA-256 of the content */
  readonly digest: Uint8Array;
  /** octets of the content */
  readonly size: number;
}

/** A commitment opened to its content, or to the digest alone where the content would not fit. */
export type TextOpening =
  | { readonly kind: 'text'; readonly salt: Uint8Array; readonly text: Uint8Array }
  | { readonly kind: 'digest'; readonly salt: Uint8Array; readonly digest: Uint8Array };

export interface RecipientOpening extends RecipientPlace {
  readonly salt: Uint8Array;
  readonly address: string;
}

export interface Openings {
  readonly msg: DigestOpening;
  readonly pre?: DigestOpening;
  readonly env?: TextOpening;
  readonly rcp?: RecipientOpening;
  readonly ses?: TextOpening;
  readonly aut?: TextOpening;
}

/** What a receipt says; nothing of it is verified yet. */
export interface Receipt {
  readonly leaf: MessageLeaf;
  /** the ledger's entry */
  readonly leafOctets: Uint8Array;
  readonly openings: Openings;
  readonly proof: TlogProof;
}

export interface ReceiptParts {
  readonly leafOctets: Uint8Array;
  readonly index: number;
  readonly path: readonly Uint8Array[];
  /** the signed note, verbatim */
  readonly checkpoint: Uint8Array;
  readonly msg: DigestOpening;
  readonly pre: DigestOpening;
  readonly ses: { readonly salt: Uint8Array; readonly text: Uint8Array };
  readonly aut: { readonly salt: Uint8Array; readonly text: Uint8Array };
  /** only when the person who asks wants the sender in it */
  readonly env?: { readonly salt: Uint8Array; readonly text: Uint8Array };
  /** only when the person who asks wants one recipient in it */
  readonly rcp?: RecipientOpening;
  /** opens `ses` and `aut` to their text whatever their length */
  readonly full?: boolean;
  /** opened to their digest alone, whatever their length */
  readonly withheld?: readonly ('ses' | 'aut')[];
}

/** Octets of a receipt; lines of post-quantum signatures are not counted, and `full` may go beyond. */
export const receiptBytesMax = 4_000;

/**
 * The octets of a receipt: a tlog-proof whose extra data holds the leaf and its openings.
 *
 * `ses` and `aut` stand in it as text; where the receipt would pass 4,000 octets `aut`, then `ses`, is opened to its
 * digest alone.
 *
 * @throws {FengniError} `receipt-inconsistent` when an opening does not open the leaf: what was stored was changed
 */
export const buildReceipt = (parts: ReceiptParts): Uint8Array => {
  const leaf = messageLeaf(parts.leafOctets);
  const withheld = parts.withheld ?? [];
  const build = (sesAsText: boolean, autAsText: boolean): Uint8Array => {
    const openings: Openings = {
      msg: parts.msg,
      pre: parts.pre,
      ses: textOpening(parts.ses, sesAsText && !withheld.includes('ses')),
      aut: textOpening(parts.aut, autAsText && !withheld.includes('aut')),
      ...(parts.env === undefined ? {} : { env: textOpening(parts.env, true) }),
      ...(parts.rcp === undefined ? {} : { rcp: parts.rcp }),
    };
    const wrong = wrongOpenings(leaf, openings);
    if (wrong.length > 0)
      throw new FengniError('receipt-inconsistent', {
        subject: `message ${messageId(leaf.msg)}: ${wrong.join(', ')}`,
        remedy: 'run "fengni verify": what is stored is not what was sealed',
        exitStatus: 1,
      });
    const { index, path, checkpoint } = parts;
    return encodeProof({ extra: encodeBlock(parts.leafOctets, openings), index, path, checkpoint });
  };
  if (parts.full === true) return build(true, true);
  const bound = receiptBytesMax + postQuantumBytes(parts.checkpoint);
  for (const [ses, aut] of [
    [true, true],
    [true, false],
    [false, true],
  ] as const) {
    const octets = build(ses, aut);
    if (octets.length <= bound) return octets;
  }
  return build(false, false);
};

/**
 * Reads a receipt; anything that `buildReceipt` could not have written is refused.
 *
 * @throws {FengniError} `proof-malformed`, `receipt-malformed`, `leaf-malformed`
 */
export const parseReceipt = (octets: Uint8Array): Receipt => {
  const proof = parseProof(octets);
  if (proof.extra === null) throw malformed('receipt', 'a proof without extra data');
  const block = new Block(proof.extra);
  if (block.line() !== firstLine) throw malformed('receipt', `the first line is not ${firstLine}`);
  const leafOctets = block.leaf();
  return { leaf: messageLeaf(leafOctets), leafOctets, openings: readOpenings(block), proof };
};

/** The names of the openings that do not open the leaf's commitments. */
export const wrongOpenings = (leaf: MessageLeaf, openings: Openings): (keyof Openings)[] => {
  const wrong: (keyof Openings)[] = [];
  const { msg, pre, rcp } = openings;
  if (!opens(leaf.msg, 'msg', msg.salt, msg.digest)) wrong.push('msg');
  if (pre !== undefined && !opens(leaf.pre, 'pre', pre.salt, pre.digest)) wrong.push('pre');
  for (const name of ['env', 'ses', 'aut'] as const) {
    const opening = openings[name];
    if (opening === undefined) continue;
    const digest = opening.kind === 'text' ? sha256(opening.text) : opening.digest;
    if (!equalBytes(leaf[name], commit(name, opening.salt, digest))) wrong.push(name);
  }
  if (rcp !== undefined && !verifyRecipient(leaf.rcp, rcp, rcp)) wrong.push('rcp');
  return wrong;
};

const firstLine = 'fengni/receipt@v1';

const messageLeaf = (octets: Uint8Array): MessageLeaf => {
  const leaf = parseLeaf(octets);
  if (!isMessageLeaf(leaf)) throw malformed('receipt', `a leaf of kind ${leaf.kind} has no receipt`);
  return leaf;
};

const textOpening = (
  opening: { readonly salt: Uint8Array; readonly text: Uint8Array },
  asText: boolean,
): TextOpening =>
  asText
    ? { kind: 'text', ...opening }
    : { kind: 'digest', salt: opening.salt, digest: sha256(opening.text) };

/** Lines whose signature is larger than any but a post-quantum one. */
const postQuantumBytes = (checkpoint: Uint8Array): number => {
  let bytes = 0;
  for (const line of parseNote(checkpoint).signatures)
    if (line.signature.length > 1_000) bytes += utf8(signatureLine(line)).length;
  return bytes;
};

const encodeBlock = (leafOctets: Uint8Array, openings: Openings): Uint8Array => {
  const pieces: Uint8Array[] = [utf8(`${firstLine}\n`), leafOctets, utf8('\n')];
  for (const name of openingOrder) {
    if (name === 'msg' || name === 'pre') {
      const opening = openings[name];
      if (opening === undefined) continue;
      pieces.push(utf8(`${name} ${base64(opening.salt)} ${base64(opening.digest)} ${opening.size}\n`));
    } else if (name === 'rcp') {
      const opening = openings.rcp;
      if (opening === undefined) continue;
      const address = utf8(opening.address);
      const head = `${opening.index} ${opening.path.length} ${address.length}`;
      const path = opening.path.map((hash) => `${base64(hash)}\n`).join('');
      pieces.push(utf8(`rcp ${base64(opening.salt)} ${head}\n${path}`), address, utf8('\n'));
    } else {
      const opening = openings[name];
      if (opening === undefined) continue;
      const head = `${name} ${base64(opening.salt)}`;
      if (opening.kind === 'digest') pieces.push(utf8(`${head} digest ${base64(opening.digest)}\n`));
      else pieces.push(utf8(`${head} text ${opening.text.length}\n`), opening.text, utf8('\n'));
    }
  }
  return concat(pieces);
};

/** The order of the leaf's lines, in which openings stand. */
const openingOrder = ['msg', 'pre', 'env', 'rcp', 'ses', 'aut'] as const;

const readOpenings = (block: Block): Openings => {
  const openings: { -readonly [name in keyof Openings]?: Openings[name] } = {};
  let next = 0;
  while (!block.done()) {
    const words = block.line().split(' ');
    const name = openingOrder.find((known) => known === words[0]);
    if (name === undefined || openingOrder.indexOf(name) < next)
      throw malformed('receipt', 'an opening that is unknown, doubled or out of order');
    next = openingOrder.indexOf(name) + 1;
    const salt = hashOf(words[1]);
    if (name === 'msg' || name === 'pre') {
      openings[name] = { salt, digest: hashOf(words[2]), size: numberOf(words[3]) };
      expectWords(words, 4);
    } else if (name === 'rcp') {
      openings.rcp = readRecipient(block, salt, words);
    } else if (words[2] === 'text') {
      expectWords(words, 4);
      openings[name] = { kind: 'text', salt, text: block.octets(numberOf(words[3])) };
    } else if (words[2] === 'digest') {
      expectWords(words, 4);
      openings[name] = { kind: 'digest', salt, digest: hashOf(words[3]) };
    } else throw malformed('receipt', 'an opening that is neither text nor digest');
  }
  const { msg, ...others } = openings;
  if (msg === undefined) throw malformed('receipt', 'msg is not opened');
  return { msg, ...others };
};

const readRecipient = (block: Block, salt: Uint8Array, words: readonly string[]): RecipientOpening => {
  expectWords(words, 5);
  const index = numberOf(words[2]);
  const levels = numberOf(words[3]);
  if (levels < recipientLevelsMin || levels > recipientLevelsMax || index >= 2 ** levels)
    throw malformed('receipt', 'an impossible place of a recipient');
  const path = Array.from({ length: levels }, () => hashOf(block.line()));
  const address = parseUtf8(block.octets(numberOf(words[4])));
  if (address === null) throw malformed('receipt', 'an address that is not UTF-8');
  return { salt, index, path, address };
};

const expectWords = (words: readonly string[], count: number): void => {
  if (words.length !== count) throw malformed('receipt', 'an opening with too many words');
};

const hashOf = (text: string | undefined): Uint8Array => {
  const hash = text === undefined ? null : parseHash(text);
  if (hash === null) throw malformed('receipt', `a value that is not ${hashBytes} octets in base 64`);
  return hash;
};

const numberOf = (text: string | undefined): number => {
  const value = text === undefined ? null : parseDecimal(text);
  if (value === null) throw malformed('receipt', 'a value that is no decimal');
  return value;
};

/** Reads lines and counted octets one after the other. */
class Block {
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Uint8Array) {
    this.#octets = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  done(): boolean {
    return this.#at === this.#octets.length;
  }

  /** The next line without its LF, one character an octet; a longer one than any of ours is refused. */
  line(): string {
    const end = this.#octets.indexOf(10, this.#at);
    if (end < 0 || end - this.#at > 4 * (saltBytes + hashBytes))
      throw malformed('receipt', 'a line without end');
    const line = latin1(this.#octets.subarray(this.#at, end));
    this.#at = end + 1;
    return line;
  }

  /** The leaf: everything up to the first empty line. */
  leaf(): Uint8Array {
    const end = this.#octets.indexOf('\n\n', this.#at);
    if (end < 0 || end + 1 - this.#at > leafBytesMax)
      throw malformed('receipt', 'no leaf before an empty line');
    const octets = new Uint8Array(this.#octets.subarray(this.#at, end + 1));
    this.#at = end + 2;
    return octets;
  }

  /** So many octets and the LF behind them. */
  octets(count: number): Uint8Array {
    if (this.#octets[this.#at + count] !== 10)
      throw malformed('receipt', 'a text that does not end where it says');
    const octets = new Uint8Array(this.#octets.subarray(this.#at, this.#at + count));
    this.#at += count + 1;
    return octets;
  }
}
