import fs from 'node:fs';
import path from 'node:path';
import type { RoleName } from './messages.ts';

/** the checkout */
export const programFolder = path.resolve(import.meta.dirname, '../../..');

interface Grants {
  /** below the data folder, or absolute */
  read: readonly string[];
  write: readonly string[];
  /** node:sqlite does not ask the permission model: roles without a database cannot load it */
  sqlite: boolean;
}

/** What each role may reach besides the program itself. Everything else is refused by Node. */
const grants = (role: RoleName, folders: { data: string; sealer: string }): Grants => {
  const data = (...names: string[]): string[] => names.map((name) => path.join(folders.data, name));
  const databases = (...names: string[]): string[] =>
    data(...names.flatMap((name) => [name, `${name}-wal`, `${name}-shm`]));
  switch (role) {
    case 'sealer':
      return { read: data('ledger'), write: [folders.sealer], sqlite: false };
    case 'auth':
      return { read: [], write: databases('secrets.db'), sqlite: true };
    case 'writer':
      return {
        read: data('FORMAT'),
        write: [
          ...data('segments', 'keys', 'large', 'ledger', 'anchors', 'spool', 'poison', 'lock'),
          ...databases('index.db', 'state.db', 'search.db', 'scratch.db', 'lock'),
        ],
        sqlite: true,
      };
    case 'access':
      return {
        read: [...data('FORMAT', 'segments', 'keys', 'large'), ...databases('index.db', 'state.db')],
        write: [],
        sqlite: true,
      };
    case 'web':
      return { read: data('ledger'), write: [], sqlite: false };
    case 'mx':
    case 'parser':
      return { read: [], write: [], sqlite: false };
  }
};

/**
 * Node's arguments for a role: the permission model, and what it may read and write.
 *
 * A wall against mistakes and path tricks, not against an attacker who runs native code (ARCHITECTURE.md, “Walls”).
 */
export const roleArguments = (
  role: RoleName,
  folders: { data: string; sealer: string; compileCache: string | null },
): string[] => {
  const { read, write, sqlite } = grants(role, folders);
  const code = ['src', 'package.json', 'node_modules'].map((name) => path.join(programFolder, name));
  const cache = folders.compileCache === null ? [] : [folders.compileCache];
  return [
    '--permission',
    '--allow-net',
    '--disable-warning=ExperimentalWarning',
    ...(sqlite ? [] : ['--no-experimental-sqlite']),
    ...[...code, ...read, ...write, ...cache].flatMap((name) => allow('--allow-fs-read', name)),
    ...[...write, ...cache].flatMap((name) => allow('--allow-fs-write', name)),
  ];
};

/** A folder that does not exist yet is granted with what will be in it. */
const allow = (flag: string, name: string): string[] => {
  const isFolder = fs.existsSync(name) && fs.statSync(name).isDirectory();
  return isFolder ? [`${flag}=${name}`, `${flag}=${name}/*`] : [`${flag}=${name}`];
};
