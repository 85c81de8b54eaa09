import assert from 'node:assert/strict';
import { equalBytes, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { encodeProof, parseProof } from './tlog-proof.ts';

const hash = new Uint8Array(32).fill(1);
const checkpoint = utf8('a\n1\nx\n\n— a b\n');

export const seeds: Uint8Array[] = [
  encodeProof({ extra: null, index: 0, path: [], checkpoint }),
  encodeProof({ extra: hash, index: 73894, path: [hash, hash], checkpoint }),
];

/** A proof is written back octet for octet. */
export const run = (data: Uint8Array): void => {
  try {
    assert(equalBytes(encodeProof(parseProof(data)), data));
  } catch (error) {
    assert(error instanceof FengniError && error.code === 'proof-malformed', String(error));
  }
};
