import path from 'node:path';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { createCounters, networksOf, withLimitLog } from '#net/connection';
import {
  createHttpServer,
  type HttpServer,
  healthRoutes,
  homeRoute,
  type MailService,
  sealRoutes,
} from '#net/http';
import type { Gathered } from '#net/metrics';
import { nodeIo } from '#store/durable';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';
import { createSharedGate } from './shared-gate.ts';
import { roleTls } from './tls.ts';

/** the supervisor waits a second for roles */
const gatherMs = 3_000;

/** HTTPS: health, the public part of the seal, the first page; `/metrics` on its port. It can read `ledger/` and nothing else. */
export const run = async ({ start, logger, tell }: RoleContext): Promise<RunningRole> => {
  const { config, dataFolder } = start;
  const tls = roleTls(start.tls);
  const ledger = (...names: string[]): string => path.join(dataFolder, 'ledger', ...names);
  const readLedger = async (...names: string[]): Promise<Uint8Array | null> => {
    try {
      return await nodeIo.readFile(ledger(...names));
    } catch (error) {
      if (error instanceof FengniError && error.code === 'file-not-found') return null;
      throw error;
    }
  };
  const routes = [
    ...healthRoutes({ ready: async () => (await readLedger('keys')) !== null }),
    ...sealRoutes({
      clock: systemClock,
      read: (generation, name) => readLedger(`g${generation}`, ...name.split('/')),
      keys: async () => {
        const text = await readLedger('keys');
        return text === null ? null : new TextDecoder().decode(text);
      },
    }),
    homeRoute({
      hostname: config.server.hostname,
      services: mailServices(config.listeners),
      localAuthority: config.tls.certificates.length === 0,
      generation: async () => {
        const names = await nodeIo.readFolder(ledger()).catch(() => []);
        const numbers = names.flatMap((name) => /^g(\d+)$/.exec(name)?.[1] ?? []).map(Number);
        return numbers.length === 0 ? null : Math.max(...numbers);
      },
    }),
  ];
  const gate = createSharedGate({ start, tell });
  const counters = withLimitLog(createCounters(), logger, systemClock);
  /** who waits for what the supervisor gathers */
  let wanted: { answer: Promise<Gathered | null>; take(gathered: Gathered | null): void } | null = null;
  const gather = (): Promise<Gathered | null> => {
    if (wanted !== null) return wanted.answer;
    const { promise, resolve } = Promise.withResolvers<Gathered | null>();
    const timer = setTimeout(() => take(null), gatherMs);
    const take = (gathered: Gathered | null): void => {
      clearTimeout(timer);
      wanted = null;
      resolve(gathered);
    };
    wanted = { answer: promise, take };
    tell({ kind: 'metrics-wanted' });
    return promise;
  };
  const servers: HttpServer[] = [];
  for (const socket of start.sockets) {
    const isClear = socket.tls === 'none';
    if (tls === null && !isClear)
      throw new Error('the supervisor hands certificates to a role with TLS ports');
    const server = createHttpServer({
      routes:
        socket.service === 'metrics' ? [(await import('#net/exposition')).metricsRoute(gather)] : routes,
      tls: isClear || tls === null ? null : tls.server,
      counters,
      logger,
      gate,
      proxies: networksOf(socket.proxyFrom),
    });
    await listenOn(server.server, socket.descriptor, socket);
    servers.push(server);
  }
  return {
    stop: async () => {
      gate.close();
      await Promise.all(servers.map((server) => server.close(3_000)));
    },
    tls: (material) => tls?.update(material),
    metrics: () => ({ counters: counters.snapshot() }),
    gathered: (gathered) => wanted?.take(gathered),
    sessions: (elsewhere) => gate.hear(elsewhere),
    opened: (elsewhere) => gate.hearOpened(elsewhere),
  };
};

/** What a person enters in a mail program. */
const mailServices = (listeners: RoleContext['start']['config']['listeners']): MailService[] =>
  listeners.flatMap((listener): MailService[] => {
    const security = listener.tls === 'implicit' ? 'TLS' : 'STARTTLS';
    const name = ({ imap: 'IMAP', imaps: 'IMAP', pop3: 'POP3', pop3s: 'POP3', smtp: 'SMTP' } as const)[
      listener.service as 'imap'
    ];
    return name === undefined || listener.tls === 'none' ? [] : [{ name, port: listener.port, security }];
  });
