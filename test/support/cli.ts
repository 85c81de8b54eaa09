import os from 'node:os';
import { Readable } from 'node:stream';
import { type OutputStream, runCli } from '#app/cli';

export interface CliOutcome {
  status: number;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  /** LANG; English without it */
  lang?: string;
  stdin?: string | Uint8Array;
  cwd?: string;
  /** standard output and standard error are a terminal */
  isTerminal?: boolean;
}

/** Runs a command of the command line in this process, which is quicker than another program and says the same. */
export const cli = async (argv: readonly string[], options: CliOptions = {}): Promise<CliOutcome> => {
  const stdout = collector(options.isTerminal === true);
  const stderr = collector(options.isTerminal === true);
  const { stdin } = options;
  const status = await runCli({
    argv,
    env: { LANG: options.lang ?? 'C' },
    cwd: options.cwd ?? os.tmpdir(),
    stdin: Readable.from(stdin === undefined ? [] : [Buffer.from(stdin as string)]),
    stdout,
    stderr,
  });
  return { status, stdout: stdout.text(), stderr: stderr.text() };
};

const collector = (isTTY: boolean): OutputStream & { text(): string } => {
  const pieces: Buffer[] = [];
  return {
    isTTY,
    write: (piece) => {
      pieces.push(Buffer.from(piece as string));
      return true;
    },
    text: () => Buffer.concat(pieces).toString('utf8'),
  };
};
