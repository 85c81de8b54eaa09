import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { MiB } from '#base/limits';
import { createCounters, createSessionGate, sessionGateDefaults } from '#net/connection';
import { createMailstoreClient } from '#net/mailstore';
import { createSmtpServer, smtpServerDefaults } from '#net/smtp-in';
import { createInbound } from '#services/inbound';
import { nodeIo } from '#store/durable';
import { emptySpool, openSpool } from '#store/large';
import { firstStatus } from './first-status.ts';
import { serveSockets } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';
import { roleTls } from './tls.ts';

/** unfinished messages of all sessions of this process */
const heldBytesMax = 512 * MiB;
/** how long a command waits for a writer that is starting again */
const writerWaitMs = 10_000;

/** Mail in: the process that talks to strangers. It opens neither index nor mail nor secrets; it writes ciphertext into `spool/`. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const { config } = start;
  const { hostname } = config.server;
  const writer = createMailstoreClient({
    path: path.join(start.dataFolder, 'run/writer'),
    waitMs: writerWaitMs,
    watches: false,
  });
  let { origin } = await firstStatus(writer);
  // The generation changes only while the writer is down: whoever comes back may have another.
  const follow = setInterval(() => {
    writer.status().then(
      (status) => {
        origin = status.origin;
      },
      () => {},
    );
  }, 5_000);
  await emptySpool(nodeIo, start.dataFolder, (owner) => owner === 'mx');
  let isDiskNearlyFull = start.isDiskNearlyFull;
  const inbound = createInbound({
    writer,
    hostname,
    origin: () => origin,
    clock: systemClock,
    random: systemRandom,
    logger,
    large: { spool: openSpool({ io: nodeIo, folder: start.dataFolder, owner: 'mx' }) },
    heldBytesMax,
    isDiskNearlyFull: () => isDiskNearlyFull,
  });
  const tls = roleTls(start.tls);
  const gate = createSessionGate(
    {
      ...sessionGateDefaults,
      sessionsPerAddressMax: config.limits.sessionsPerAddress,
      sessionsPerSecondMax: config.limits.sessionsPerSecond,
      trusted: config.limits.trusted,
    },
    systemClock,
  );
  const counters = createCounters();
  const servers = new Map(
    start.sockets.map((from) => [
      from.name,
      createSmtpServer({
        settings: {
          ...smtpServerDefaults,
          hostname,
          starttls: tls !== null && from.tls === 'starttls',
          sizeBytesMax: config.smtp.sizeBytesMax,
          recipientsMax: config.smtp.recipientsMax,
        },
        service: inbound,
        tls: tls?.connection('smtp') ?? null,
        gate,
        counters,
        clock: systemClock,
        log: logger,
      }),
    ]),
  );
  const listening = await serveSockets(start.sockets, logger, (socket, from) =>
    servers.get(from.name)?.accept(socket, from.tls === 'implicit' ? 'implicit' : 'none'),
  );
  return {
    stop: async () => {
      clearInterval(follow);
      listening.close();
      await Promise.all([...servers.values()].map((server) => server.drain(5_000)));
      writer.close();
    },
    tls: (material) => tls?.update(material),
    disk: (isNearlyFull) => {
      isDiskNearlyFull = isNearlyFull;
    },
  };
};
