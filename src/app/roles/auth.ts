import net from 'node:net';
import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { authMethods } from '#net/auth';
import { createCounters, withLimitLog } from '#net/connection';
import { serveIpc } from '#net/ipc';
import { createAuth } from '#services/auth';
import { openSecrets } from '#store/secrets';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

const prepareAfterMs = 3_000;

/** Passwords: the only process that opens `secrets.db`. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const secrets = openSecrets({ path: path.join(start.dataFolder, 'secrets.db') });
  const counters = withLimitLog(createCounters(), logger, systemClock);
  const auth = createAuth({
    secrets,
    clock: systemClock,
    random: systemRandom,
    count: (name) => counters.count(name),
  });
  const unconfirmed = auth.unconfirmed().length;
  // Each is a change that is durable here and whose ROW is not: the writer asks for them and logs their rows.
  if (unconfirmed > 0)
    logger.warn('changes of passwords without their row in the log', { count: unconfirmed });
  const server = net.createServer();
  const ipc = serveIpc(server, {
    methods: authMethods(auth),
    onMistake: (error, method) => logger.error('auth call failed', { method, error: String(error) }),
  });
  await listenOn(server, start.internal.auth ?? -1);
  // Not before the server is ready: at a start every role wants the processor.
  const preparing = setTimeout(() => void auth.prepare().catch(() => {}), prepareAfterMs);
  return {
    metrics: () => ({ counters: counters.snapshot() }),
    stop: async () => {
      clearTimeout(preparing);
      await ipc.close(2_000);
      secrets.close();
    },
  };
};
