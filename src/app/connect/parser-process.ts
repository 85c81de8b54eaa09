import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Config } from '#app/config';
import { parseByCalls, programFolder, roleArguments, type StartMessage } from '#app/roles';
import { FengniError } from '#base/errors';
import { connectIpc, type IpcClient } from '#net/ipc';
import type { ParseElsewhere } from '#services/writer';

const connectMsMax = 15_000;

/**
 * The `parser` role for a command: started when the first message comes, ended by `close`. The caller holds the folder's lock, so that
 * `run/parser` is nobody else's.
 */
export const startParser = (dataFolder: string, config: Config): { parse: ParseElsewhere; close(): void } => {
  let started: Promise<{ child: ChildProcess; client: IpcClient }> | null = null;

  const start = async (): Promise<{ child: ChildProcess; client: IpcClient }> => {
    const { bindPath } = await import('#app/serve');
    const socket = path.join(dataFolder, 'run', 'parser');
    const bound = bindPath(socket);
    const child = spawn(
      process.execPath,
      [
        ...roleArguments('parser', { data: dataFolder, compileCache: null }),
        path.join(programFolder, 'src/app/roles/role-main.ts'),
      ],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc', bound.descriptor],
        env: { PATH: process.env['PATH'] },
        cwd: '/',
      },
    );
    const message: StartMessage = {
      kind: 'start',
      role: 'parser',
      dataFolder,
      sealerFolder: path.join(dataFolder, 'sealer'),
      sealerSocket: '',
      config,
      sockets: [],
      internal: { parser: 4 },
      tls: null,
      isDiskNearlyFull: false,
      afterDeath: false,
      logForm: 'text',
    };
    child.send(message);
    try {
      const client = await reach(socket, child);
      return { child, client };
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      bound.close();
    }
  };

  return {
    parse: parseByCalls(async (method, params, attachments) => {
      started ??= start();
      return (await started).client.call(method, params, attachments);
    }),
    close: () => {
      // It ends by itself when its caller is gone; its channel must not keep this process.
      void started
        ?.then(({ child, client }) => {
          client.close();
          child.disconnect();
          child.unref();
        })
        .catch(() => {});
    },
  };
};

const reach = async (socket: string, child: ChildProcess): Promise<IpcClient> => {
  for (const started = performance.now(); ; ) {
    try {
      return await connectIpc(socket);
    } catch (error) {
      if (child.exitCode !== null || performance.now() - started > connectMsMax) {
        throw new FengniError('parser-not-started', {
          subject: `exit status ${child.exitCode ?? '-'}`,
          remedy: 'see the lines above; nothing was changed',
          cause: error,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
};
