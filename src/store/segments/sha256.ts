import { createHash } from 'node:crypto';
import { sha256 } from '#base/sha256';

export { sha256, sha256Is } from '#base/sha256';

/** Pieces one after the other. A few octets are put together for it: a hash object costs more than that. */
export const sha256Of = (pieces: readonly Uint8Array[]): Uint8Array => {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  if (length > together.length) {
    const hasher = createHash('sha256');
    for (const piece of pieces) hasher.update(piece);
    return hasher.digest();
  }
  let at = 0;
  for (const piece of pieces) {
    together.set(piece, at);
    at += piece.length;
  }
  const octets = together.subarray(0, length);
  const digest = sha256(octets);
  // mail, and it may be erased
  octets.fill(0);
  return digest;
};

const together = new Uint8Array(16_384);
