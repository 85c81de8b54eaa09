import { FengniError } from '#base/errors';
import { type FaultText, type Language, type SpokenFault, say } from '#base/text';

/** A sentence about one setting, in either language. */
export type Problem = (language: Language) => string;

const problemsToldMax = 20;

/** The configuration is wrong; names each setting, its value and the remedy. Exit status 2. */
export class ConfigError extends FengniError implements SpokenFault {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], cause?: unknown) {
    const english = told(problems, 'en').join('; ');
    super('config-invalid', {
      subject: english,
      remedy: say('en', 'remedy.config-invalid'),
      exitStatus: 2,
      cause,
    });
    this.problems = problems;
  }

  spoken(language: Language): FaultText {
    return {
      sentence: told(this.problems, language).join('\n'),
      remedy: say(language, 'remedy.config-invalid'),
    };
  }
}

const told = (problems: readonly Problem[], language: Language): string[] => {
  const lines = problems.slice(0, problemsToldMax).map((problem) => problem(language));
  const rest = problems.length - lines.length;
  return rest === 0 ? lines : [...lines, say(language, 'config.more-problems', { count: rest })];
};
