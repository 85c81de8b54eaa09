import net from 'node:net';
import path from 'node:path';
import { serveIpc } from '#net/ipc';
import { Sealer, type SealerOutcome } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { base64, parseBase64 } from '#trust/seal';
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
  const ipc = serveIpc(server, {
    methods: {
      head: async () => ({ result: plain(await sealer.head()) }),
      create: async (request: { generation: number; origin: string }) => ({
        result: plain(await sealer.create(request)),
      }),
      advance: async (request: { generation: number; origin: string; size: number; root: string }) => {
        const root = parseBase64(request.root);
        if (root === null) throw new TypeError('root is not base64');
        const outcome = await sealer.advance({ ...request, root });
        if (outcome.kind === 'refused')
          logger.warn('head not signed', { reason: outcome.reason, size: request.size });
        return { result: plain(outcome) };
      },
    },
    onMistake: (error, method) => logger.error('sealer call failed', { method, error: String(error) }),
  });
  await listenOn(server, start.internal.sealer ?? -1);
  return { stop: () => ipc.close(2_000) };
};

/** Octets as base64: the call's answer is JSON. */
const plain = (outcome: SealerOutcome): unknown =>
  outcome.kind === 'refused'
    ? outcome
    : {
        kind: 'signed',
        head: { ...outcome.head, root: base64(outcome.head.root), note: base64(outcome.head.note) },
      };
