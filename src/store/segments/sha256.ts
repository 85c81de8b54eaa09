import { createHash } from 'node:crypto';

export { sha256, sha256Is } from '#base/sha256';

export const sha256Of = (pieces: readonly Uint8Array[]): Uint8Array => {
  const hasher = createHash('sha256');
  for (const piece of pieces) hasher.update(piece);
  return hasher.digest();
};
