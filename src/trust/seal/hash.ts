import { createHash, hash } from 'node:crypto';

/** octets of a SHA-256 value */
export const hashBytes = 32;

/** SHA-256 of a short octet string. */
export const sha256 = (octets: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', octets, 'buffer'));

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
  const input = new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return sha256(input);
};

/** The hash of an inner node: SHA-256(0x01 ‖ left ‖ right). @source RFC 6962 §2.1 */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const input = new Uint8Array(1 + 2 * hashBytes);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + hashBytes);
  return sha256(input);
};
