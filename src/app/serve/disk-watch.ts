import fs from 'node:fs';
import { MiB } from '#base/limits';

/** Whether so little room is left that no new mail should be begun; what has been begun, index and ledger may use the rest. */
export const isNearlyFull = ({ freeBytes, sizeBytes }: { freeBytes: number; sizeBytes: number }): boolean =>
  freeBytes < Math.min(reserveBytesMax, sizeBytes * reserveShare);

const reserveBytesMax = 256 * MiB;
const reserveShare = 0.05;
const lookMs = 1_000;

/** Looks at the disk of a folder once a second, and says when it has become nearly full, or is no longer. */
export const watchDisk = (
  folder: string,
  changed: (isFull: boolean, freeBytes: number) => void,
): { isFull(): boolean; stop(): void } => {
  let isFull = false;
  let isLooking = false;
  const see = ({ bavail, blocks, bsize }: fs.StatsFs): void => {
    const freeBytes = bavail * bsize;
    const now = isNearlyFull({ freeBytes, sizeBytes: blocks * bsize });
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
  return { isFull: () => isFull, stop: () => clearInterval(timer) };
};
