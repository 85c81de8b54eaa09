import { createHash } from 'node:crypto';
import { equalBytes, fromLatin1, latin1 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { messageId } from './commitment.ts';
import { leafHash } from './hash.ts';
import type { MessageLeaf } from './leaf.ts';
import { verifyInclusion } from './merkle-proof.ts';
import { encodeVerifierKey, parseVerifierKey, type VerifierKey, verifyNote } from './note.ts';
import { type Openings, parseReceipt, type Receipt, wrongOpenings } from './receipt.ts';
import { malformed } from './text.ts';

/** What is checked, in this order. */
export type ReceiptCheckName =
  | 'form'
  | 'inclusion'
  | 'origin'
  | 'signature'
  | keyof Openings
  | 'original'
  | 'prefix';

/** Why a check is bad, or why it was not made. The codes are a contract: `docs/formats/receipt.md`. */
export type ReceiptReason =
  | 'receipt-malformed'
  | 'inclusion-wrong'
  | 'origin-unknown'
  | 'not-signed'
  | 'signature-wrong'
  | 'opening-wrong'
  | 'original-changed'
  | 'size-wrong'
  | 'prefix-changed'
  | 'prefix-unexpected'
  | 'prefix-absent'
  | 'not-opened';

export type ReceiptCheck =
  | { readonly name: ReceiptCheckName; readonly result: 'good' }
  | {
      readonly name: ReceiptCheckName;
      /** `not-given`: there was nothing to check; says nothing for or against */
      readonly result: 'bad' | 'not-given';
      readonly reason: ReceiptReason;
      /** one line for people, in English */
      readonly detail: string;
    };

/** What a good receipt proves; in a bad one these are claims. */
export interface ReceiptFacts {
  readonly id: string;
  readonly leaf: MessageLeaf;
  readonly index: number;
  readonly checkpoint: SignedCheckpoint;
  readonly openings: Openings;
  /** how the mail's octets were read so that they fit; null when they do not fit */
  readonly originalAs: 'stored' | 'lf-to-crlf' | null;
  /** where the original begins in the file; null when the file as a whole is taken for it */
  readonly originalOffset: number | null;
  /** octets above the common part of the prefix: not covered by the receipt */
  readonly uncoveredBytes: number;
}

export interface ReceiptVerdict {
  readonly good: boolean;
  readonly checks: readonly ReceiptCheck[];
  /** the first bad check */
  readonly failure: Extract<ReceiptCheck, { reason: unknown }> | null;
  /** null when the receipt could not be read */
  readonly facts: ReceiptFacts | null;
}

/**
 * Checks a receipt and a mail against each other and against the keys of a log. Needs nothing else.
 *
 * @param keys of the log, one a generation; the checkpoint's origin selects
 * @param mail the whole file, in any line ends
 */
export const verifyReceipt = (input: {
  receipt: Uint8Array;
  mail: Uint8Array;
  keys: readonly VerifierKey[];
}): ReceiptVerdict => {
  let receipt: Receipt;
  let checkpoint: SignedCheckpoint;
  try {
    receipt = parseReceipt(input.receipt);
    checkpoint = parseCheckpoint(receipt.proof.checkpoint);
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    return verdict([bad('form', 'receipt-malformed', error.message)], null);
  }
  const { leaf, leafOctets, openings, proof } = receipt;
  const id = messageId(leaf.msg);
  const included = verifyInclusion({
    leafHash: leafHash(leafOctets),
    index: proof.index,
    size: checkpoint.size,
    path: proof.path,
    root: checkpoint.root,
  });
  const mail = locate(input.mail, id);
  const original = checkOriginal(input.mail, mail, openings);
  const prefix = checkPrefix(input.mail, mail, leaf, openings);
  return verdict(
    [
      good('form'),
      included
        ? good('inclusion')
        : bad('inclusion', 'inclusion-wrong', 'the leaf does not stand in this tree at this place'),
      ...checkKeys(checkpoint, input.keys),
      ...checkOpenings(leaf, openings),
      original.check,
      prefix.check,
    ],
    {
      id,
      leaf,
      index: proof.index,
      checkpoint,
      openings,
      originalAs: original.as,
      originalOffset: mail?.end ?? null,
      uncoveredBytes: prefix.uncoveredBytes,
    },
  );
};

/** A key file, or `--key` itself: a verifier key a line, what follows a blank is for people; `#` begins a comment. */
export const parseKeyFile = (text: string): VerifierKey[] => {
  const keys: VerifierKey[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || line.startsWith('#')) continue;
    keys.push(parseVerifierKey(line.split(' ', 1)[0] as string));
    if (keys.length > keysMax) throw malformed('key', `more than ${keysMax} keys`);
  }
  if (keys.length === 0) throw malformed('key', 'no key');
  return keys;
};

/** generations that a key file may name */
export const keysMax = 1_000;

/** A generation's line in `fengni log key`: its key and the range of seq that it sealed, open while it lasts. */
export const encodeKeyLine = (key: VerifierKey, firstSeq: number, lastSeq: number | null): string =>
  `${encodeVerifierKey(key)} seq ${firstSeq}-${lastSeq ?? ''}\n`;

interface Located {
  /** where the line `Fengni-Seal` ends and the original begins */
  readonly end: number;
}

