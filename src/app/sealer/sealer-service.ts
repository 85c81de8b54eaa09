import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { listenOnPath } from '#net/ipc';
import { openSealerOver, serveSealer } from './serve-sealer.ts';

/** the sealer's user and its group, in which the writer's user is */
const socketMode = 0o660;

/**
 * The sealer outside the supervisor: its own state folder and lock, a socket that owner and group may connect to.
 *
 * One whose memory is lost, damaged or copied answers too: it refuses by that name.
 *
 * @throws {FengniError} `sealer-folder-unusable`, `sealer-in-use`
 */
export const startSealerService = async (options: {
  stateFolder: string;
  socket: string;
  dataFolder: string;
  logger: Logger;
}): Promise<{ stop(): Promise<void> }> => {
  const { stateFolder, socket, dataFolder, logger } = options;
  process.umask(0o077);
  try {
    fs.mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
    fs.chmodSync(stateFolder, 0o700);
  } catch (cause) {
    throw unusable(stateFolder, cause);
  }
  // Only here: the sealer as a role has no SQLite, which the lock is made of.
  const { takeLock } = await import('#store/lock');
  const lock = takeLock(path.join(stateFolder, 'lock'));
  if (lock.kind === 'held') {
    throw new FengniError('sealer-in-use', {
      subject: `${stateFolder} (pid ${lock.pid ?? '?'})`,
      remedy: 'stop that one first, or name another folder: --state DIR',
    });
  }
  try {
    const sealer = openSealerOver(stateFolder, dataFolder);
    // One that cannot sign says why to whoever asks, and here at once.
    const first = await sealer.head();
    if (first.kind === 'refused' && first.reason !== 'no-generation')
      logger.error('sealer signs nothing', { reason: first.reason, detail: first.detail });
    const server = net.createServer();
    const ipc = serveSealer(server, sealer, logger);
    try {
      // Ours is the lock, so that a socket that is there is one that nobody answers on.
      fs.rmSync(socket, { force: true });
      await listenOnPath(server, socket);
      fs.chmodSync(socket, socketMode);
    } catch (cause) {
      throw unusable(socket, cause);
    }
    return {
      stop: async () => {
        await ipc.close(2_000);
        fs.rmSync(socket, { force: true });
        lock.lock.release();
      },
    };
  } catch (error) {
    lock.lock.release();
    throw error;
  }
};

const unusable = (name: string, cause: unknown): FengniError =>
  new FengniError('sealer-folder-unusable', {
    subject: `${name} (${(cause as NodeJS.ErrnoException).code ?? String(cause)})`,
    remedy: 'name a folder and a socket that its user may make: --state DIR --socket S',
    cause,
  });
