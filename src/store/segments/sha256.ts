import { createHash, hash } from 'node:crypto';

export const sha256 = (octets: Uint8Array): Uint8Array => hash('sha256', octets, 'buffer');

export const sha256Of = (pieces: readonly Uint8Array[]): Uint8Array => {
  const hasher = createHash('sha256');
  for (const piece of pieces) hasher.update(piece);
  return hasher.digest();
};
