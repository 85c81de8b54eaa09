import { FengniError } from '#base/errors';
import type { FaultText, Language, SpokenFault } from '#base/text';

/** The command was typed wrongly: exit status 2, and words in the person's language. */
export class UsageError extends FengniError implements SpokenFault {
  readonly #spoken: (language: Language) => FaultText;

  constructor(spoken: (language: Language) => FaultText) {
    const english = spoken('en');
    super('usage', { subject: english.sentence, remedy: english.remedy, exitStatus: 2 });
    this.#spoken = spoken;
  }

  spoken(language: Language): FaultText {
    return this.#spoken(language);
  }
}
