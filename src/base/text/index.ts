/**
 * Every word that people read, in English and Chinese.
 *
 * A catalogue is split by area: `en/AREA.ts` holds the English texts (`as const`: its keys and placeholders are types), `zh/AREA.ts`
 * the same keys in Chinese. A missing key is a type error, a missing parameter too. To add an area, write the two files and add a row
 * to `en.ts` and to `zh.ts`. Replies to SMTP, IMAP and POP3 clients are not here: they are English always.
 */
export type { TextParameters } from './catalogue.ts';
export { type Language, type LanguageVariables, languageOf } from './language.ts';
export {
  type FaultText,
  faultTexts,
  isKey as isTextKey,
  type ParametersOf,
  type PlainTextKey,
  type SpokenFault,
  say,
  sayFault,
  type TextKey,
} from './say.ts';
export { suggest } from './suggest.ts';
