import net from 'node:net';
import { openSealerOver, serveSealer } from '#app/sealer';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

/** Signs heads: reads the ledger's entries itself and believes nobody, the writer least of all. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const sealer = openSealerOver(start.sealerFolder, start.dataFolder);
  const server = net.createServer();
  const ipc = serveSealer(server, sealer, logger);
  await listenOn(server, start.internal.sealer ?? -1);
  return { stop: () => ipc.close(2_000) };
};
