import type { Server } from 'node:net';
import type { Logger } from '#base/logger';
import { type IpcServer, serveIpc } from '#net/ipc';
import type { Sealer, SealerOutcome } from '#services/sealer';
import { base64, parseBase64 } from '#trust/seal';

/** Answers for a sealer on every connection of a server. Requests are checked: a wrong one is refused and changes nothing. */
export const serveSealer = (server: Server, sealer: Sealer, logger: Logger): IpcServer =>
  serveIpc(server, {
    methods: {
      head: async () => ({ result: plain(await sealer.head()) }),
      create: async (request: unknown) => {
        const { generation, origin } = generationOf(request);
        return { result: plain(await sealer.create({ generation, origin })) };
      },
      advance: async (request: unknown) => {
        const { generation, origin } = generationOf(request);
        const { size, root: written } = request as { size?: unknown; root?: unknown };
        const root = typeof written === 'string' ? parseBase64(written) : null;
        if (!isCount(size) || root?.length !== hashBytes) throw new TypeError('no request of a head');
        const outcome = await sealer.advance({ generation, origin, size, root });
        if (outcome.kind === 'refused') logger.warn('head not signed', { reason: outcome.reason, size });
        return { result: plain(outcome) };
      },
    },
    onMistake: (error, method) => logger.error('sealer call failed', { method, error: String(error) }),
  });

const hashBytes = 32;
const originLengthMax = 400;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const generationOf = (request: unknown): { generation: number; origin: string } => {
  const { generation, origin } = (request ?? {}) as { generation?: unknown; origin?: unknown };
  if (!isCount(generation) || typeof origin !== 'string' || origin.length > originLengthMax)
    throw new TypeError('no request about a generation');
  return { generation, origin };
};

/** Octets as base64: the call's answer is JSON. */
const plain = (outcome: SealerOutcome): unknown =>
  outcome.kind === 'refused'
    ? outcome
    : {
        kind: 'signed',
        head: { ...outcome.head, root: base64(outcome.head.root), note: base64(outcome.head.note) },
      };
