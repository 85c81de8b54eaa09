import path from 'node:path';
import type { Config } from '#app/config';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { connectIpc, type IpcClient } from '#net/ipc';
import { createMailstoreClient } from '#net/mailstore';
import type { MailstoreWriter } from '#services/mailstore';
import { type FolderLock, takeLock } from '#store/lock';
import { openLocalWriter } from './local-writer.ts';
import { requireOwnedFolder } from './owned-folder.ts';

/** The writer as a command reaches it. */
export interface Connected {
  /** `server`: through its socket; `local`: in this process, under the folder's lock */
  kind: 'server' | 'local';
  /** a control method. @throws {FengniError} what it threw */
  call<Result>(method: string, params?: unknown): Promise<Result>;
  mailstore: Pick<MailstoreWriter, 'resolve' | 'deliver' | 'status'>;
  /** Everything asked for is durable, and under a signed head where the sealer signs. Call once. */
  close(): Promise<void>;
}

export interface ConnectOptions {
  dataFolder: string;
  config: Config;
  logger: Logger;
}

/** a writer that is starting again, or another command that holds the folder */
const waitMs = 15_000;
const retryMs = 50;

/**
 * Reaches the writer of a data folder: the running server's, or one in this process where no server runs.
 *
 * @throws {FengniError} as `requireOwnedFolder`; `data-folder-in-use`; the log's refusal
 */
export const connect = async (options: ConnectOptions): Promise<Connected> => {
  const { dataFolder } = options;
  await requireOwnedFolder(dataFolder);
  const until = systemClock.monotonicMs() + waitMs;
  for (;;) {
    const client = await connectOrNull(dataFolder);
    if (client !== null) return remote(client, dataFolder);
    const lock = takeFolder(dataFolder);
    if (lock.kind === 'taken') return local(options, lock.lock);
    if (systemClock.monotonicMs() > until) throw inUse(dataFolder, lock.pid);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
};

/** A connection to the running server's control socket, or null where nobody listens. */
export const connectOrNull = async (dataFolder: string): Promise<IpcClient | null> => {
  try {
    return await connectIpc(path.join(dataFolder, 'run', 'control'));
  } catch (error) {
    if (error instanceof FengniError && error.code === 'ipc-unreachable') return null;
    throw error;
  }
};

/**
 * Takes the data folder where no server has it. The supervisor's lock is held for the moment of taking: a server that starts just now has
 * it, and one that starts a moment later waits for ours to be given back.
 */
const takeFolder = (
  dataFolder: string,
): { kind: 'taken'; lock: FolderLock } | { kind: 'held'; pid: number | null } => {
  const serve = takeLock(path.join(dataFolder, 'run', 'serve.lock'));
  if (serve.kind === 'held') return serve;
  try {
    return takeLock(path.join(dataFolder, 'lock'));
  } finally {
    serve.lock.release();
  }
};

const remote = (client: IpcClient, dataFolder: string): Connected => {
  const mailstore = createMailstoreClient({
    path: path.join(dataFolder, 'run', 'control'),
    waitMs,
    watches: false,
  });
  return {
    kind: 'server',
    call: async <Result>(method: string, params: unknown = null) =>
      (await client.call<Result>(method, params)).result,
    mailstore,
    close: async () => {
      mailstore.close();
      client.close();
    },
  };
};

const local = async (options: ConnectOptions, lock: FolderLock): Promise<Connected> => {
  try {
    const writer = await openLocalWriter(options);
    return {
      kind: 'local',
      call: writer.call,
      mailstore: writer.mailstore,
      close: async () => {
        await writer.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
};

/**
 * The lock of a data folder, for work that nobody may disturb.
 *
 * @throws {FengniError} `data-folder-in-use` while a server or another command has it
 */
export const requireFolderLock = async (dataFolder: string): Promise<FolderLock> => {
  await requireOwnedFolder(dataFolder);
  const lock = takeFolder(dataFolder);
  if (lock.kind === 'held') throw inUse(dataFolder, lock.pid);
  return lock.lock;
};

const inUse = (dataFolder: string, pid: number | null): FengniError =>
  new FengniError('data-folder-in-use', {
    subject: `${dataFolder} is held by ${pid === null ? 'another process' : `process ${pid}`}`,
    remedy: `stop that server first${pid === null ? '' : ` (kill ${pid})`}, or use another folder: --data DIR`,
  });
