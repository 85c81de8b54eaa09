import fs from 'node:fs';
import path from 'node:path';
import { resolvConfPath } from '#net/dns';
import type { RoleName } from './messages.ts';

/** the checkout */
export const programFolder = path.resolve(import.meta.dirname, '../../..');

interface Grants {
  /** absolute paths */
  read: readonly string[];
  write: readonly string[];
}

/**
 * What a role may reach besides the program itself; everything else is refused by Node. Null for the two that must sync: Node 26 has no
 * fsync under its permission model, and a log without fsync is none. They parse nothing that a stranger sent.
 */
const grants = (role: RoleName, data: string): Grants | null => {
  const paths = (...names: string[]): string[] => names.map((name) => path.join(data, name));
  const databases = (...names: string[]): string[] =>
    paths(...names.flatMap((name) => [name, `${name}-wal`, `${name}-shm`]));
  switch (role) {
    case 'writer':
    case 'sealer':
      return null;
    case 'auth':
      return { read: [], write: databases('secrets.db') };
    case 'access':
      return {
        read: [...paths('segments', 'keys', 'large'), ...databases('index.db', 'state.db')],
        write: paths('spool', 'poison/append'),
      };
    case 'web':
      return { read: paths('ledger'), write: [] };
    case 'mx':
      return { read: [resolvConfPath], write: paths('spool', 'poison') };
    case 'pickup':
      return { read: [], write: paths('pickup', 'spool') };
    case 'parser':
      return { read: [], write: [] };
  }
};

/** node:sqlite does not ask the permission model: a role without a database cannot load it. */
const withDatabase: ReadonlySet<RoleName> = new Set(['writer', 'auth', 'access']);

/**
 * Node's arguments for a role.
 *
 * A wall against mistakes and path tricks, not against an attacker who runs native code (ARCHITECTURE.md, “Walls”).
 */
export const roleArguments = (
  role: RoleName,
  folders: { data: string; compileCache: string | null },
): string[] => {
  const always = [
    // The path of a role's file is a real one, and so are those of what it imports: asking the disk for each again is a tenth of a start.
    '--preserve-symlinks',
    '--preserve-symlinks-main',
    '--disable-warning=ExperimentalWarning',
    '--disallow-code-generation-from-strings',
    '--disable-proto=delete',
    ...(withDatabase.has(role) ? [] : ['--no-experimental-sqlite']),
    // Large bodies pass through in pieces of 64 KiB outside the heap. Those that outlive two collections wait for one of the whole heap, which
    // comes in time only if they count as a part of it; a small new space would make more of them so old (bench/README.md, “large”).
    ...(role === 'mx' ? ['--max-semi-space-size=8', '--external-memory-accounted-in-global-limit'] : []),
  ];
  const granted = grants(role, folders.data);
  if (granted === null) return always;
  const code = ['src', 'package.json', 'node_modules'].map((name) => path.join(programFolder, name));
  const cache = folders.compileCache === null ? [] : [folders.compileCache];
  const { read, write } = granted;
  return [
    ...always,
    '--permission',
    '--allow-net',
    // A socket whose path is long is reached through a descriptor of its folder.
    ...[...code, path.join(folders.data, 'run'), ...read, ...write, ...cache].flatMap((name) =>
      allow('--allow-fs-read', name),
    ),
    ...[...write, ...cache].flatMap((name) => allow('--allow-fs-write', name)),
  ];
};

/** A folder that does not exist yet is granted with what will be in it. */
const allow = (flag: string, name: string): string[] => {
  const isFolder = fs.existsSync(name) && fs.statSync(name).isDirectory();
  return isFolder ? [`${flag}=${name}`, `${flag}=${name}/*`] : [`${flag}=${name}`];
};
