import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Config } from '#app/config';
import { programFolder } from '#app/roles';
import { FengniError } from '#base/errors';
import { type FaultText, type Language, type SpokenFault, say } from '#base/text';
import { folderFault, ofAnother } from './folder-fault.ts';

/** Whom a server that was started as root becomes. */
export interface User {
  name: string;
  uid: number;
  gid: number;
}

/** A sentence in either language. */
type Sentence = (language: Language) => string;

export type RootChoice =
  | { kind: 'never-root' }
  | { kind: 'become'; user: User }
  /** it stays root, only ever on loopback: see `refuseExposedRoot` */
  | { kind: 'stay'; why: Sentence };

/** Root would face the outside. Exit status 3. */
class RootNotDropped extends FengniError implements SpokenFault {
  readonly #why: Sentence;

  constructor(why: Sentence) {
    super('root-not-dropped', { subject: why('en'), remedy: say('en', 'remedy.root-not-dropped') });
    this.#why = why;
  }

  spoken(language: Language): FaultText {
    return {
      sentence: say(language, 'error.root-not-dropped', { subject: this.#why(language) }),
      remedy: say(language, 'remedy.root-not-dropped'),
    };
  }
}

/**
 * Whom to become when started as root: `[server] user`, else the data folder's owner, else user `fengni`; and whether that user can reach
 * program and data. Dropping root is second best: production runs as `fengni` from the first instruction (DESIGN §7).
 *
 * @throws {FengniError} `user-unknown` (exit status 2), `data-folder-of-another` (3) where the data belong to neither root nor that user
 */
export const chooseUser = (config: Config, dataFolder: string): RootChoice => {
  if (process.geteuid?.() !== 0) return { kind: 'never-root' };
  const chosen = candidate(config, dataFolder);
  const why = typeof chosen === 'function' ? chosen : unreachable(chosen, dataFolder);
  if (why !== null) return { kind: 'stay', why };
  const user = chosen as User;
  const owner = statOrNull(dataFolder)?.uid ?? 0;
  if (owner !== 0 && owner !== user.uid) throw ofAnother(dataFolder, owner);
  return { kind: 'become', user };
};

/**
 * Root stays where nobody from another machine can speak to it, and nowhere else.
 *
 * @param addresses of the sockets that are open, whoever opened them
 * @throws {FengniError} `root-not-dropped` (exit status 3)
 */
export const refuseExposedRoot = (why: Sentence, addresses: readonly string[]): void => {
  const isOutside = (address: string): boolean =>
    isIP(address) !== 0 && !/^(?:127\.|::1$|::ffff:127\.)/.test(address);
  if (addresses.some(isOutside)) throw new RootNotDropped(why);
};

/**
 * Gives up root for good: this process and everything that it starts. What root made in the data folder becomes the user's.
 *
 * @throws {FengniError} as `prepareDataFolder`
 */
export const becomeUser = (user: User, dataFolder: string): void => {
  try {
    makeReachable(dataFolder);
    giveAway(user, dataFolder);
  } catch (error) {
    throw folderFault(dataFolder, error as NodeJS.ErrnoException);
  }
  process.setgroups?.([]);
  process.setgid?.(user.gid);
  process.setuid?.(user.uid);
};

/** Parents that are missing are open to pass: the user has to come through them. */
const makeReachable = (dataFolder: string): void => {
  for (const folder of parents(dataFolder)) {
    if (fs.existsSync(folder)) continue;
    fs.mkdirSync(folder);
    fs.chmodSync(folder, folder === dataFolder ? 0o700 : 0o755);
  }
};

/**
 * Only where the folder itself is root's, so that nobody else could put anything there. Links are changed, not what they lead to; a file
 * with a second name may be somebody's file elsewhere.
 */
const giveAway = (user: User, dataFolder: string): void => {
  const { uid: owner } = fs.statSync(dataFolder);
  // Fails on a file before anything of it is changed.
  fs.readdirSync(dataFolder);
  if (owner !== 0) return;
  fs.chmodSync(dataFolder, 0o700);
  for (const entry of fs.readdirSync(dataFolder, { recursive: true, withFileTypes: true })) {
    const name = path.join(entry.parentPath, entry.name);
    const { uid, nlink } = fs.lstatSync(name);
    if (uid === 0 && (nlink === 1 || entry.isDirectory())) fs.lchownSync(name, user.uid, user.gid);
  }
  // The folder last: a start that is killed in between does the rest the next time.
  fs.chownSync(dataFolder, user.uid, user.gid);
};

const candidate = (config: Config, dataFolder: string): User | Sentence => {
  const named = config.server.user;
  if (named !== null) {
    const user = lookUp(named);
    if (user === null) {
      throw new FengniError('user-unknown', {
        subject: `[server] user: ${JSON.stringify(named)}`,
        remedy: say('en', 'remedy.user-unknown'),
        exitStatus: 2,
      });
    }
    return user.uid === 0 ? (language) => say(language, 'serve.root.named') : user;
  }
  const owner = statOrNull(dataFolder);
  if (owner !== null && owner.uid !== 0) return { name: String(owner.uid), uid: owner.uid, gid: owner.gid };
  return lookUp('fengni') ?? ((language) => say(language, 'serve.root.no-user'));
};

const lookUp = (name: string): User | null => {
  let line: string;
  try {
    line = execFileSync('getent', ['passwd', '--', name], {
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

/** Whether a user can read the program and come to the data folder, by the modes of all folders above them. */
const unreachable = (user: User, dataFolder: string): Sentence | null => {
  const closedTo =
    (key: 'serve.root.program-closed' | 'serve.root.data-closed', folder: string): Sentence =>
    (language) =>
      say(language, key, { user: user.name, folder });
  for (const file of [path.join(programFolder, 'src/app/main.ts'), process.execPath]) {
    for (const folder of parents(path.dirname(file))) {
      if (!mayPass(user, folder, 1)) return closedTo('serve.root.program-closed', folder);
    }
    if (!mayPass(user, file, 4)) return closedTo('serve.root.program-closed', file);
  }
  for (const folder of parents(path.dirname(dataFolder))) {
    if (fs.existsSync(folder) && !mayPass(user, folder, 1)) return closedTo('serve.root.data-closed', folder);
  }
  return null;
};

/** A path and all above it, the root first. */
const parents = (folder: string): string[] => {
  const all: string[] = [];
  for (let at = folder; ; at = path.dirname(at)) {
    all.unshift(at);
    if (at === path.dirname(at)) return all;
  }
};

const mayPass = (user: User, file: string, bit: 1 | 4): boolean => {
  const { uid, gid, mode } = fs.statSync(file);
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bit) === bit;
};

const statOrNull = (file: string): fs.Stats | null => fs.statSync(file, { throwIfNoEntry: false }) ?? null;
