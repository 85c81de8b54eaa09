import path from 'node:path';
import type { Config } from '#app/config';
import { controlMethods, openTraceFiles, projectionsIn, publishKeys, type TraceFiles } from '#app/control';
import { createRemoteSealer, ledgerIo, openLocalSealer, type SealerClient } from '#app/sealer';
import { systemClock, systemRandom } from '#base/clock';
import type { Logger } from '#base/logger';
import type { IpcPeer, IpcReply } from '#net/ipc';
import { createAdministration } from '#services/administration';
import { createAuth } from '#services/auth';
import type { MailstoreWriter } from '#services/mailstore';
import { openWriter, type Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import { openSecrets } from '#store/secrets';
import { startParser } from './parser-process.ts';

const shard = 0;
/** a command does without heads when a sealer that is a service of its own is down */
const sealerWaitMs = 300;

export interface LocalWriter {
  call<Result>(method: string, params?: unknown): Promise<Result>;
  mailstore: Pick<MailstoreWriter, 'resolve' | 'deliver' | 'status'>;
  /** as `Writer.handOver` */
  handOver: Writer['handOver'];
  /** fulfilled when `trace.db` has everything; otherwise the next start goes on with it */
  settleTrace(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Writer, `auth` and sealer in this process, for a command while no server runs. The caller holds the folder's lock.
 *
 * What strangers sent is parsed in a process of its own here too, when an index has to be made again.
 *
 * @throws {FengniError} the log's refusal: `log-damaged`, `log-rolled-back`, …
 */
export const openLocalWriter = async (options: {
  dataFolder: string;
  config: Config;
  logger: Logger;
  /** who signs, where the caller has it already: a folder has one sealer at a time. It stays open */
  sealer?: SealerClient;
  /** false: an index that has to be made again comes from the log's other frames alone (default true) */
  useSnapshots?: boolean;
}): Promise<LocalWriter> => {
  const { dataFolder, config } = options;
  process.umask(0o077);
  const logger = troubleOnly(options.logger);
  const { socket } = config.sealer;
  const own = options.sealer === undefined;
  const sealer =
    options.sealer ??
    (socket === null ? openLocalSealer(dataFolder) : createRemoteSealer(socket, sealerWaitMs));
  const parser = startParser(dataFolder, config);
  const known = await sealer.knownHead();
  let trace: TraceFiles | null = null;
  const writer = await openWriter({
    io: socket === null ? nodeIo : ledgerIo(nodeIo, dataFolder),
    folder: dataFolder,
    shard,
    hostname: config.server.hostname,
    projections: (fresh) => projectionsIn(dataFolder, fresh),
    parse: parser.parse,
    sealer,
    knownHeads: known === null ? [] : [known],
    logger,
    useSnapshots: options.useSnapshots ?? true,
    applied: (events, appliedSeq) => trace?.applied(events, appliedSeq),
    schedule: (work, ms) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    // Whoever waits is told by the rejection of what it asked for.
    failed: (error) => logger.error('writer stops', { code: error.code, subject: error.subject }),
  }).finally(() => parser.close());
  if (writer.kind === 'refused') throw writer.error;
  trace = openTraceFiles({ dataFolder, index: writer.index, clock: systemClock, logger });
  const { settle, attempts, stopReading, stop } = trace;
  const secrets = openSecrets({ path: path.join(dataFolder, 'secrets.db') });
  const auth = createAuth({ secrets, clock: systemClock, random: systemRandom });
  const administration = createAdministration({
    queue: writer.queue,
    directory: writer.directory,
    auth: {
      setPassword: (account) => auth.setPassword(account),
      setPasswordHash: async (account) => auth.setPasswordHash(account),
      addAppPassword: async (account) => auth.addAppPassword(account),
      removeAppPassword: async (account) => auth.removeAppPassword(account),
      appPasswords: async (user) => auth.appPasswords(user),
      disable: async (user) => auth.disable(user),
      enable: async (user) => auth.enable(user),
      removeAccount: async (user) => auth.removeAccount(user),
      unconfirmed: async () => auth.unconfirmed(),
      confirm: async (id) => void auth.confirm(id),
    },
    eraseDue: writer.eraseDue,
    logger,
  });
  const close = async (): Promise<void> => {
    await stopReading();
    await writer.stop();
    stop();
    if (own) sealer.close();
    secrets.close();
  };
  try {
    await publishKeys(writer, dataFolder, sealer.begin);
    await administration.finishChanges();
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
  const methods = controlMethods(writer, administration, dataFolder, attempts);
  return {
    call: async <Result>(method: string, params: unknown = null): Promise<Result> => {
      const handler = methods[method];
      if (handler === undefined) throw new TypeError(`there is no control method ${method}`);
      const reply = await handler(params as never, [], nobody);
      return (reply as IpcReply | undefined)?.result as Result;
    },
    mailstore: writer,
    handOver: writer.handOver,
    settleTrace: settle,
    close,
  };
};

/** Nobody listens to notices here. */
const nobody: IpcPeer = { id: 0, open: false, notify: () => {}, close: () => {} };

/** A command tells of trouble; that all is as it should be, its own words say. */
const troubleOnly = (logger: Logger): Logger => ({
  ...logger,
  debug: () => {},
  info: () => {},
  with: (fields) => troubleOnly(logger.with(fields)),
});
