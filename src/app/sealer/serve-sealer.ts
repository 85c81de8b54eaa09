import type { Server, Socket } from 'node:net';
import path from 'node:path';
import type { Logger } from '#base/logger';
import { type IpcServer, serveIpc } from '#net/ipc';
import { openSealerAgain, type PrepareOutcome, type SealerCalls, type SealerOutcome } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { base64, parseBase64 } from '#trust/seal';
import { hostileFolderIo } from './hostile-folder-io.ts';

/** a request has two hundred octets, an answer a thousand */
const messageBytesMax = 16_384;
/** answers that wait for a peer that does not read; beyond it the peer is closed */
const queuedBytesMax = 262_144;
/** of one peer; the sealer does one thing after the other anyway */
const callsInFlightMax = 8;
/** beyond it the one that was silent for longest is closed, so that nobody can keep the next one out */
export const connectionsMax = 32;

/** The sealer of a state folder over the ledger of a data folder, where the writer writes whatever it likes. */
export const openSealerOver = (stateFolder: string, dataFolder: string): SealerCalls =>
  openSealerAgain({
    io: nodeIo,
    ledgerIo: hostileFolderIo,
    folder: stateFolder,
    ledgerFolder: (generation) => path.join(dataFolder, 'ledger', `g${generation}`),
  });

/**
 * Answers for a sealer on every connection of a server. Requests are checked: a wrong one is refused and changes nothing. Whoever may
 * connect can make it slow, but neither keep others out nor make it grow.
 */
export const serveSealer = (server: Server, sealer: SealerCalls, logger: Logger): IpcServer => {
  keepFewConnections(server);
  return serveIpc(server, {
    methods: {
      head: async () => ({ result: plain(await sealer.head()) }),
      create: async (request: unknown) => ({ result: plain(await sealer.create(generationOf(request))) }),
      advance: async (request: unknown) => {
        const { generation, origin } = generationOf(request);
        const { size, root: written } = request as { size?: unknown; root?: unknown };
        const root = typeof written === 'string' ? parseBase64(written) : null;
        if (!isCount(size) || root?.length !== hashBytes) throw new TypeError('no request of a head');
        const outcome = await sealer.advance({ generation, origin, size, root });
        if (outcome.kind === 'refused') logger.warn('head not signed', { reason: outcome.reason, size });
        return { result: plain(outcome) };
      },
      prepare: async (request: unknown) => {
        const outcome = await sealer.prepare(nextOf(request));
        if (outcome.kind === 'refused') logger.warn('no next key made', { reason: outcome.reason });
        return { result: plainPrepared(outcome) };
      },
      handover: async (request: unknown) => {
        const next = nextOf(request);
        const outcome = await sealer.handover(next);
        if (outcome.kind === 'refused') logger.warn('no generation begun', { reason: outcome.reason });
        else logger.info('generation begun', { generation: next.generation, acceptLoss: next.acceptLoss });
        return { result: plain(outcome) };
      },
    },
    onMistake: (error, method) => logger.error('sealer call failed', { method, error: String(error) }),
    messageBytesMax,
    queuedBytesMax,
    callsInFlightMax,
  });
};

const keepFewConnections = (server: Server): void => {
  /** the one that was heard last stands last */
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('data', () => {
      if (sockets.delete(socket)) sockets.add(socket);
    });
    socket.on('close', () => sockets.delete(socket));
    if (sockets.size <= connectionsMax) return;
    const [silent] = sockets;
    if (silent === undefined) return;
    sockets.delete(silent);
    silent.destroy();
  });
};

const hashBytes = 32;
const originLengthMax = 400;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const generationOf = (request: unknown): { generation: number; origin: string } => {
  const { generation, origin } = (request ?? {}) as { generation?: unknown; origin?: unknown };
  if (!isCount(generation) || typeof origin !== 'string' || origin.length > originLengthMax)
    throw new TypeError('no request about a generation');
  return { generation, origin };
};

const nextOf = (request: unknown): { generation: number; origin: string; acceptLoss: boolean } => {
  const { acceptLoss } = (request ?? {}) as { acceptLoss?: unknown };
  if (typeof acceptLoss !== 'boolean') throw new TypeError('no request about a next generation');
  return { ...generationOf(request), acceptLoss };
};

/** Octets as base64: the call's answer is JSON. */
const plain = (outcome: SealerOutcome): unknown =>
  outcome.kind === 'refused'
    ? outcome
    : {
        kind: 'signed',
        head: { ...outcome.head, root: base64(outcome.head.root), note: base64(outcome.head.note) },
      };

const plainPrepared = (outcome: PrepareOutcome): unknown =>
  outcome.kind === 'refused' || outcome.previous === null
    ? outcome
    : { ...outcome, previous: { ...outcome.previous, root: base64(outcome.previous.root) } };
