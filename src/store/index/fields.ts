import { type Json, type JsonObject, parseCanonicalJson } from '#base/canonical-json';
import { FengniError } from '#base/errors';
import { parseUidSet } from './uid-set.ts';

/** Reads members by name and kind; whatever does not fit is damage. */
export class Fields {
  readonly all: JsonObject;
  readonly #of: string;

  constructor(source: Uint8Array | JsonObject, of: string) {
    this.#of = of;
    const value = source instanceof Uint8Array ? parseCanonicalJson(source) : source;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw this.wrong('(all)');
    this.all = value as JsonObject;
    if (source instanceof Uint8Array && this.all['v'] !== 1) throw this.wrong('v');
  }

  wrong(name: string): FengniError {
    return new FengniError('frame-content-damaged', {
      subject: `member "${name}" of the body of a ${this.#of} frame`,
      remedy: 'run "fengni verify"; if the program is older than the data, upgrade it',
    });
  }

  text(name: string): string {
    const value = this.all[name];
    if (typeof value !== 'string') throw this.wrong(name);
    return value;
  }

  nullableText(name: string): string | null {
    return this.all[name] === null ? null : this.text(name);
  }

  number(name: string): number {
    const value = this.all[name];
    if (typeof value !== 'number') throw this.wrong(name);
    return value;
  }

  flag(name: string): boolean {
    const value = this.all[name];
    if (typeof value !== 'boolean') throw this.wrong(name);
    return value;
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== 'string') throw this.wrong(name);
      return value;
    });
  }

  numbers(name: string): readonly number[] {
    const list = this.#list(name);
    if (!list.every((value) => typeof value === 'number')) throw this.wrong(name);
    return list as readonly number[];
  }

  numberLists(name: string): readonly (readonly number[])[] {
    return this.#list(name).map((value) => {
      if (!Array.isArray(value) || !value.every((each) => typeof each === 'number')) throw this.wrong(name);
      return value as readonly number[];
    });
  }

  object(name: string): Fields {
    const value = this.all[name];
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw this.wrong(name);
    return new Fields(value as JsonObject, this.#of);
  }

  nullable(name: string): Fields | null {
    return this.all[name] === null ? null : this.object(name);
  }

  objects(name: string): Fields[] {
    return this.#list(name).map((value) => {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) throw this.wrong(name);
      return new Fields(value as JsonObject, this.#of);
    });
  }

  uidSet(name: string): string {
    const value = this.text(name);
    if (parseUidSet(value) === null) throw this.wrong(name);
    return value;
  }

  #list(name: string): readonly Json[] {
    const value = this.all[name];
    if (!Array.isArray(value)) throw this.wrong(name);
    return value as readonly Json[];
  }
}
