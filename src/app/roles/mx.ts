import path from 'node:path';
import { dnsCounters, logValidation, openDns } from '#app/dns';
import { systemClock, systemRandom } from '#base/clock';
import { MiB } from '#base/limits';
import { createCounters, networksOf, withLimitLog } from '#net/connection';
import { createMailstoreClient } from '#net/mailstore';
import { createSmtpServer, type SmtpServer, smtpServerDefaults } from '#net/smtp-in';
import { createAuthentication } from '#services/authentication';
import { createInbound } from '#services/inbound';
import { openPoison } from '#services/poison';
import { createAttemptRecorder } from '#services/trace';
import { nodeIo } from '#store/durable';
import { emptySpool, openSpool } from '#store/large';
import { firstStatus } from './first-status.ts';
import { serveSockets } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';
import { createSharedGate } from './shared-gate.ts';
import { roleTls } from './tls.ts';

/** unfinished messages of all sessions of this process */
const heldBytesMax = 512 * MiB;
/** how long a command waits for a writer that is starting again */
const writerWaitMs = 10_000;

/** Mail in: the process that talks to strangers. It opens neither index nor mail nor secrets; it writes ciphertext into `spool/`. */
export const run = async ({ start, logger, tell }: RoleContext): Promise<RunningRole> => {
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
  const counters = withLimitLog(createCounters(), logger, systemClock);
  const dns = openDns(config);
  void logValidation(dns, config, logger);
  const exempt = networksOf(config.authentication.exempt);
  const inbound = createInbound({
    writer,
    hostname,
    authentication: createAuthentication({
      dns,
      hostname,
      clock: systemClock,
      policy: config.authentication,
      isExempt: (address) => exempt.has(address),
      count: (name) => counters.count(name),
    }),
    origin: () => origin,
    clock: systemClock,
    random: systemRandom,
    logger,
    large: { spool: openSpool({ io: nodeIo, folder: start.dataFolder, owner: 'mx' }) },
    heldBytesMax,
    count: (name) => counters.count(name),
    poison: await openPoison({
      io: nodeIo,
      folder: path.join(start.dataFolder, 'poison'),
      logger,
      afterDeath: start.afterDeath,
    }),
    isDiskNearlyFull: () => isDiskNearlyFull,
  });
  const refusals = createAttemptRecorder({ send: writer.refused, clock: systemClock, logger });
  const tls = roleTls(start.tls);
  const gate = createSharedGate({ start, tell });
  /** a listener may have several sockets */
  const servers = new Map<string, SmtpServer>();
  for (const from of start.sockets) {
    if (servers.has(from.name)) continue;
    const server = createSmtpServer({
      settings: {
        ...smtpServerDefaults,
        hostname,
        protocol: from.service === 'lmtp' ? 'lmtp' : 'smtp',
        starttls: tls !== null && from.tls === 'starttls',
        binarymime: config.smtp.binarymime,
        sizeBytesMax: config.smtp.sizeBytesMax,
        recipientsMax: config.smtp.recipientsMax,
        xclientFrom: config.smtp.xclientFrom,
        greetPauseMs: config.smtp.greetPauseMs,
      },
      service: inbound,
      refused: refusals.note,
      tls: tls?.connection('smtp', true) ?? null,
      gate,
      counters,
      clock: systemClock,
      log: logger,
    });
    servers.set(from.name, server);
  }
  const listening = await serveSockets(start.sockets, logger, (socket, from, how) =>
    servers.get(from.name)?.accept(socket, from.tls === 'implicit' ? 'implicit' : 'none', how),
  );
  return {
    stop: async () => {
      clearInterval(follow);
      gate.close();
      listening.close();
      await Promise.all([...servers.values()].map((server) => server.drain(5_000)));
      dns.close();
      await refusals.stop();
      writer.close();
    },
    tls: (material) => tls?.update(material),
    metrics: () => ({
      counters: { ...counters.snapshot(), ...dnsCounters(dns) },
      sessions: { smtp: [...servers.values()].reduce((sum, server) => sum + server.sessions, 0) },
    }),
    sessions: (elsewhere) => gate.hear(elsewhere),
    opened: (elsewhere) => gate.hearOpened(elsewhere),
    disk: (isNearlyFull) => {
      isDiskNearlyFull = isNearlyFull;
    },
  };
};
