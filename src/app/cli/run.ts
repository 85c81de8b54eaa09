import path from 'node:path';
import type { Config } from '#app/config';
import { systemClock } from '#base/clock';
import { type ExitStatus, FengniError } from '#base/errors';
import { createLogger } from '#base/logger';
import {
  type Language,
  languageOf,
  type ParametersOf,
  say,
  sayFault,
  suggest,
  type TextKey,
} from '#base/text';
import { didYouMean, type ParsedArguments, parseCommandArguments } from './arguments.ts';
import type { CommandContext, OutputStream, SysExit } from './command.ts';
import { commandHelp, overview } from './help.ts';
import { commands } from './table.ts';
import { UsageError } from './usage-error.ts';
import { programVersion } from './version.ts';

/** Everything of the process that the command line touches. */
export interface CliProcess {
  /** without the program and its script */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/**
 * Runs one command and tells every fault as a sentence with a remedy; never rejects.
 *
 * @returns 0 done and good · 1 checked and bad · 2 wrong usage or configuration · 3 could not run; of `sendmail` those of sysexits.h
 */
export const runCli = async (process: CliProcess): Promise<ExitStatus | SysExit> => {
  const language = languageOf(process.env);
  const [name, ...rest] = process.argv;
  // Known before anything is parsed, so that a fault in the parsing is told in the same form.
  const json = beforeDashes(rest).includes('--json');
  try {
    if (name === undefined) {
      process.stderr.write(overview(language, programVersion()));
      return 2;
    }
    if (name === '-h' || name === '--help' || name === 'help') {
      process.stdout.write(overview(language, programVersion()));
      return 0;
    }
    const row = commands.find((candidate) => candidate.name === (name === '--version' ? 'version' : name));
    if (row === undefined) throw unknownCommand(name);
    const { command } = await row.load();
    if (command.parsesItself !== true && asksForHelp(rest)) {
      process.stdout.write(commandHelp(language, command));
      return 0;
    }
    const parsed =
      command.parsesItself === true
        ? { args: rest, options: {} }
        : parseCommandArguments(row.name, rest, command.options);
    return await command.run(commandContext(process, language, parsed));
  } catch (error) {
    return tell(process, language, json, error);
  }
};

const beforeDashes = (argv: readonly string[]): readonly string[] => {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
};

const asksForHelp = (argv: readonly string[]): boolean =>
  beforeDashes(argv).some((argument) => argument === '-h' || argument === '--help');

const unknownCommand = (name: string): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, 'cli.unknown-command', { name }),
    remedy: didYouMean(
      language,
      '',
      suggest(
        name,
        commands.map((row) => row.name),
      ),
    ),
  }));

const tell = (process: CliProcess, language: Language, json: boolean, error: unknown): ExitStatus => {
  const fault = error instanceof FengniError ? error : null;
  const words =
    fault === null
      ? {
          sentence: say(language, 'cli.bug', { message: messageOf(error) }),
          remedy: say(language, 'cli.bug.remedy'),
        }
      : sayFault(language, fault);
  if (fault === null && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.stderr.write(
    `fengni: ${words.sentence}\n${say(language, 'cli.remedy', { remedy: words.remedy })}\n`,
  );
  if (json) {
    const value = {
      error: {
        code: fault?.code ?? 'bug',
        subject: fault?.subject ?? messageOf(error),
        sentence: words.sentence,
        remedy: words.remedy,
        retryable: fault?.retryable ?? false,
      },
    };
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }
  return fault?.exitStatus ?? 3;
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const commandContext = (
  process: CliProcess,
  language: Language,
  { args, options }: ParsedArguments,
): CommandContext => {
  const { stdin, stdout, stderr, env, cwd } = process;
  const json = options['json'] === true;
  const text = (option: string): string | undefined => {
    const value = options[option];
    return typeof value === 'string' ? value : undefined;
  };
  let config: Promise<Config> | null = null;
  const context: CommandContext = {
    args,
    options,
    language,
    json,
    env,
    cwd,
    stdin,
    stdout,
    stderr,
    logger: createLogger({
      clock: systemClock,
      level: 'info',
      form: stderr.isTTY === true ? 'text' : 'json',
      write: (line) => void stderr.write(line),
    }),
    config: () => {
      config ??= import('#app/config').then(({ loadConfig }) =>
        loadConfig({
          cwd,
          file: text('config') ?? null,
          dataFolder: text('data') ?? null,
          portBase: context.number('port-base', 0, 65_535) ?? 0,
        }),
      );
      return config;
    },
    dataFolder: async () => {
      const given = text('data');
      return given === undefined ? (await context.config()).server.data : path.resolve(cwd, given);
    },
    text,
    flag: (option) => options[option] === true,
    list: (option) => {
      const value = options[option];
      return typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
    },
    number: (option, min, max) => {
      const value = text(option);
      if (value === undefined) return undefined;
      const number = Number(value);
      if (/^\d{1,15}$/.test(value) && number >= min && number <= max) return number;
      throw usage('cli.option-not-a-number', { name: `--${option}`, value, min, max });
    },
    arg: (index, name) => {
      const value = args[index];
      if (value === undefined) throw usage('cli.missing-argument', { name });
      return value;
    },
    argsMax: (count) => {
      const value = args[count];
      if (value !== undefined) throw usage('cli.too-many-arguments', { value });
    },
    say: (key, ...parameters) => say(language, key, ...parameters),
    print: (line) => {
      if (!json) stdout.write(`${line}\n`);
    },
    printJson: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
  };
  return context;
};

const usage = <Key extends TextKey>(key: Key, ...parameters: ParametersOf<Key>): UsageError =>
  new UsageError((language) => ({
    sentence: say(language, key, ...parameters),
    remedy: didYouMean(language, '', null),
  }));
