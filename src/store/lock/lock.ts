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
 * @throws {FengniError} `lock-unusable` where the folder cannot be written
 */
export const takeLock = (file: string): LockOutcome => {
  let db: DatabaseSync | null = null;
  try {
    if (!fs.existsSync(file)) fs.closeSync(fs.openSync(file, 'a', 0o600));
    db = new DatabaseSync(file, { timeout: 0 });
    db.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
    const held = db;
    return { kind: 'taken', lock: { release: () => held.close() } };
  } catch (cause) {
    db?.close();
    if (/locked|busy/i.test(cause instanceof Error ? cause.message : ''))
      return { kind: 'held', pid: lockHolder(file) };
    throw new FengniError('lock-unusable', {
      subject: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'run the command as the owner of the data folder, on a local file system that has locks',
      cause,
    });
  }
};

/** The process that holds a lock on a file, or null when none does or the system does not tell. @source proc(5) `/proc/locks` */
export const lockHolder = (file: string): number | null => {
  // A reading that meets changes by others may miss a line.
  for (let reading = 0; reading < readingsMax; reading++) {
    const pid = readHolder(file);
    if (pid !== null) return pid;
  }
  return null;
};

const readingsMax = 5;

const readHolder = (file: string): number | null => {
  try {
    const inode = fs.statSync(file).ino;
    for (const line of fs.readFileSync('/proc/locks', 'utf8').split('\n')) {
      // 1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 1073741824 1073741824
      const match = /^\d+: POSIX\s+ADVISORY\s+WRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/.exec(line);
      if (match !== null && Number(match[2]) === inode) return Number(match[1]);
    }
  } catch {
    // Without /proc nobody can tell.
  }
  return null;
};
