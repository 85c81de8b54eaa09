import { spawn } from 'node:child_process';

export interface Ran {
  status: number | null;
  /** one octet a character */
  stdout: string;
  stderr: string;
}

const timeoutMs = 120_000;

/** Runs a client to its end; `input` and what comes back: one octet a character. */
export const run = (
  program: string,
  args: readonly string[],
  options: {
    input?: string;
    env?: NodeJS.ProcessEnv;
    uid?: number;
    /** told of its process before it is ended for being late; its status is null then */
    hung?: (pid: number) => void;
  } = {},
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: 'pipe',
      env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', ...options.env },
      cwd: '/',
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    const timer = setTimeout(() => {
      try {
        options.hung?.(child.pid ?? 0);
      } finally {
        child.kill('SIGKILL');
      }
    }, timeoutMs);
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    child.once('error', reject);
    child.once('close', (status) => {
      clearTimeout(timer);
      resolve({
        status,
        stdout: Buffer.concat(out).toString('latin1'),
        stderr: Buffer.concat(err).toString('latin1'),
      });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(Buffer.from(options.input ?? '', 'latin1'));
  });
