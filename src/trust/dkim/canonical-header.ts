import type { SignedField } from './signed-header.ts';

export type Canonicalization = 'simple' | 'relaxed';

/** A field as it is hashed, without the CRLF behind it. @source RFC 6376 §3.4.1, §3.4.2 */
export const canonicalField = (raw: string, canonicalization: Canonicalization): string => {
  if (canonicalization === 'simple') return raw;
  const colon = raw.indexOf(':');
  const name = raw.slice(0, colon).toLowerCase();
  return `${trim(unfolded(name))}:${trim(unfolded(raw.slice(colon + 1)))}`;
};

const unfolded = (text: string): string => text.replace(/\r?\n/g, '').replace(/[ \t]{2,}|\t/g, ' ');

/** Blanks are single spaces here. */
const trim = (text: string): string =>
  text.slice(text.startsWith(' ') ? 1 : 0, text.length > 1 && text.endsWith(' ') ? -1 : undefined);

/**
 * Finds the fields that `h=` names: of fields with one name the last comes first; a name that has no further field
 * stands for nothing, so that nobody can add one. Keeps relaxed forms, since every signature names the same fields.
 *
 * @source RFC 6376 §5.4.2, §3.5 (`h=`)
 */
export class FieldSelector {
  readonly #byName = new Map<string, number[]>();
  readonly #fields: readonly SignedField[];
  readonly #relaxed: (string | undefined)[] = [];

  constructor(fields: readonly SignedField[]) {
    this.#fields = fields;
    for (const [index, { name }] of fields.entries()) {
      const indexes = this.#byName.get(name);
      if (indexes === undefined) this.#byName.set(name, [index]);
      else indexes.push(index);
    }
  }

  count(name: string): number {
    return this.#byName.get(name)?.length ?? 0;
  }

  /** The field by its index as it is hashed. */
  canonical(index: number, canonicalization: Canonicalization): string {
    const raw = this.#fields[index]?.raw ?? '';
    if (canonicalization === 'simple') return raw;
    this.#relaxed[index] ??= canonicalField(raw, 'relaxed');
    return this.#relaxed[index] ?? '';
  }

  /**
   * What is hashed of the header before the signature's own field, each with its CRLF.
   *
   * @param names in lower case, in the order of `h=`
   * @param own the signature's own field, which signs itself in another way
   */
  select(names: readonly string[], canonicalization: Canonicalization, own: number): string {
    const used = new Map<string, number>();
    let text = '';
    for (const name of names) {
      const indexes = this.#byName.get(name);
      if (indexes === undefined) continue;
      let left = used.get(name) ?? indexes.length;
      if (left > 0 && indexes[left - 1] === own) left--;
      if (left > 0) text += `${this.canonical(indexes[left - 1] ?? -1, canonicalization)}\r\n`;
      used.set(name, left - 1);
    }
    return text;
  }
}