/** Finds the first line `Fengni-Seal` with this id, whatever stands above. */
const locate = (mail: Uint8Array, id: string): Located | null => {
  const octets = buffer(mail);
  const needle = Buffer.from(`Fengni-Seal: id=${id};`);
  for (let at = octets.indexOf(needle); at >= 0; at = octets.indexOf(needle, at + 1)) {
    if (at > 0 && octets[at - 1] !== 10) continue;
    const lineEnd = octets.indexOf(10, at);
    return { end: lineEnd < 0 ? octets.length : lineEnd + 1 };
  }
  return null;
};

const checkKeys = (checkpoint: SignedCheckpoint, keys: readonly VerifierKey[]): ReceiptCheck[] => {
  const own = keys.filter((key) => key.kind === 'ed25519' && key.name === checkpoint.origin);
  if (own.length === 0) {
    const names = keys.map((key) => key.name).join(', ');
    return [bad('origin', 'origin-unknown', `the head is of ${checkpoint.origin}, the key of ${names}`)];
  }
  const verdicts = own.map((key) => verifyNote(checkpoint.note, key).kind);
  if (verdicts.includes('bad-signature'))
    return [good('origin'), bad('signature', 'signature-wrong', 'the signature is not over this head')];
  if (!verdicts.includes('signed'))
    return [good('origin'), bad('signature', 'not-signed', 'the head is not signed by this key')];
  return [good('origin'), good('signature')];
};

const checkOpenings = (leaf: MessageLeaf, openings: Openings): ReceiptCheck[] => {
  const wrong = wrongOpenings(leaf, openings);
  return (['msg', 'pre', 'env', 'rcp', 'ses', 'aut'] as const).map((name) => {
    if (openings[name] === undefined)
      return { name, result: 'not-given', reason: 'not-opened', detail: `${name} is not opened` };
    return wrong.includes(name)
      ? bad(name, 'opening-wrong', `${name} is not what the leaf commits to`)
      : good(name);
  });
};

const checkOriginal = (
  mail: Uint8Array,
  located: Located | null,
  openings: Openings,
): { check: ReceiptCheck; as: 'stored' | 'lf-to-crlf' | null } => {
  const octets = mail.subarray(located?.end ?? 0);
  for (const as of ['stored', 'lf-to-crlf'] as const) {
    const found = digestOf(as === 'stored' ? [octets] : lfToCrlf(octets));
    if (!equalBytes(found.digest, openings.msg.digest)) continue;
    return found.size === openings.msg.size
      ? { check: good('original'), as }
      : { check: bad('original', 'size-wrong', 'the receipt names another length'), as };
  }
  const where = located === null ? 'the file' : `the file from octet ${located.end}`;
  return { check: bad('original', 'original-changed', `${where} is not what was received`), as: null };
};

const checkPrefix = (
  mail: Uint8Array,
  located: Located | null,
  leaf: MessageLeaf,
  openings: Openings,
): { check: ReceiptCheck; uncoveredBytes: number } => {
  if (leaf.kind === 'added')
    return {
      check:
        located === null
          ? good('prefix')
          : bad('prefix', 'prefix-unexpected', 'an added message has no prefix, the file has one'),
      uncoveredBytes: 0,
    };
  if (located === null)
    return { check: notGiven('prefix-absent', 'the file holds the original alone'), uncoveredBytes: 0 };
  const { pre } = openings;
  const prefix = mail.subarray(0, located.end);
  if (pre === undefined)
    return { check: notGiven('not-opened', 'pre is not opened'), uncoveredBytes: prefix.length };
  for (const octets of [prefix, fromLatin1([...lfToCrlf(prefix)].map(latin1).join(''))]) {
    const from = octets.length - pre.size;
    if (from < 0 || (from > 0 && octets[from - 1] !== 10)) continue;
    if (equalBytes(digestOf([octets.subarray(from)]).digest, pre.digest))
      return { check: good('prefix'), uncoveredBytes: from };
  }
  const detail = 'Received, Authentication-Results or Fengni-Seal is not what was sealed';
  return { check: bad('prefix', 'prefix-changed', detail), uncoveredBytes: prefix.length };
};

const digestOf = (pieces: Iterable<Uint8Array>): { digest: Uint8Array; size: number } => {
  const hasher = createHash('sha256');
  let size = 0;
  for (const piece of pieces) {
    hasher.update(piece);
    size += piece.length;
  }
  return { digest: new Uint8Array(hasher.digest()), size };
};

/** Every LF without a CR before it becomes CRLF, a mebibyte at a time. */
function* lfToCrlf(octets: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < octets.length; ) {
    let end = Math.min(at + 1_048_576, octets.length);
    // a CR and its LF stay in one piece
    if (octets[end - 1] === 13 && end < octets.length) end++;
    yield fromLatin1(latin1(octets.subarray(at, end)).replaceAll(/(?<!\r)\n/g, '\r\n'));
    at = end;
  }
}

const good = (name: ReceiptCheckName): ReceiptCheck => ({ name, result: 'good' });
const bad = (name: ReceiptCheckName, reason: ReceiptReason, detail: string): ReceiptCheck => ({
  name,
  result: 'bad',
  reason,
  detail,
});
const notGiven = (reason: ReceiptReason, detail: string): ReceiptCheck => ({
  name: 'prefix',
  result: 'not-given',
  reason,
  detail,
});

const isBad = (check: ReceiptCheck): check is NonNullable<ReceiptVerdict['failure']> =>
  check.result === 'bad';

const verdict = (checks: readonly ReceiptCheck[], facts: ReceiptFacts | null): ReceiptVerdict => {
  const failure = checks.find(isBad) ?? null;
  return { good: failure === null, checks, failure, facts };
};

const buffer = (octets: Uint8Array): Buffer =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
