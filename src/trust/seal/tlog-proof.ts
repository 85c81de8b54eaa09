import assert from 'node:assert/strict';
import { concat, utf8 } from '#base/bytes';
import { hashBytes } from './hash.ts';
import { noteBytesMax } from './note.ts';
import { base64, malformed, parseBase64, parseDecimal, parseHash, parseUtf8 } from './text.ts';

/** An offline proof that something stands in a log. */
export interface TlogProof {
  /** unauthenticated: believe nothing in it that the leaf does not prove */
  readonly extra: Uint8Array | null;
  readonly index: number;
  /** from the leaf's sibling up */
  readonly path: readonly Uint8Array[];
  /** the signed note, verbatim */
  readonly checkpoint: Uint8Array;
}

/** A larger proof is refused unread. */
export const proofBytesMax = 2 * noteBytesMax;
/** levels of the deepest tree */
export const pathLengthMax = 63;

/** @source C2SP tlog-proof “Format” */
export const encodeProof = (proof: TlogProof): Uint8Array => {
  assert(proof.path.length <= pathLengthMax && proof.path.every((hash) => hash.length === hashBytes));
  assert(Number.isSafeInteger(proof.index) && proof.index >= 0);
  const extra = proof.extra === null ? '' : `extra ${base64(proof.extra)}\n`;
  const path = proof.path.map((hash) => `${base64(hash)}\n`).join('');
  return concat([utf8(`${firstLine}\n${extra}index ${proof.index}\n${path}\n`), proof.checkpoint]);
};

/**
 * Reads a proof; the checkpoint behind it is not looked into.
 *
 * @throws {FengniError} `proof-malformed`
 */
export const parseProof = (octets: Uint8Array): TlogProof => {
  if (octets.length > proofBytesMax) throw malformed('proof', `more than ${proofBytesMax} octets`);
  const end = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).indexOf('\n\n');
  if (end < 0) throw malformed('proof', 'no empty line before the checkpoint');
  const lines = parseUtf8(octets.subarray(0, end))?.split('\n') ?? [];
  if (lines.shift() !== firstLine) throw malformed('proof', `the first line is not ${firstLine}`);
  let line = lines.shift();
  let extra: Uint8Array | null = null;
  if (line?.startsWith('extra ')) {
    extra = parseBase64(line.slice('extra '.length));
    if (extra === null) throw malformed('proof', 'the extra data is not base 64');
    line = lines.shift();
  }
  const index = line?.startsWith('index ') ? parseDecimal(line.slice('index '.length)) : null;
  if (index === null) throw malformed('proof', 'no index');
  if (lines.length > pathLengthMax) throw malformed('proof', `more than ${pathLengthMax} hashes`);
  const path = lines.map((text) => {
    const hash = parseHash(text);
    if (hash === null) throw malformed('proof', 'a hash that is not 32 octets in base 64');
    return hash;
  });
  return { extra, index, path, checkpoint: octets.subarray(end + 2) };
};

const firstLine = 'c2sp.org/tlog-proof@v1';
