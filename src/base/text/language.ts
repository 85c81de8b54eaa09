export type Language = 'en' | 'zh';

/** The variables of the environment that name the language of messages. */
export interface LanguageVariables {
  readonly LC_ALL?: string | undefined;
  readonly LC_MESSAGES?: string | undefined;
  readonly LANG?: string | undefined;
}

/**
 * The language that the environment asks for: Chinese when it starts with `zh`, otherwise English.
 *
 * @source POSIX.1-2024 §8.2: LC_ALL wins over LC_MESSAGES, that over LANG; an empty value is as good as none
 */
export const languageOf = (variables: LanguageVariables): Language => {
  const locale = variables.LC_ALL || variables.LC_MESSAGES || variables.LANG || '';
  return /^zh(?![a-z])/i.test(locale) ? 'zh' : 'en';
};
