import type { FengniError } from '#base/errors';
import { fillIn, type Placeholders, type TextParameters } from './catalogue.ts';
import { en } from './en.ts';
import type { Language } from './language.ts';
import { zh } from './zh.ts';

export type TextKey = keyof typeof en;

/** What a text needs to be said: nothing, or a value for each of its placeholders. */
export type ParametersOf<Key extends TextKey> = [Placeholders<(typeof en)[Key]>] extends [never]
  ? []
  : [parameters: Readonly<Record<Placeholders<(typeof en)[Key]>, string | number>>];

/** A key whose text has no placeholder. */
export type PlainTextKey = {
  [Key in TextKey]: [Placeholders<(typeof en)[Key]>] extends [never] ? Key : never;
}[TextKey];

const catalogues: Readonly<Record<Language, Readonly<Record<TextKey, string>>>> = { en, zh };

/** The text of a key in a language, with its placeholders filled in. */
export const say = <Key extends TextKey>(
  language: Language,
  key: Key,
  ...parameters: ParametersOf<Key>
): string => fillIn(catalogues[language][key], (parameters[0] ?? {}) as TextParameters);

/** A fault in words: what is wrong, and what to do next. */
export interface FaultText {
  sentence: string;
  remedy: string;
}

/** An error that knows its own words, since they depend on more than its code. */
export interface SpokenFault {
  spoken(language: Language): FaultText;
}

const isSpoken = (error: object): error is SpokenFault =>
  'spoken' in error && typeof error.spoken === 'function';

/** Whether the catalogue has a text of this key. */
export const isKey = (key: string): key is TextKey => Object.hasOwn(en, key);

/**
 * A fault as a person reads it: by the error's own words, else by its code from the catalogue (`error.CODE` with the place
 * `{subject}`, `remedy.CODE`), else in English from the error. In English the error's own remedy, which knows more, wins.
 */
export const sayFault = (language: Language, error: FengniError): FaultText => {
  if (isSpoken(error)) return error.spoken(language);
  const sentenceKey = `error.${error.code}`;
  const remedyKey = `remedy.${error.code}`;
  return {
    sentence: isKey(sentenceKey)
      ? fillIn(catalogues[language][sentenceKey], { subject: error.subject })
      : `${error.code}: ${error.subject}`,
    remedy:
      language !== 'en' && isKey(remedyKey)
        ? fillIn(catalogues[language][remedyKey], { subject: error.subject })
        : error.remedy,
  };
};

/** Every fault of the catalogue in a language, by code in alphabetical order; `{subject}` still in its place. */
export const faultTexts = (language: Language): ({ code: string } & FaultText)[] =>
  Object.keys(en)
    .flatMap((key) => (key.startsWith('error.') ? [key.slice(6)] : []))
    .sort()
    .map((code) => {
      const text = (key: string): string => (isKey(key) ? catalogues[language][key] : '');
      return { code, sentence: text(`error.${code}`), remedy: text(`remedy.${code}`) };
    });
