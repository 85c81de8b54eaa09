import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';
import { type LockOutcome, takeLock } from '#store/lock';

/** a command that opens a folder holds its lock for a moment only */
const commandWaitMs = 300;
/** a server before this one that was killed leaves roles that end within a second */
export const lingeringMs = 3_000;
const lookMs = 20;

const serveLock = (dataFolder: string): string => path.join(dataFolder, 'run', 'serve.lock');
const dataLock = (dataFolder: string): string => path.join(dataFolder, 'lock');

/**
 * Waits until nobody has the folder, without taking it: before ports are opened, so that a second server names the first one and not a
 * port of it.
 *
 * @throws {FengniError} `data-folder-in-use`
 */
export const waitForFolder = async (dataFolder: string, signal: AbortSignal): Promise<void> => {
  for (const [file, waitMs] of [
    [serveLock(dataFolder), commandWaitMs],
    [dataLock(dataFolder), lingeringMs],
  ] as const) {
    await until(dataFolder, waitMs, signal, () => {
      // What is wrong with a folder that cannot be looked at is told where it is made ready.
      if (!isWritable(file)) return { kind: 'free' };
      const outcome = takeLock(file);
      if (outcome.kind === 'held') return outcome;
      outcome.lock.release();
      return { kind: 'free' };
    });
  }
};

/**
 * The supervisor's own lock; the data folder's is the writer's, which may outlive a killed supervisor for a moment.
 *
 * @throws {FengniError} `data-folder-in-use`
 */
export const takeServeLock = async (
  dataFolder: string,
  signal: AbortSignal,
): Promise<{ release(): void }> => {
  let own: { release(): void } | null = null;
  try {
    await until(dataFolder, commandWaitMs, signal, () => {
      const outcome = takeLock(serveLock(dataFolder));
      if (outcome.kind === 'taken') own = outcome.lock;
      return outcome.kind === 'held' ? outcome : { kind: 'free' };
    });
    await until(dataFolder, lingeringMs, signal, () => {
      const outcome = takeLock(dataLock(dataFolder));
      if (outcome.kind === 'taken') outcome.lock.release();
      return outcome.kind === 'held' ? outcome : { kind: 'free' };
    });
  } catch (error) {
    (own as { release(): void } | null)?.release();
    throw error;
  }
  return own as unknown as { release(): void };
};

const until = async (
  dataFolder: string,
  waitMs: number,
  signal: AbortSignal,
  look: () => Extract<LockOutcome, { kind: 'held' }> | { kind: 'free' },
): Promise<void> => {
  for (let waited = 0; ; waited += lookMs) {
    const outcome = look();
    if (outcome.kind === 'free') return;
    if (waited >= waitMs || signal.aborted) throw inUse(dataFolder, outcome.pid);
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
};

const isWritable = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.R_OK | fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

const inUse = (dataFolder: string, pid: number | null): FengniError =>
  new FengniError('data-folder-in-use', {
    subject: `${dataFolder} (pid ${pid ?? '?'})`,
    remedy: `stop that server first${pid === null ? '' : ` (kill ${pid})`}, or use another folder: --data DIR`,
  });
