import type { ParseArgsOptionDescriptor } from 'node:util';
import type { Config } from '#app/config';
import type { ExitStatus } from '#base/errors';
import type { Logger } from '#base/logger';
import type { Language, ParametersOf, TextKey } from '#base/text';

/** An option of a command: how it is parsed, and its line of help. */
export interface CommandOption extends Pick<ParseArgsOptionDescriptor, 'type' | 'short' | 'multiple'> {
  /** what the value is called in the help, such as `FILE`; string options only */
  value?: string;
  /** its line of help */
  text: Readonly<Record<Language, string>>;
}

/** What a file under `commands/` exports as `command`. */
export interface Command {
  /** after `fengni `: the command, its arguments and what they are; lines, the first one being the form */
  usage(language: Language): string;
  /** without `--help`, `--config`, `--data` and `--json`, which every command has */
  readonly options: Readonly<Record<string, CommandOption>>;
  /** its options are not like those of other commands: it gets all arguments as they are, `-h` too, and takes them apart itself */
  readonly parsesItself?: true;
  /** @throws {FengniError} told to the person as a sentence with a remedy, giving the error's exit status */
  run(context: CommandContext): Promise<ExitStatus | SysExit>;
}

/** What programs that call `sendmail` understand; no other command ends with them. @source sysexits.h */
export type SysExit = 64 | 65 | 67 | 69 | 70 | 71 | 74 | 75 | 77 | 78;

/** What a command can use; everything from outside comes in by it. */
export interface CommandContext {
  /** arguments that are not options */
  readonly args: readonly string[];
  /** options as given; see `text`, `flag`, `list` and `number` */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  readonly language: Language;
  /** whether `--json` was given: one JSON value on standard output, nothing else there */
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** the folder that the command was started in */
  readonly cwd: string;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** events for the log, on standard error */
  readonly logger: Logger;
  /** the configuration, read and checked at the first call; `--config`, `--data` and `--port-base` are part of it */
  config(): Promise<Config>;
  /** absolute path of the data folder: `--data`, else the configuration's; it may not exist */
  dataFolder(): Promise<string>;
  /** value of a string option */
  text(option: string): string | undefined;
  /** whether a boolean option was given */
  flag(option: string): boolean;
  /** values of an option that may be repeated */
  list(option: string): readonly string[];
  /** value of a string option that is a whole number. @throws {FengniError} `usage` outside the range */
  number(option: string, min: number, max: number): number | undefined;
  /** argument at an index. @throws {FengniError} `usage` where it is missing; `name` is how the usage calls it */
  arg(index: number, name: string): string;
  /** @throws {FengniError} `usage` when there are more arguments than `count` */
  argsMax(count: number): void;
  say<Key extends TextKey>(key: Key, ...parameters: ParametersOf<Key>): string;
  /** a line for people on standard output; nothing with `--json` */
  print(line: string): void;
  /** the one JSON value of `--json`, on standard output */
  printJson(value: unknown): void;
}

export interface OutputStream {
  write(text: string | Uint8Array): boolean;
  readonly isTTY?: boolean;
  readonly columns?: number;
}
