import {
  domainOf,
  parseAlgorithm,
  parseTagList,
  type SignatureAlgorithm,
  type SignedField,
  selectorOf,
  shown,
  type TagList,
  tagBase64,
  withoutSignatureValue,
} from '#trust/dkim';

/** A field of a set: its place in the header and its octets. */
export interface ArcSetPart {
  readonly index: number;
  readonly raw: string;
}

/** What one relay adds to a message. @source RFC 8617 §4.1 */
export interface ArcSet {
  readonly instance: number;
  readonly resultsField: ArcSetPart;
  /** what stands behind `i=N;` */
  readonly results: string;
  readonly messageSignature: ArcSetPart;
  readonly seal: ArcSetPart;
  readonly sealWithoutSignature: string;
  readonly algorithm: SignatureAlgorithm;
  readonly domain: string;
  readonly selector: string;
  readonly signature: Uint8Array;
}

export type ArcSets =
  | { readonly kind: 'none' }
  | { readonly kind: 'sets'; readonly sets: readonly ArcSet[] }
  | { readonly kind: 'broken'; readonly why: string };

/** @source RFC 8617 §4.2.1 */
export const arcSetsMax = 50;
/** characters of all fields of a chain: every seal signs those of all before it */
const arcCharactersMax = 262_144;

const names = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'] as const;
type ArcName = (typeof names)[number];

/**
 * The sets of a chain from the first to the last, when its structure is what RFC 8617 asks for; otherwise the first thing that is wrong.
 *
 * @source RFC 8617 §4.2, §5.2 (steps 1 to 3)
 */
export const collectArcSets = (fields: readonly SignedField[]): ArcSets => {
  const parts = new Map<string, ArcSetPart>();
  let last = 0;
  let characters = 0;
  for (const [index, { name, raw }] of fields.entries()) {
    if (!isArcName(name)) continue;
    characters += raw.length;
    if (characters > arcCharactersMax) return broken(`the chain has more than ${arcCharactersMax} octets`);
    const instance = instanceOf(name, raw);
    if (instance === null) return broken(`${title(name)} has no instance from 1 to ${arcSetsMax}`);
    const key = `${name} ${instance}`;
    if (parts.has(key)) return broken(`${title(name)} ${instance} is there twice`);
    parts.set(key, { index, raw });
    last = Math.max(last, instance);
  }
  if (last === 0) return { kind: 'none' };
  const sets: ArcSet[] = [];
  for (let instance = last; instance >= 1; instance--) {
    const [resultsField, messageSignature, seal] = names.map((name) => parts.get(`${name} ${instance}`));
    if (resultsField === undefined || messageSignature === undefined || seal === undefined) {
      const missing = names.filter((name) => !parts.has(`${name} ${instance}`)).map(title);
      return broken(`${missing.join(' and ')} ${instance} is missing`);
    }
    const read = parseSeal(seal.raw, instance, instance === last);
    if (typeof read === 'string') return broken(`ARC-Seal ${instance}: ${read}`);
    const results = resultsField.raw.slice(resultsField.raw.indexOf(';') + 1);
    sets.push({ ...read, instance, resultsField, results, messageSignature, seal });
  }
  return { kind: 'sets', sets: sets.reverse() };
};

const isArcName = (name: string): name is ArcName => (names as readonly string[]).includes(name);

const title = (name: string): string =>
  name === 'arc-seal'
    ? 'ARC-Seal'
    : name === 'arc-message-signature'
      ? 'ARC-Message-Signature'
      : 'ARC-Authentication-Results';

const instanceOf = (name: ArcName, raw: string): number | null => {
  const value = raw.slice(raw.indexOf(':') + 1);
  const list = name === 'arc-authentication-results' ? null : parseTagList(value);
  const digits =
    list === null
      ? /^[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,3})[ \t\r\n]*;/.exec(value)?.[1]
      : list.kind === 'tags'
        ? list.tags.get('i')?.value
        : undefined;
  if (digits === undefined || !/^[1-9][0-9]?$/.test(digits)) return null;
  const instance = Number(digits);
  return instance <= arcSetsMax ? instance : null;
};

type Seal = Pick<ArcSet, 'algorithm' | 'domain' | 'selector' | 'signature' | 'sealWithoutSignature'>;

/** What a seal says, or what is wrong with it. @source RFC 8617 §4.1.3 */
const parseSeal = (raw: string, instance: number, isLast: boolean): Seal | string => {
  const valueStart = raw.indexOf(':') + 1;
  const list: TagList = parseTagList(raw.slice(valueStart));
  if (list.kind === 'broken') return list.why;
  const tag = (name: string): string | null => list.tags.get(name)?.value ?? null;
  for (const name of ['a', 'b', 'cv', 'd', 's']) if (tag(name) === null) return `the tag ${name}= is missing`;
  if (tag('h') !== null) return 'it has a tag h=';
  const cv = tag('cv');
  if (cv === 'fail' && isLast) return 'its sealer found the chain broken (cv=fail)';
  if (cv !== (instance === 1 ? 'none' : 'pass')) return `cv=${shown(cv ?? '')} cannot be`;
  const algorithm = parseAlgorithm(tag('a') ?? '');
  if (algorithm === null || algorithm === 'rsa-sha1')
    return `the algorithm ${shown(tag('a') ?? '')} is not accepted`;
  const signature = tagBase64(tag('b') ?? '');
  if (signature === null || signature.length === 0 || signature.length > 1_024) return 'b= is no base 64';
  const domain = domainOf(tag('d') ?? '');
  if (domain === null) return 'd= is no domain name';
  const selector = selectorOf(tag('s') ?? '');
  if (selector === null) return 's= is no selector';
  const time = tag('t');
  if (time !== null && !/^[0-9]{1,12}$/.test(time)) return 't= is no time';
  return {
    algorithm,
    domain,
    selector,
    signature,
    sealWithoutSignature: withoutSignatureValue(raw, valueStart, list),
  };
};

const broken = (why: string): ArcSets => ({ kind: 'broken', why });
