import { sha256 } from './sha256.ts';

/**
 * The RFC 6962 root over a growing list of record hashes, held as the roots of its perfect subtrees.
 *
 * @source RFC 6962 §2.1
 */
export class RecordRoot {
  readonly #subtrees: Uint8Array[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(recordHash: Uint8Array): void {
    this.addLeafHash(leafHashOf(recordHash));
  }

  /** For an entry whose leaf hash is already known. */
  addLeafHash(leafHash: Uint8Array): void {
    let node = leafHash;
    for (let size = this.#count++; (size & 1) === 1; size >>>= 1) {
      node = nodeHash(this.#subtrees.pop() as Uint8Array, node);
    }
    this.#subtrees.push(node);
  }

  /** 32 octets; of no entries: SHA-256 of no octets. */
  root(): Uint8Array {
    let node = this.#subtrees.at(-1);
    if (node === undefined) return sha256(new Uint8Array(0));
    for (let at = this.#subtrees.length - 2; at >= 0; at--)
      node = nodeHash(this.#subtrees[at] as Uint8Array, node);
    return node;
  }
}

/** SHA-256(0x00 ‖ entry). @source RFC 6962 §2.1 */
export const leafHashOf = (entry: Uint8Array): Uint8Array => {
  const octets = new Uint8Array(entry.length + 1);
  octets.set(entry, 1);
  return sha256(octets);
};

const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const octets = new Uint8Array(65);
  octets[0] = 1;
  octets.set(left, 1);
  octets.set(right, 33);
  return sha256(octets);
};
