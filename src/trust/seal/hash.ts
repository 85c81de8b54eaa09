import { createHash } from 'node:crypto';
import { sha256 } from '#base/sha256';

/** SHA-256 of a short octet string. */
export { sha256 };

/** octets of a SHA-256 value */
export const hashBytes = 32;

/** SHA-256 of pieces one after the other, without joining them. */
export const sha256OfPieces = (pieces: Iterable<Uint8Array>): Uint8Array => {
  const hasher = createHash('sha256');
  for (const piece of pieces) hasher.update(piece);
  return new Uint8Array(hasher.digest());
};

/** The root of a tree without leaves: SHA-256 of no octets. @source RFC 6962 §2.1 */
export const emptyRoot: Uint8Array = sha256(new Uint8Array(0));

/** The hash of a leaf: SHA-256(0x00 ‖ entry). @source RFC 6962 §2.1 */
export const leafHash = (entry: Uint8Array): Uint8Array => {
  const length = 1 + entry.length;
  const input = length <= leafInput.length ? leafInput.subarray(0, length) : new Uint8Array(length);
  input.set(entry, 1);
  return sha256(input);
};

/** The hash of an inner node: SHA-256(0x01 ‖ left ‖ right). @source RFC 6962 §2.1 */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  // What is no hash leaves zeros, and nothing of the call before.
  if (left.length !== hashBytes || right.length !== hashBytes) nodeInput.fill(0, 1);
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  return sha256(nodeInput);
};

// Kept, since a new array for each hash costs more than the hash. The first octet says leaf or node.
const leafInput = new Uint8Array(512);
const nodeInput = new Uint8Array(1 + 2 * hashBytes);
nodeInput[0] = 1;
