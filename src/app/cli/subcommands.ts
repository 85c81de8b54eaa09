import { say, suggest } from '#base/text';
import { didYouMean } from './arguments.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './usage-error.ts';

/**
 * The subcommand that the first argument names, such as `check` of `fengni config check`.
 *
 * @throws {UsageError} where it is missing or unknown
 */
export const subcommand = <Name extends string>(
  command: string,
  { args }: CommandContext,
  names: readonly Name[],
): Name => {
  const given = args[0];
  const found = names.find((name) => name === given);
  if (found !== undefined) return found;
  const known = names.join(', ');
  throw new UsageError((language) => ({
    sentence:
      given === undefined
        ? say(language, 'cli.missing-subcommand', { command, known })
        : say(language, 'cli.unknown-subcommand', { command, name: given, known }),
    remedy: didYouMean(language, command, given === undefined ? null : suggest(given, names)),
  }));
};
