import net from 'node:net';
import path from 'node:path';
import { controlMethods, openTraceFiles, projectionsIn, publishKeys, type TraceFiles } from '#app/control';
import { createRemoteSealer, ledgerIo } from '#app/sealer';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import { serveIpc } from '#net/ipc';
import { createStandingConnection, mailstoreMethods } from '#net/mailstore';
import { createHistogram, syncBounds } from '#net/metrics';
import { type AuthPort, createAdministration } from '#services/administration';
import type { AttemptReport } from '#services/trace';
import { openWriter } from '#services/writer';
import { type Io, nodeIo } from '#store/durable';
import { type FolderLock, takeLock } from '#store/lock';
import { listenOn } from './listen.ts';
import { remoteParser } from './parse-elsewhere.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

const shard = 0;
/** a writer before this one ends within a second of its supervisor */
const lockWaitMs = 3_000;
/** a sealer in a process of its own starts beside this one; a server whose sealer is down starts all the same */
const sealerWaitMs = 1_500;

/** The only process that writes log, ledger and projections. */
export const run = async ({ start, logger, tell }: RoleContext): Promise<RunningRole> => {
  const { dataFolder, config } = start;
  const socket = (name: string): string => path.join(dataFolder, 'run', name);
  const lock = await takeFolderLock(path.join(dataFolder, 'lock'));
  const sealer = createRemoteSealer(start.sealerSocket, sealerWaitMs);
  const known = await sealer.knownHead();
  const sync = createHistogram(syncBounds);
  /** when the sealer signed last */
  let headAtMs: number | null = null;
  const parser = remoteParser(socket('parser'), () => tell({ kind: 'parser-wanted' }));
  let publish: (() => Promise<void>) | null = null;
  let trace: TraceFiles | null = null;
  const opened = await openWriter({
    // A sealer under a user of its own reads the ledger as one of the group.
    io: timedSyncs(config.sealer.socket === null ? nodeIo : ledgerIo(nodeIo, dataFolder), (seconds) =>
      sync.observe(seconds),
    ),
    folder: dataFolder,
    spoolOwners: ['mx', 'access'],
    shard,
    hostname: config.server.hostname,
    projections: (fresh) => projectionsIn(dataFolder, fresh),
    parse: parser.parse,
    sealer: {
      advance: async (request) => {
        // A sealer that was down at the first start has no generation yet, and its key stands nowhere.
        await publish?.();
        const answer = await sealer.advance(request);
        if (answer.kind === 'signed') headAtMs = performance.now();
        return answer;
      },
      look: sealer.look,
    },
    knownHeads: known === null ? [] : [known],
    logger,
    applied: (events, appliedSeq) => trace?.applied(events, appliedSeq),
    schedule: (work, ms) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    failed: (error) => {
      logger.error('writer stops', { code: error.code, subject: error.subject });
      // Everybody who waits has been told; the supervisor starts a new one, which recovers.
      setImmediate(() => process.exit(1));
    },
  });
  parser.close();
  if (opened.kind === 'refused') throw opened.error;
  const writer = opened;
  const traced = openTraceFiles({ dataFolder, index: writer.index, clock: systemClock, logger });
  trace = traced;
  const hasKey = async (): Promise<boolean> => {
    const { generation } = await writer.status();
    return writer.directory.row('setting', `key-g${generation}`) !== null;
  };
  await publishKeys(writer, dataFolder, sealer.begin);
  if (!(await hasKey())) {
    publish = async () => {
      await publishKeys(writer, dataFolder, sealer.begin);
      if (await hasKey()) publish = null;
    };
  }

  const authConnection = createStandingConnection({ path: socket('auth'), waitMs: 5_000 });
  const administration = createAdministration({
    queue: writer.queue,
    directory: writer.directory,
    auth: authPort(authConnection),
    eraseDue: writer.eraseDue,
    logger,
  });
  await administration.finishChanges().catch((error: unknown) => {
    logger.warn('changes of passwords could not be looked at', { error: String(error) });
  });

  const mailstore = mailstoreMethods(writer);
  const servers = (['writer', 'control'] as const).map((name) => {
    const server = net.createServer();
    const ipc = serveIpc(server, {
      methods:
        name === 'writer'
          ? {
              ...mailstore.methods,
              /** what other roles refused; nobody waits for it but the next report of that role */
              refused: (report: AttemptReport) => traced.attempts.take(report),
            }
          : {
              ...mailstore.methods,
              ...controlMethods(writer, administration, dataFolder, traced.attempts),
              /** waits until `trace.db` is what the index is now */
              traced: () => traced.settle(),
            },
      onClose: mailstore.forget,
      onMistake: (error, method) => logger.error('writer call failed', { method, error: String(error) }),
    });
    return { name, server, ipc };
  });
  for (const { name, server } of servers) await listenOn(server, start.internal[name] ?? -1);

  return {
    metrics: () => {
      const { sealer: state, sealedSize } = writer.sealStatus();
      return {
        writer: {
          ...writer.queue.stats(),
          sync: sync.sample(),
          sealer: state,
          sealedLeaves: sealedSize,
          headAgeSeconds: headAtMs === null ? null : (performance.now() - headAtMs) / 1_000,
        },
      };
    },
    stop: async () => {
      await Promise.all(servers.map(({ ipc }) => ipc.close(3_000)));
      await traced.stopReading();
      await writer.stop();
      traced.stop();
      sealer.close();
      authConnection.close();
      lock.release();
    },
  };
};

const takeFolderLock = async (file: string): Promise<FolderLock> => {
  for (let waited = 0; ; waited += 20) {
    const outcome = takeLock(file);
    if (outcome.kind === 'taken') return outcome.lock;
    if (waited >= lockWaitMs) {
      throw new FengniError('data-folder-in-use', {
        subject: `${path.dirname(file)} (pid ${outcome.pid ?? '?'})`,
        remedy: 'stop that server first, or use another folder: --data DIR',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const authPort = (connection: ReturnType<typeof createStandingConnection>): AuthPort => {
  const call = async <T>(method: string, params: unknown): Promise<T> =>
    (await connection.call<T>(method, params)).result;
  return {
    setPassword: (account) => call('setPassword', account),
    setPasswordHash: (account) => call('setPasswordHash', account),
    addAppPassword: (account) => call('addAppPassword', account),
    removeAppPassword: (account) => call('removeAppPassword', account),
    appPasswords: (user) => call('appPasswords', { user }),
    disable: (user) => call('disable', { user }),
    enable: (user) => call('enable', { user }),
    removeAccount: (user) => call('removeAccount', { user }),
    unconfirmed: () => call('unconfirmed', null),
    confirm: (id) => call('confirm', { id }),
  };
};

/** The same files; how long each data sync took is told. */
const timedSyncs = (io: Io, took: (seconds: number) => void): Io => ({
  ...io,
  open: async (name, how) => {
    const file = await io.open(name, how);
    const dataSync = file.dataSync.bind(file);
    file.dataSync = async () => {
      const begunMs = performance.now();
      await dataSync();
      took((performance.now() - begunMs) / 1_000);
    };
    return file;
  },
});
