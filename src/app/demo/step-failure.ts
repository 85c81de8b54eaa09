import { type Language, type ParametersOf, say, type TextKey } from '#base/text';

type FailureKey = Extract<TextKey, `demo.failure.${string}`>;

/** A step that did not do what it says. */
export class StepFailure extends Error {
  readonly #spoken: (language: Language) => string;

  constructor(spoken: (language: Language) => string) {
    super(spoken('en'));
    this.#spoken = spoken;
  }

  spoken(language: Language): string {
    return this.#spoken(language);
  }
}

export const failure = <Key extends FailureKey>(key: Key, ...parameters: ParametersOf<Key>): StepFailure =>
  new StepFailure((language) => say(language, key, ...parameters));
