import net from 'node:net';
import path from 'node:path';
import { serveSealer } from '#app/sealer';
import { Sealer } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

/** Signs heads: reads the ledger's entries itself and believes nobody, the writer least of all. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const sealer = await Sealer.open({
    io: nodeIo,
    folder: start.sealerFolder,
    ledgerFolder: (generation) => path.join(start.dataFolder, 'ledger', `g${generation}`),
  });
  const server = net.createServer();
  const ipc = serveSealer(server, sealer, logger);
  await listenOn(server, start.internal.sealer ?? -1);
  return { stop: () => ipc.close(2_000) };
};
