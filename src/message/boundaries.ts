/**
 * The boundaries of the open multiparts, as a trie: the longest one that a line begins with is found in one walk, so that
 * a message of delimiters costs no more than its octets.
 */
export class Boundaries<Owner> {
  #root: TrieNode<Owner> = { next: new Map(), owners: [] };
  #open: { owner: Owner; boundary: string; node: TrieNode<Owner> }[] = [];

  #octets = 0;

  /** octets of all open boundaries */
  get octets(): number {
    return this.#octets;
  }

  get size(): number {
    return this.#open.length;
  }

  /** Whether any open boundary begins with that octet. */
  hasOneThatStartsWith(octet: number): boolean {
    return this.#root.next.has(octet);
  }

  push(boundary: string, owner: Owner): void {
    let node = this.#root;
    for (let at = 0; at < boundary.length; at++) {
      const code = boundary.charCodeAt(at);
      let next = node.next.get(code);
      if (next === undefined) {
        next = { next: new Map(), owners: [] };
        node.next.set(code, next);
      }
      node = next;
    }
    node.owners.push(owner);
    this.#open.push({ owner, boundary, node });
    this.#octets += boundary.length;
  }

  /** Forgets the owner's boundary and those pushed after it; nothing when the owner has none. */
  remove(owner: Owner): void {
    const at = this.#open.findLastIndex((open) => open.owner === owner);
    if (at < 0) return;
    for (const open of this.#open.splice(at).reverse()) {
      open.node.owners.pop();
      this.#octets -= open.boundary.length;
      this.#prune(open.boundary);
    }
  }

  clear(): void {
    this.#root = { next: new Map(), owners: [] };
    this.#open = [];
    this.#octets = 0;
  }

  /**
   * The innermost owner of the longest boundary that the text begins with; `length` is that boundary's.
   *
   * @source RFC 2046 §5.1.1: the boundary is compared with the beginning of the line, the rest of it is not looked at
   */
  match(text: string): { owner: Owner; length: number } | null {
    let node: TrieNode<Owner> | undefined = this.#root;
    let found: { owner: Owner; length: number } | null = null;
    for (let at = 0; at < text.length; at++) {
      node = node.next.get(text.charCodeAt(at));
      if (node === undefined) break;
      const owner = node.owners.at(-1);
      if (owner !== undefined) found = { owner, length: at + 1 };
    }
    return found;
  }

  #prune(boundary: string): void {
    const path: TrieNode<Owner>[] = [this.#root];
    for (let at = 0; at < boundary.length; at++) {
      const next = path.at(-1)?.next.get(boundary.charCodeAt(at));
      if (next === undefined) return;
      path.push(next);
    }
    for (let depth = path.length - 1; depth > 0; depth--) {
      const node = path[depth];
      if (node === undefined || node.owners.length > 0 || node.next.size > 0) return;
      path[depth - 1]?.next.delete(boundary.charCodeAt(depth - 1));
    }
  }
}

interface TrieNode<Owner> {
  next: Map<number, TrieNode<Owner>>;
  owners: Owner[];
}
