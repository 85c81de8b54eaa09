import fs from 'node:fs';
import { FengniError } from '#base/errors';
import { KiB } from '#base/limits';
import { say } from '#base/text';

/** Whether so little room is left that no new mail should be begun; what has been begun, index and ledger may use the rest. */
export const isNearlyFull = ({
  freeBytes,
  sizeBytes,
  freeBytesMin,
}: {
  freeBytes: number;
  sizeBytes: number;
  freeBytesMin: number;
}): boolean => freeBytes < Math.max(freeBytesMin, sizeBytes * reserveShare);

const reserveShare = 0.05;
const lookMs = 1_000;

/** less than a group of the log and the pages of an index need */
const fullBytesMax = 512 * KiB;
/** what a process says that could not write something; what is wrong with the data stays what it is */
const maybeFull: ReadonlySet<string> = new Set([
  'io-error',
  'ledger-unusable',
  'log-failed',
  'projection-unusable',
  'role-failed',
  'sealer-unusable',
  'secrets-unreadable',
]);

/** A fault that comes from a disk without room, as that: SQLite has more than one name for it. */
export const asDiskFull = (fault: FengniError, folder: string): FengniError => {
  if (!maybeFull.has(fault.code)) return fault;
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    if (bavail * bsize > fullBytesMax) return fault;
  } catch {
    return fault;
  }
  const subject = `${folder} (${fault.subject})`;
  return new FengniError('disk-full', { subject, remedy: say('en', 'remedy.disk-full'), cause: fault });
};

export interface DiskWatch {
  isFull(): boolean;
  /** as last seen */
  room(): { freeBytes: number; sizeBytes: number };
  stop(): void;
}

/** Looks at the disk of a folder once a second, and says when it has become nearly full, or is no longer. */
export const watchDisk = (
  folder: string,
  freeBytesMin: number,
  changed: (isFull: boolean, freeBytes: number) => void,
): DiskWatch => {
  let isFull = false;
  let isLooking = false;
  let room = { freeBytes: 0, sizeBytes: 0 };
  const see = ({ bavail, blocks, bsize }: fs.StatsFs): void => {
    const freeBytes = bavail * bsize;
    room = { freeBytes, sizeBytes: blocks * bsize };
    const now = isNearlyFull({ freeBytes, sizeBytes: blocks * bsize, freeBytesMin });
    if (now === isFull) return;
    isFull = now;
    changed(isFull, freeBytes);
  };
  see(fs.statfsSync(folder));
  const timer = setInterval(() => {
    // A disk that hangs must not hang this process too.
    if (isLooking) return;
    isLooking = true;
    fs.statfs(folder, (error, stats) => {
      isLooking = false;
      // A disk that cannot be asked is the writer's to complain about.
      if (error === null) see(stats);
    });
  }, lookMs);
  return { isFull: () => isFull, room: () => room, stop: () => clearInterval(timer) };
};
