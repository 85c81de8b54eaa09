import { type Language, say } from '#base/text';
import { commonOptions } from './arguments.ts';
import type { Command, CommandOption } from './command.ts';
import { commands } from './table.ts';

/** What `fengni --help` prints. */
export const overview = (language: Language, version: string): string =>
  [
    say(language, 'cli.title', { version }),
    '',
    say(language, 'cli.usage'),
    '',
    say(language, 'cli.commands'),
    ...columns(commands.map((row) => [row.name, say(language, row.summaryKey)])),
    '',
    say(language, 'cli.options.common'),
    ...optionLines(language, commonOptions),
    '',
    say(language, 'cli.more'),
    '',
  ].join('\n');

/** What `fengni COMMAND --help` prints. */
export const commandHelp = (language: Language, command: Command): string => {
  const own = optionLines(language, command.options);
  return [
    say(language, 'cli.usage.command', { usage: command.usage(language).trimEnd() }),
    '',
    ...(own.length === 0 ? [] : [say(language, 'cli.options'), ...own, '']),
    say(language, 'cli.options.common'),
    ...optionLines(language, commonOptions),
    '',
  ].join('\n');
};

/** Two columns, indented: names, and what they are. For the usage text of commands with subcommands too. */
export const columns = (rows: readonly (readonly [string, string])[]): string[] => {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
};

const optionLines = (language: Language, options: Readonly<Record<string, CommandOption>>): string[] =>
  columns(
    Object.entries(options).map(([name, { short, value, type, text }]) => [
      `${short === undefined ? '' : `-${short}, `}--${name}${type === 'string' ? ` ${value ?? 'VALUE'}` : ''}`,
      text[language],
    ]),
  );
