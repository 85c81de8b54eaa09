import fs from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FengniError } from '#base/errors';

export interface FolderLock {
  release(): void;
}

export type LockOutcome = { kind: 'taken'; lock: FolderLock } | { kind: 'held'; pid: number | null };

/**
 * Takes the exclusive lock of a file, made if need be.
 *
 * The kernel's record lock, by way of SQLite since Node has no lock call of its own: it goes with the process, also by `kill -9`.
 *
 * @throws {FengniError} `lock-unusable` where the folder cannot be written, `disk-full`
 */
export const takeLock = (file: string): LockOutcome => {
  let db: DatabaseSync | null = null;
  try {
    if (!fs.existsSync(file)) fs.closeSync(fs.openSync(file, 'a', 0o600));
    db = new DatabaseSync(file, { timeout: 0 });
    db.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
    const held = db;
    keptAlive.add(held);
    const release = (): void => {
      keptAlive.delete(held);
      held.close();
    };
    return { kind: 'taken', lock: { release } };
  } catch (cause) {
    db?.close();
    if (/locked|busy/i.test(cause instanceof Error ? cause.message : ''))
      return { kind: 'held', pid: lockHolder(file) };
    const { errcode, code } = cause as { errcode?: number; code?: string };
    if (errcode === sqliteFull || code === 'ENOSPC') {
      throw new FengniError('disk-full', {
        subject: file,
        remedy: 'free space on the disk of the data folder, then start again',
        cause,
      });
    }
    throw new FengniError('lock-unusable', {
      subject: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'run the command as the owner of the data folder, on a local file system that has locks',
      cause,
    });
  }
};

/** A lock goes when it is released or with its process, never because a caller dropped it and the collector came by. */
const keptAlive = new Set<DatabaseSync>();

/** SQLITE_FULL. @source https://sqlite.org/rescode.html#full */
const sqliteFull = 13;

/** The process that holds a lock on a file, or null when none does or the system does not tell. @source proc(5) `/proc/locks` */
export const lockHolder = (file: string): number | null => {
  // A reading that meets changes by others may miss a line.
  for (let reading = 0; reading < readingsMax; reading++) {
    const pid = readHolder(file);
    if (pid !== null) return pid;
  }
  return null;
};

const readingsMax = 25;

const readHolder = (file: string): number | null => {
  try {
    const { ino: inode, dev } = fs.statSync(file);
    const device = `${hex2((dev >> 8) & 0xfff)}:${hex2((dev & 0xff) | ((dev >> 12) & 0xfff00))}`;
    let sameInode: number | null = null;
    for (const line of fs.readFileSync('/proc/locks', 'utf8').split('\n')) {
      // 1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 1073741824 1073741824
      const match = /^\d+: POSIX\s+ADVISORY\s+WRITE\s+(\d+)\s+([0-9a-f]+:[0-9a-f]+):(\d+)\s/.exec(line);
      if (match === null || Number(match[3]) !== inode) continue;
      if (match[2] === device) return Number(match[1]);
      sameInode ??= Number(match[1]);
    }
    // Some file systems (btrfs, overlayfs) tell another device there than here.
    return sameInode;
  } catch {
    // Without /proc nobody can tell.
  }
  return null;
};

const hex2 = (number: number): string => number.toString(16).padStart(2, '0');
