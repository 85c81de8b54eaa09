import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { createMailstoreClient, createStandingConnection } from '#net/mailstore';
import { createInbound } from '#services/inbound';
import { drainPickup } from '#services/local-mail';
import { nodeIo } from '#store/durable';
import { openSpool } from '#store/large';
import { createPickup } from '#store/pickup';
import { firstStatus } from './first-status.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

const writerWaitMs = 10_000;

/** Takes the mail that local programs left while no server took it, then ends. Killed at any point, it begins again. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const { config, dataFolder } = start;
  // By the socket of the command line: there a message that was handed in before is known by its id.
  const control = path.join(dataFolder, 'run/control');
  const writer = createMailstoreClient({ path: control, waitMs: writerWaitMs, watches: false });
  const connection = createStandingConnection({ path: control, waitMs: writerWaitMs });
  const { origin } = await firstStatus(writer);
  const inbound = createInbound({
    writer,
    hostname: config.server.hostname,
    origin: () => origin,
    clock: systemClock,
    random: systemRandom,
    logger,
    large: { spool: openSpool({ io: nodeIo, folder: dataFolder, owner: 'pickup' }) },
    heldBytesMax: 2 * config.smtp.sizeBytesMax,
  });
  const drain = async (): Promise<void> => {
    const drained = await drainPickup({
      pickup: createPickup({ io: nodeIo, folder: dataFolder }),
      inbound,
      isKnown: async (id) => (await connection.call<boolean>('messageKnown', { id })).result,
      tryHeld: false,
      clock: systemClock,
      logger,
    });
    logger.info('waiting mail looked through', { ...drained });
  };
  setImmediate(() => {
    drain()
      .catch((error: unknown) => logger.error('waiting mail could not be taken', { error: String(error) }))
      .finally(() => process.exit(0));
  });
  return {
    stop: async () => {
      writer.close();
      connection.close();
    },
  };
};
