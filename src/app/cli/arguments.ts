import { parseArgs } from 'node:util';
import { type Language, say, suggest } from '#base/text';
import type { CommandOption } from './command.ts';
import { UsageError } from './usage-error.ts';

export type OptionValues = Record<string, string | boolean | readonly string[] | undefined>;

export interface ParsedArguments {
  args: readonly string[];
  options: OptionValues;
}

/** Options that every command takes. */
export const commonOptions = {
  help: { type: 'boolean', short: 'h', text: texts('cli.option.help') },
  config: { type: 'string', value: 'FILE', text: texts('cli.option.config') },
  data: { type: 'string', value: 'DIR', text: texts('cli.option.data') },
  json: { type: 'boolean', text: texts('cli.option.json') },
} as const satisfies Record<string, CommandOption>;

function texts(key: 'cli.option.help' | 'cli.option.config' | 'cli.option.data' | 'cli.option.json') {
  return { en: say('en', key), zh: say('zh', key) };
}

/**
 * Takes a command's options apart; `--` ends them.
 *
 * @throws {UsageError} on an unknown option, a missing or needless value, an option given twice that may be given once
 */
export const parseCommandArguments = (
  command: string,
  argv: readonly string[],
  own: Readonly<Record<string, CommandOption>>,
): ParsedArguments => {
  const known: Readonly<Record<string, CommandOption>> = { ...commonOptions, ...own };
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      Object.entries(known).map(([name, { type, short, multiple }]) => [
        name,
        { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options: OptionValues = {};
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (option === undefined) throw unknownOption(command, token.rawName, Object.keys(known));
    if (option.type === 'boolean') {
      if (token.value !== undefined) throw wrong('cli.option-takes-no-value', token.rawName);
      options[token.name] = true;
      continue;
    }
    // "--data --json" forgot the folder; "--data=--json" means it. A single "-" is standard input.
    const isForgotten = token.value === undefined || (!token.inlineValue && /^-./.test(token.value));
    if (isForgotten || token.value === '') throw wrong('cli.option-needs-value', token.rawName);
    if (option.multiple === true) {
      const before = options[token.name];
      options[token.name] = [...(Array.isArray(before) ? before : []), token.value];
    } else if (options[token.name] === undefined) {
      options[token.name] = token.value;
    } else {
      throw wrong('cli.option-repeated', token.rawName);
    }
  }
  return { args: positionals, options };
};

const wrong = (
  key: 'cli.option-takes-no-value' | 'cli.option-needs-value' | 'cli.option-repeated',
  name: string,
): UsageError =>
  new UsageError((language) => ({ sentence: say(language, key, { name }), remedy: tryHelp(language, '') }));

const unknownOption = (command: string, name: string, known: readonly string[]): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'cli.unknown-option', { command, name }),
    remedy: didYouMean(language, command, suggest(name.replace(/^--?/, ''), known), '--'),
  }));

/** "Did you mean …?" where there is a guess, else where to find help. */
export const didYouMean = (language: Language, command: string, guess: string | null, before = ''): string =>
  guess === null
    ? tryHelp(language, command)
    : say(language, 'cli.did-you-mean', { name: `${before}${guess}` });

const tryHelp = (language: Language, command: string): string =>
  say(language, 'cli.try-help', { command: command === '' ? '' : `${command} ` });
