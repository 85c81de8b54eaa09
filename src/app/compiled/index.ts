import fs from 'node:fs';
import path from 'node:path';

const programFolder = path.resolve(import.meta.dirname, '../../..');

/**
 * The folder in which a role keeps what Node compiled of it for this user, made if it is missing; null where there can be none. Each has its
 * own, so that what one could write there, no other process loads (`docs/decisions/0005`).
 *
 * Whatever lies there is run: a folder that somebody else owns or may write is not used.
 */
export const compiledCodeFolder = (name: string, program = programFolder): string | null => {
  const user = process.geteuid?.() ?? 0;
  const folder = path.join(program, 'node_modules/.cache/roles', `${user}-${name}`);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.accessSync(folder, fs.constants.W_OK);
    const { uid, mode } = fs.lstatSync(folder);
    return uid === user && (mode & 0o022) === 0 ? folder : null;
  } catch {
    return null;
  }
};
