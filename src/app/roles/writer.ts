import net from 'node:net';
import path from 'node:path';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type IpcHandler, serveIpc } from '#net/ipc';
import { createStandingConnection, mailstoreMethods } from '#net/mailstore';
import { type Administration, type AuthPort, createAdministration } from '#services/administration';
import { generatePassword } from '#services/auth';
import { keyLines } from '#services/integrity';
import { openWriter, type Writer } from '#services/writer';
import { nodeIo, replaceFileDurable } from '#store/durable';
import { type FolderLock, takeLock } from '#store/lock';
import { listenOn } from './listen.ts';
import { remoteParser } from './parse-elsewhere.ts';
import { projectionsIn } from './projections.ts';
import type { RoleContext, RunningRole } from './role-main.ts';
import { createRemoteSealer } from './sealer-port.ts';

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
  const sealer = createRemoteSealer(socket('sealer'), sealerWaitMs);
  const known = await sealer.knownHead();
  const parser = remoteParser(socket('parser'), () => tell({ kind: 'parser-wanted' }));
  const opened = await openWriter({
    io: nodeIo,
    folder: dataFolder,
    shard,
    hostname: config.server.hostname,
    projections: (fresh) => projectionsIn(dataFolder, fresh),
    parse: parser.parse,
    sealer,
    knownHeads: known === null ? [] : [known],
    logger,
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
  await publishKeys(writer, dataFolder, sealer.begin);

  const authConnection = createStandingConnection({ path: socket('auth'), waitMs: 5_000 });
  const administration = createAdministration({
    queue: writer.queue,
    directory: writer.directory,
    auth: authPort(authConnection),
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
          ? mailstore.methods
          : { ...mailstore.methods, ...controlMethods(writer, administration) },
      onClose: mailstore.forget,
      onMistake: (error, method) => logger.error('writer call failed', { method, error: String(error) }),
    });
    return { name, server, ipc };
  });
  for (const { name, server } of servers) await listenOn(server, start.internal[name] ?? -1);

  return {
    stop: async () => {
      await Promise.all(servers.map(({ ipc }) => ipc.close(3_000)));
      await writer.stop();
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
        subject: `${path.dirname(file)} is held by ${outcome.pid === null ? 'another process' : `process ${outcome.pid}`}`,
        remedy: 'stop that server first, or use another folder: --data DIR',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** The verifier key of this generation stands in the log, and in `ledger/keys` for those who may read no more than the ledger. */
const publishKeys = async (
  writer: Writer,
  dataFolder: string,
  begin: (generation: number, origin: string) => Promise<string | null>,
): Promise<void> => {
  const { generation, origin } = await writer.status();
  const name = `key-g${generation}`;
  if (writer.directory.row('setting', name) === null) {
    const key = await begin(generation, origin).catch(() => null);
    if (key === null) return;
    await writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 1_024,
      decide: ({ draft }) => {
        draft.row('setting', name, { firstSeq: 1, generation, key });
        return { kind: 'done' };
      },
    });
  }
  await replaceFileDurable(nodeIo, path.join(dataFolder, 'ledger/keys'), [utf8(keyLines(writer.directory))]);
};

const authPort = (connection: ReturnType<typeof createStandingConnection>): AuthPort => {
  const call = async <T>(method: string, params: unknown): Promise<T> =>
    (await connection.call<T>(method, params)).result;
  return {
    setPassword: (account) => call('setPassword', account),
    disable: (user) => call('disable', { user }),
    enable: (user) => call('enable', { user }),
    unconfirmed: () => call('unconfirmed', null),
    confirm: (id) => call('confirm', { id }),
  };
};

const firstDomain = 'fengni.test';
const firstAddress = `admin@${firstDomain}`;

/** What the command line asks, over `run/control`: who can open that socket owns the data folder. */
const controlMethods = (writer: Writer, administration: Administration): Record<string, IpcHandler> => ({
  /** the first log-in of an empty folder; again until `bootstrapped` says that it was written down */
  bootstrap: async () => {
    if (writer.directory.row('setting', 'bootstrap') !== null) return { result: null };
    const accounts = administration.accounts();
    if (accounts.some(({ address }) => address !== firstAddress)) return { result: null };
    const password = generatePassword(nodeIo.random);
    if (!administration.domains().includes(firstDomain)) await administration.addDomain(firstDomain);
    if (accounts.length === 0) await administration.addAccount(firstAddress, password);
    else await administration.setPassword(firstAddress, password);
    return { result: { address: firstAddress, password } };
  },
  bootstrapped: async () => {
    await writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 512,
      decide: ({ draft }) => {
        draft.row('setting', 'bootstrap', { done: true });
        return { kind: 'done' };
      },
    });
  },
  domainAdd: async ({ domain }: { domain: string }) => ({ result: await administration.addDomain(domain) }),
  domainList: () => ({ result: administration.domains() }),
  accountAdd: async ({ address, password }: { address: string; password: string }) => ({
    result: await administration.addAccount(address, password),
  }),
  accountList: () => ({ result: administration.accounts() }),
  accountShow: ({ address }: { address: string }) => ({ result: administration.account(address) }),
  accountPassword: async ({ address, password }: { address: string; password: string }) => {
    await administration.setPassword(address, password);
  },
  accountDisabled: async ({ address, disabled }: { address: string; disabled: boolean }) => {
    await administration.setDisabled(address, disabled);
  },
  aliasAdd: async ({ address, targets }: { address: string; targets: string[] }) => ({
    result: await administration.addAlias(address, targets),
  }),
  aliasRemove: async ({ address }: { address: string }) => {
    await administration.removeAlias(address);
  },
  aliasList: () => ({ result: administration.aliases() }),
  /** waits until a head covers what is durable now */
  settle: async () => {
    await writer.settleHeads();
    return { result: await writer.status() };
  },
});
