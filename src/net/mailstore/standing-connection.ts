import { FengniError } from '#base/errors';
import { connectIpc, type IpcAnswer, type IpcClient } from '#net/ipc';

/** A connection to another of our processes that is made again whenever it ends. */
export interface StandingConnection {
  /** @throws {FengniError} as `IpcClient.call`, and `ipc-unreachable` when there was no connection for `waitMs` */
  call<Result>(
    method: string,
    params?: unknown,
    attachments?: readonly Uint8Array[],
  ): Promise<IpcAnswer<Result>>;
  close(): void;
}

const retryMs = [5, 10, 20];

export const createStandingConnection = (options: {
  path: string;
  /** how long a call waits for a connection, in milliseconds */
  waitMs: number;
  /**
   * a method that has to answer before a connection is used. A socket that outlives its process takes connections while nobody serves
   * them: what is sent there waits for who comes next, however late.
   */
  asksFirst?: string;
  /** what follows each connection, before any call goes through it; `again` is false the first time */
  connected?(client: IpcClient, again: boolean): Promise<void>;
}): StandingConnection => {
  let current: Promise<IpcClient> | null = null;
  let connections = 0;
  let closed = false;

  const connect = async (): Promise<IpcClient> => {
    const started = performance.now();
    for (let attempt = 0; ; attempt++) {
      if (closed) throw unreachable(options.path);
      try {
        const client = await connectIpc(options.path);
        if (options.asksFirst !== undefined) await answered(client, options.asksFirst, options.waitMs / 3);
        client.onClose(() => {
          current = null;
          // Notices come only while there is a connection: who listens wants one, not just the next caller.
          if (!closed && options.connected !== undefined) setTimeout(() => void get().catch(() => {}), 20);
        });
        await options.connected?.(client, connections > 0);
        connections += 1;
        return client;
      } catch (error) {
        if (performance.now() - started > options.waitMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryMs[Math.min(attempt, retryMs.length - 1)]));
      }
    }
  };

  const get = (): Promise<IpcClient> => {
    if (current !== null) return current;
    const making = connect();
    current = making;
    making.catch(() => {
      if (current === making) current = null;
    });
    return making;
  };

  return {
    call: async (method, params, attachments) => {
      const client = await get();
      return client.call(method, params, attachments);
    },
    close: () => {
      closed = true;
      void current?.then((client) => client.close()).catch(() => {});
    },
  };
};

/** Closes a connection on which nobody answers within the time. */
const answered = async (client: IpcClient, method: string, ms: number): Promise<void> => {
  const timer = setTimeout(() => client.close(), ms);
  try {
    await client.call(method);
  } finally {
    clearTimeout(timer);
  }
};

const unreachable = (path: string): FengniError =>
  new FengniError('ipc-unreachable', {
    subject: path,
    remedy: 'start the server, or name its data folder with --data',
    retryable: true,
  });
