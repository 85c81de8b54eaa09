import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';

/** What `DATA/FORMAT` says. */
export interface DataFormat {
  /** version of the formats in this folder */
  version: number;
  shard: number;
  /** the oldest program that may write here */
  oldestWriter: number;
}

/** of the formats that this program writes, and the newest that it can write */
export const formatVersion = 1;

const folders = ['segments', 'keys', 'large', 'ledger', 'anchors', 'sealer', 'spool', 'poison', 'tls', 'run'];

/**
 * Makes a data folder complete: its subfolders, `FORMAT`, modes 0700 and 0600. Safe to call again, and side by side.
 *
 * @throws {FengniError} `data-folder-unusable`, `data-folder-newer` (exit status 3)
 */
export const prepareDataFolder = (folder: string): { fresh: boolean } => {
  process.umask(0o077);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (fs.statSync(folder).uid !== process.geteuid?.()) {
      throw unusable(
        folder,
        `it belongs to user id ${fs.statSync(folder).uid}`,
        'start as its owner, or as root',
      );
    }
    fs.chmodSync(folder, 0o700);
    for (const name of folders) fs.mkdirSync(path.join(folder, name), { recursive: true, mode: 0o700 });
    const file = path.join(folder, 'FORMAT');
    if (fs.existsSync(file)) {
      checkFormat(file);
      return { fresh: false };
    }
    const temporary = `${file}.${process.pid}`;
    fs.writeFileSync(
      temporary,
      `fengni data\nversion ${formatVersion}\nshard 0\noldest-writer ${formatVersion}\n`,
      { mode: 0o600 },
    );
    syncFile(temporary);
    fs.renameSync(temporary, file);
    syncFile(folder);
    return { fresh: true };
  } catch (cause) {
    if (cause instanceof FengniError) throw cause;
    const error = cause as NodeJS.ErrnoException;
    const remedy =
      error.code === 'ENOSPC'
        ? 'make room on the disk and start again'
        : 'choose a folder that this user may write to: --data DIR';
    throw unusable(folder, error.message, remedy);
  }
};

/** @throws {FengniError} `data-folder-missing` where a command needs a folder that a server has used */
export const requireDataFolder = (folder: string): void => {
  if (fs.existsSync(path.join(folder, 'FORMAT'))) {
    checkFormat(path.join(folder, 'FORMAT'));
    return;
  }
  throw new FengniError('data-folder-missing', {
    subject: folder,
    remedy: 'start the server once ("fengni serve"), or name its folder with --data DIR',
  });
};

/** @throws {FengniError} `data-folder-newer`, `data-folder-unusable` */
export const checkFormat = (file: string): DataFormat => {
  const text = fs.readFileSync(file, 'utf8');
  const match = /^fengni data\nversion (\d{1,9})\nshard (\d{1,9})\noldest-writer (\d{1,9})\n/.exec(text);
  if (match === null)
    throw unusable(file, 'it is not a FORMAT file', 'put it back from a copy, or run "fengni verify"');
  const format = { version: Number(match[1]), shard: Number(match[2]), oldestWriter: Number(match[3]) };
  if (format.oldestWriter > formatVersion) {
    throw new FengniError('data-folder-newer', {
      subject: `${file}: it asks for programs of format ${format.oldestWriter} or newer; this one writes ${formatVersion}`,
      remedy: 'upgrade Fengni',
    });
  }
  return format;
};

const syncFile = (file: string): void => {
  const descriptor = fs.openSync(file, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
};

const unusable = (subject: string, why: string, remedy: string): FengniError =>
  new FengniError('data-folder-unusable', { subject: `${subject}: ${why}`, remedy });
