import type { RecipientVerdict } from '#services/mailstore';

/** addresses kept; when more are asked for, they are asked for anew */
const addressesMax = 10_000;

/**
 * Answers about addresses that the writer gave and that still hold: it says when they may not.
 *
 * Kept is only what is accepted, so that a stranger cannot fill it with addresses of his own making.
 */
export class ResolveCache {
  readonly #accepted = new Map<string, RecipientVerdict>();
  #age = 0;

  /** @param ask asks the writer */
  async resolve(
    address: string,
    ask: (address: string) => Promise<RecipientVerdict>,
  ): Promise<RecipientVerdict> {
    const known = this.#accepted.get(address);
    if (known !== undefined) return known;
    const age = this.#age;
    const verdict = await ask(address);
    // What was forgotten while the answer was on its way does not come back with it.
    if (verdict.kind !== 'accepted' || age !== this.#age) return verdict;
    if (this.#accepted.size >= addressesMax) this.#accepted.clear();
    this.#accepted.set(address, verdict);
    return verdict;
  }

  forget(): void {
    this.#age += 1;
    this.#accepted.clear();
  }
}
