import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';
import { MiB } from '#base/limits';
import { say } from '#base/text';
import { type CheckedConfig, checkConfig } from './check.ts';
import type { Config } from './config.ts';
import { ConfigError } from './config-error.ts';

export interface LoadOptions {
  /** absolute; where `fengni.toml` is looked for and relative paths of the command line start */
  cwd: string;
  /** `--config`, or null: `fengni.toml` in `cwd` if it is there, otherwise defaults alone */
  file: string | null;
  /** `--data`, or null */
  dataFolder: string | null;
  /** `--port-base`: added to each default port */
  portBase: number;
}

const defaultFile = 'fengni.toml';
const fileBytesMax = MiB;

/**
 * The configuration that holds for a command.
 *
 * @throws {ConfigError} (`config-invalid`, exit status 2) naming each wrong setting
 * @throws {FengniError} `config-unreadable` (exit status 2) where the file is named but cannot be read
 */
export const loadConfig = async (options: LoadOptions): Promise<Config> => (await readConfig(options)).config;

/** The same with what `config check` and `config show` tell: each setting as it stands, and warnings. */
export const readConfig = async (options: LoadOptions): Promise<CheckedConfig> => {
  const file = path.resolve(options.cwd, options.file ?? defaultFile);
  const text = readText(file, options.file !== null);
  const dataFolder = options.dataFolder === null ? null : path.resolve(options.cwd, options.dataFolder);
  return checkConfig(text === null ? {} : await parseToml(text, file), {
    file: text === null ? null : file,
    cwd: options.cwd,
    dataFolder,
    portBase: options.portBase,
  });
};

const readText = (file: string, isNamed: boolean): string | null => {
  try {
    // A pipe (`--config /dev/stdin`) has no size to ask for beforehand.
    const octets = fs.readFileSync(file);
    if (octets.length > fileBytesMax) throw new Error(`more than ${fileBytesMax} octets`);
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch (error) {
    if (!isNamed && (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new FengniError('config-unreadable', {
      subject: `${file} (${error instanceof Error ? error.message : error})`,
      remedy: say('en', 'remedy.config-unreadable'),
      exitStatus: 2,
      cause: error,
    });
  }
};

/** Loads the TOML parser only for a file: a start without one does not pay for it. */
const parseToml = async (text: string, file: string): Promise<Readonly<Record<string, unknown>>> => {
  const { parse, TomlError } = await import('smol-toml');
  try {
    return parse(text, { maxDepth: 8 });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const { line, column } = error;
    const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '');
    throw new ConfigError(
      [(language) => say(language, 'config.toml', { file, line, column, reason })],
      error,
    );
  }
};
