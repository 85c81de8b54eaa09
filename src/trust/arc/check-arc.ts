import {
  type BodyHash,
  type BodyHashes,
  canonicalField,
  checkBody,
  checkSignature,
  FieldSelector,
  type FoundKey,
  type KeyEvidence,
  KeyLookup,
  parseSignature,
  type Signature,
  type SignedHeader,
} from '#trust/dkim';
import type { Dns } from '#trust/dns';
import { type AuthenticationResults, parseResults } from '#trust/results';
import { type ArcSet, collectArcSets } from './arc-set.ts';

/** RFC 8601 knows `none`, `pass` and `fail`; a key that could not be looked up is neither of them. */
export type ArcWord = 'none' | 'pass' | 'fail' | 'temperror';

export interface ArcSealer {
  readonly instance: number;
  /** `d=` of its seal, in A-labels */
  readonly domain: string;
  readonly selector: string;
}

/** What a chain of seals is worth. */
export interface ArcResult {
  readonly result: ArcWord;
  /** why it is not `pass`, in English; null with `pass` and `none` */
  readonly reason: string | null;
  /** from the first to the last; believed only with `pass` */
  readonly sealers: readonly ArcSealer[];
  /** what the last sealer says that it found; null where it cannot be read. Believed only with `pass` and a sealer that is trusted */
  readonly found: AuthenticationResults | null;
  /** the key records that were used */
  readonly keys: readonly KeyEvidence[];
}

export interface ArcOptions {
  readonly dns: Dns;
}

/**
 * Begins to check the chain of seals of a message: its structure at once, signatures when the body is over.
 *
 * @returns what gives the result; call it when the body is over. Never rejects
 * @source RFC 8617 §5.2
 */
export const beginArc = (
  header: SignedHeader,
  body: BodyHashes,
  { dns }: ArcOptions,
): (() => Promise<ArcResult>) => {
  const collected = collectArcSets(header.fields);
  if (collected.kind === 'none') return async () => none;
  if (collected.kind === 'broken') {
    const { why } = collected;
    return async () => ({ ...none, result: 'fail', reason: why });
  }
  const { sets } = collected;
  const chain = new Chain(header, sets, new KeyLookup(dns), body);
  return () => chain.check();
};

const none: ArcResult = { result: 'none', reason: null, sealers: [], found: null, keys: [] };

class Chain {
  readonly #sets: readonly ArcSet[];
  readonly #header: SignedHeader;
  readonly #keys: KeyLookup;
  readonly #last: ArcSet;
  readonly #message: Signature | string;
  readonly #bodyHash: (() => BodyHash | null) | null = null;
  readonly #evidence = new Map<string, KeyEvidence>();

  constructor(header: SignedHeader, sets: readonly ArcSet[], keys: KeyLookup, body: BodyHashes) {
    const last = sets[sets.length - 1];
    if (last === undefined) throw new Error('a chain has a set');
    this.#header = header;
    this.#sets = sets;
    this.#keys = keys;
    this.#last = last;
    const parsed = parseSignature(last.messageSignature.raw, 'arc');
    this.#message = parsed.kind === 'broken' ? parsed.why : parsed.signature;
    if (typeof this.#message === 'string') return;
    const { selector, domain, length, body: canonicalization } = this.#message;
    this.#bodyHash = body.want(canonicalization, 'sha256', length);
    // The others' keys are asked for once this set holds: a forged chain costs two look-ups.
    void keys.find(selector, domain);
    void keys.find(last.selector, last.domain);
  }

  async check(): Promise<ArcResult> {
    const problem = (await this.#checkMessage()) ?? (await this.#checkSeals());
    return {
      result: problem?.result ?? 'pass',
      reason: problem?.why ?? null,
      sealers: this.#sets.map(({ instance, domain, selector }) => ({ instance, domain, selector })),
      found: parseResults(this.#last.results),
      keys: [...this.#evidence.values()],
    };
  }

  async #checkMessage(): Promise<Problem | null> {
    const message = this.#message;
    const where = `ARC-Message-Signature ${this.#last.instance}`;
    if (typeof message === 'string') return fail(`${where}: ${message}`);
    if (message.algorithm === 'rsa-sha1')
      return fail(`${where}: rsa-sha1 proves nothing any more (RFC 8301)`);
    const found = await this.#keys.find(message.selector, message.domain);
    const bodyProblem = checkBody(message, this.#bodyHash?.() ?? null);
    if (found.kind === 'key' && bodyProblem !== null) return fail(`${where}: ${bodyProblem.why}`);
    const { index } = this.#last.messageSignature;
    const signed =
      new FieldSelector(this.#header.fields).select(message.signedFields, message.header, index) +
      canonicalField(message.rawWithoutSignature, message.header);
    return this.#checkSigned(where, found, message.algorithm, message.signature, signed);
  }

  async #checkSeals(): Promise<Problem | null> {
    const texts = this.#sets.map(({ resultsField, messageSignature, seal }) =>
      [resultsField, messageSignature, seal].map((part) => `${canonicalField(part.raw, 'relaxed')}\r\n`),
    );
    for (let at = this.#sets.length - 1; at >= 0; at--) {
      const set = this.#sets[at];
      if (set === undefined) break;
      const signed =
        texts
          .slice(0, at + 1)
          .map((parts, index) => parts.slice(0, index === at ? 2 : 3).join(''))
          .join('') + canonicalField(set.sealWithoutSignature, 'relaxed');
      const found = await this.#keys.find(set.selector, set.domain);
      const where = `ARC-Seal ${set.instance}`;
      const problem = await this.#checkSigned(where, found, set.algorithm, set.signature, signed);
      if (problem !== null) return problem;
      // The last set holds: now the keys of all others at once.
      if (at === this.#sets.length - 1)
        for (const other of this.#sets) void this.#keys.find(other.selector, other.domain);
    }
    return null;
  }

  async #checkSigned(
    where: string,
    found: FoundKey,
    algorithm: Signature['algorithm'],
    signature: Uint8Array,
    signed: string,
  ): Promise<Problem | null> {
    if (found.evidence !== null) this.#evidence.set(found.evidence.name, found.evidence);
    if (found.kind === 'problem')
      return { result: found.result === 'temperror' ? 'temperror' : 'fail', why: `${where}: ${found.why}` };
    const { result, why } = await checkSignature(found.record, algorithm, signature, signed);
    return result === 'pass' ? null : fail(`${where}: ${why ?? result}`);
  }
}

interface Problem {
  readonly result: 'fail' | 'temperror';
  readonly why: string;
}

const fail = (why: string): Problem => ({ result: 'fail', why });
