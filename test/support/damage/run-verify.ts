import fs from 'node:fs';
import path from 'node:path';
import { runCli } from '#app/cli';
import { copyFolder } from './mail-folder.ts';

/** `fengni verify ARGS`, in this process: the same command, without the start of another Node. */
export const runVerify = async (
  data: string,
  ...args: string[]
): Promise<{ status: number; text: string; errors: string }> => {
  let text = '';
  let errors = '';
  const status = await runCli({
    argv: ['verify', '--data', data, ...args],
    env: { LANG: 'C.UTF-8' },
    // A folder without a configuration file.
    cwd: path.dirname(data),
    stdin: process.stdin,
    stdout: {
      write: (piece) => {
        text += String(piece);
        return true;
      },
    },
    stderr: {
      write: (piece) => {
        errors += String(piece);
        return true;
      },
    },
  });
  return { status, text, errors };
};

/** Works on a copy of a folder, which is gone afterwards. */
export const withCopy = async <T>(from: string, use: (copy: string) => Promise<T>): Promise<T> => {
  const copy = fs.mkdtempSync(path.join(path.dirname(from), 'copy-'));
  try {
    copyFolder(from, copy);
    return await use(copy);
  } finally {
    fs.rmSync(copy, { recursive: true, force: true, maxRetries: 3 });
  }
};
