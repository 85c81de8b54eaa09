/** A translation of an English area: every key, no other. A key that is missing or too many is a type error. */
export type Translation<English> = { readonly [Key in keyof English]: string };

/** The names between braces in a text: `'{a} of {b}'` gives `'a' | 'b'`. */
export type Placeholders<Text> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;

export type TextParameters = Readonly<Record<string, string | number>>;

/**
 * Puts parameters into the places of a text.
 *
 * A value is put in once: braces inside a value are never looked at again. A place without a value stays as it is.
 */
export const fillIn = (text: string, parameters: TextParameters): string =>
  text.replace(/\{([a-zA-Z]+)\}/g, (place, name: string) =>
    Object.hasOwn(parameters, name) ? String(parameters[name]) : place,
  );
