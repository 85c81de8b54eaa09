import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Config } from '#app/config';
import { programFolder } from '#app/roles';
import { FengniError } from '#base/errors';

/** What became of root. */
export type Privileges =
  | { kind: 'never-root' }
  | { kind: 'dropped'; user: string; uid: number }
  /** why it stays, in one sentence; only ever on loopback */
  | { kind: 'still-root'; why: string };

interface User {
  name: string;
  uid: number;
  gid: number;
}

/**
 * Whom to become when started as root: `[server] user`, else the data folder's owner, else user `fengni`; and whether that user can reach
 * program and data. Dropping root is second best: production runs as `fengni` from the first instruction (DESIGN §7).
 *
 * @throws {FengniError} `root-not-dropped` (exit status 3) where root would face the outside, `user-unknown` (2)
 */
export const chooseUser = (config: Config, dataFolder: string): User | { why: string } | null => {
  if (process.geteuid?.() !== 0) return null;
  const chosen = candidate(config, dataFolder);
  const why = 'why' in chosen ? chosen.why : unreachable(chosen, dataFolder);
  if (why === null) return chosen as User;
  if (isExposed(config)) {
    throw new FengniError('root-not-dropped', {
      subject: why,
      remedy:
        'make a user for it (adduser --system --group fengni), give it the data folder, and name it in [server] user',
    });
  }
  return { why };
};

/** Gives up root for good: this process and everything that it starts. */
export const becomeUser = (user: User, dataFolder: string): void => {
  // What root made for a first start belongs to the user from now on.
  if (fs.existsSync(dataFolder) && fs.statSync(dataFolder).uid !== user.uid)
    fs.chownSync(dataFolder, user.uid, user.gid);
  process.setgroups?.([]);
  process.setgid?.(user.gid);
  process.setuid?.(user.uid);
};

const candidate = (config: Config, dataFolder: string): User | { why: string } => {
  const named = config.server.user;
  if (named !== null) {
    const user = lookUp(named);
    if (user === null) {
      throw new FengniError('user-unknown', {
        subject: `[server] user: ${JSON.stringify(named)}`,
        remedy: 'name a user that exists (getent passwd NAME), or make it: adduser --system --group fengni',
        exitStatus: 2,
      });
    }
    return user.uid === 0 ? { why: '[server] user is root' } : user;
  }
  const owner = fs.existsSync(dataFolder) ? fs.statSync(dataFolder) : null;
  if (owner !== null && owner.uid !== 0) return { name: String(owner.uid), uid: owner.uid, gid: owner.gid };
  return lookUp('fengni') ?? { why: 'there is no user "fengni"' };
};

const lookUp = (name: string): User | null => {
  let line: string;
  try {
    line = execFileSync('getent', ['passwd', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    try {
      line =
        fs
          .readFileSync('/etc/passwd', 'utf8')
          .split('\n')
          .find((entry) => entry.startsWith(`${name}:`)) ?? '';
    } catch {
      return null;
    }
  }
  const [user, , uid, gid] = line.trim().split(':');
  return user === undefined || uid === undefined || uid === ''
    ? null
    : { name: user, uid: Number(uid), gid: Number(gid) };
};

/** Whether a user can read the program and write the data folder, by the modes of all folders above them. */
const unreachable = (user: User, dataFolder: string): string | null => {
  for (const folder of parents(programFolder)) {
    if (!mayPass(user, folder, 1))
      return `user "${user.name}" cannot reach the program: ${folder} is closed to it`;
  }
  for (const folder of parents(path.dirname(dataFolder))) {
    if (fs.existsSync(folder) && !mayPass(user, folder, 1)) {
      return `user "${user.name}" cannot reach the data folder: ${folder} is closed to it`;
    }
  }
  return null;
};

const parents = (folder: string): string[] => {
  const all: string[] = [];
  for (let at = folder; ; at = path.dirname(at)) {
    all.unshift(at);
    if (at === path.dirname(at)) return all;
  }
};

const mayPass = (user: User, folder: string, bit: number): boolean => {
  const { uid, gid, mode } = fs.statSync(folder);
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bit) === bit;
};

/** Whether any listener can be reached from another machine. */
const isExposed = (config: Config): boolean =>
  config.listeners.some(({ addresses }) =>
    addresses.some((address) => isIP(address) !== 0 && !/^(127\.|::1$)/.test(address)),
  );
