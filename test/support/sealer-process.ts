import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, type TestContext } from 'node:test';
import { makeFolder } from './serve-process.ts';

// The sealer as a service of its own: `fengni sealer` under one user, the server under another, one group.

const root = path.resolve(import.meta.dirname, '../..');

const taken = new Set(
  fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => Number(line.split(':')[2])),
);
/** A user id that nobody has here. */
const freeUid = (): number => {
  for (;;) {
    const uid = 20_000 + Math.floor(Math.random() * 30_000);
    if (taken.has(uid)) continue;
    taken.add(uid);
    return uid;
  }
};
const serverUid = freeUid();
export const serverUser = { uid: serverUid, gid: serverUid };
export const sealerUser = { uid: freeUid(), gid: serverUser.gid };

const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill('SIGKILL');
});

export const needsRoot = (t: TestContext): boolean => {
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) t.skip('not run: needs root, to run server and sealer as two users');
  return isRoot;
};

export interface Places {
  data: string;
  state: string;
  socket: string;
}

export const makePlaces = (): Places => {
  const folder = makeFolder(0o755);
  const make = (name: string, owner: { uid: number; gid: number }, mode: number): string => {
    const at = path.join(folder, name);
    fs.mkdirSync(at);
    fs.chmodSync(at, mode);
    fs.chownSync(at, owner.uid, owner.gid);
    return at;
  };
  return {
    data: make('data', serverUser, 0o700),
    state: make('state', sealerUser, 0o700),
    socket: path.join(make('run', sealerUser, 0o750), 'socket'),
  };
};

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface RunningProcess {
  child: ChildProcess;
  /** at its first line on standard output */
  ready: Promise<void>;
  ended: Promise<Finished>;
}

/** A program of this checkout as another user, with nothing but a path and a language. */
export const startAs = (
  user: { uid: number; gid: number },
  command: readonly string[],
  lang = 'C.UTF-8',
): RunningProcess => {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    ...user,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LANG: lang },
  });
  started.push(child);
  let [stdout, stderr] = ['', ''];
  const ended = new Promise<Finished>((resolve) => {
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.includes('\n')) resolve();
    });
    void ended.then(({ status }) => reject(new Error(`${args[0]} ended (${status}): ${stderr}`)));
  });
  ready.catch(() => {});
  return { child, ready, ended };
};

export const startSealer = ({ data, state, socket }: Places): RunningProcess =>
  startAs(sealerUser, [
    path.join(root, 'fengni'),
    'sealer',
    '--state',
    state,
    '--socket',
    socket,
    '--data',
    data,
  ]);

/** A command of ours as one of the two users, to its end. */
export const fengniAs = (
  user: { uid: number; gid: number },
  args: readonly string[],
  lang?: string,
): Promise<Finished> => startAs(user, [path.join(root, 'fengni'), ...args], lang).ended;
