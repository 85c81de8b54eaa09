import fs from 'node:fs';
import path from 'node:path';
import type { Config } from '#app/config';
import { programFolder, type RoleName } from '#app/roles';
import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { connectIpc } from '#net/ipc';
import { loadCertificates, newTicketKeys } from '#net/tls';
import { takeLock } from '#store/lock';
import { prepareDataFolder } from './data-folder.ts';
import { type BoundSocket, bindListener, bindPath } from './listening-sockets.ts';
import { becomeUser, chooseUser } from './privileges.ts';
import { createSupervisor, type RolePlan, type Supervisor } from './supervisor.ts';

export interface ServeOptions {
  config: Config;
  dataFolder: string;
  logger: Logger;
  logForm: 'text' | 'json';
  /** reads the configuration again, at SIGHUP */
  reload(): Promise<Config>;
}

export interface Served {
  /** addresses by listener, as people read them */
  listening: readonly { name: string; addresses: readonly string[]; port: number }[];
  /** on a first start: where the first log-in is written */
  firstLogin: { file: string; address: string; password: string } | null;
  unwitnessed: true;
  supervisor: Supervisor;
  /** fulfilled when a role says that starting again would not help */
  failed: Promise<FengniError>;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** which role serves a service */
const roleOf: Record<string, RoleName> = {
  smtp: 'mx',
  imap: 'access',
  imaps: 'access',
  pop3: 'access',
  pop3s: 'access',
  https: 'web',
};

/** a server before this one that was killed leaves roles that end within a second */
const lockWaitMs = 3_000;
const ticketKeysLifeMs = 12 * 3_600_000;
const certificateCheckMs = 24 * 3_600_000;

/**
 * Starts everything; fulfilled when every port listens.
 *
 * @throws {FengniError} with the remedy; nothing is left running
 */
export const serve = async (options: ServeOptions): Promise<Served> => {
  const { config, dataFolder, logger } = options;
  const user = chooseUser(config, dataFolder);
  // Ports below 1024 while this is root; everything in the data folder as the user that it will belong to.
  const listeners = config.listeners.flatMap((listener) => {
    const bound = bindListener(listener);
    return bound.map((socket) => ({ listener, socket }));
  });
  const bound: BoundSocket[] = listeners.map(({ socket }) => socket);
  const closeAll = (): void => {
    for (const socket of bound) socket.close();
  };
  try {
    if (user !== null && 'uid' in user) {
      fs.mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
      becomeUser(user, dataFolder);
      logger.info('root given up', { user: user.name });
    } else if (user !== null) {
      logger.warn('running as root on loopback', { why: user.why });
    }
    return await start(options, listeners, bound);
  } catch (error) {
    closeAll();
    throw error;
  }
};

const start = async (
  options: ServeOptions,
  listeners: readonly { listener: Config['listeners'][number]; socket: BoundSocket }[],
  bound: BoundSocket[],
): Promise<Served> => {
  const { config, dataFolder, logger } = options;
  prepareDataFolder(dataFolder);
  const serveLock = await lock(dataFolder);
  const run = (name: string): string => path.join(dataFolder, 'run', name);
  const internal = Object.fromEntries(
    (['control', 'writer', 'auth', 'sealer', 'parser'] as const).map((name) => [name, bindPath(run(name))]),
  ) as Record<'control' | 'writer' | 'auth' | 'sealer' | 'parser', BoundSocket>;
  bound.push(...Object.values(internal));

  let ticketKeys = newTicketKeys(systemRandom);
  const certificates = async (current: Config) => {
    const loaded = await loadCertificates({
      folder: path.join(dataFolder, 'tls'),
      configured: current.tls.certificates,
      hostname: current.server.hostname,
      localDomains: ['fengni.test'],
      nowMs: systemClock.nowMs(),
      random: systemRandom,
    });
    for (const name of loaded.namesLeftOut)
      logger.warn('the local authority may not vouch for a name', { name });
    return {
      certificates: loaded.certificates.map(({ name, cert, key }) => ({ name, cert, key })),
      ticketKeys: Buffer.from(ticketKeys).toString('base64'),
    };
  };
  let tls = await certificates(config);

  const internalOf: Partial<Record<RoleName, readonly (keyof typeof internal)[]>> = {
    sealer: ['sealer'],
    auth: ['auth'],
    writer: ['writer', 'control'],
    parser: ['parser'],
  };
  const plan = (role: RoleName): RolePlan => {
    const own = listeners.filter(({ listener }) => roleOf[listener.service] === role);
    const names = internalOf[role] ?? [];
    return {
      role,
      descriptors: [
        ...own.map(({ socket }) => socket.descriptor),
        ...names.map((name) => internal[name].descriptor),
      ],
      message: (first) => ({
        dataFolder,
        sealerFolder: path.join(dataFolder, 'sealer'),
        config,
        sockets: own.map(({ listener, socket }, at) => ({
          service: listener.service,
          name: listener.name,
          tls: listener.tls,
          descriptor: first + at,
          address: socket.address,
          port: socket.port,
        })),
        internal: Object.fromEntries(names.map((name, at) => [name, first + own.length + at])),
        tls: own.length > 0 ? tls : null,
        logForm: options.logForm,
      }),
    };
  };

  const failed = Promise.withResolvers<FengniError>();
  const supervisor = createSupervisor({
    plan,
    folders: { data: dataFolder, compileCache },
    logger,
    onFatal: failed.resolve,
  });
  const stop = async (): Promise<void> => {
    clearInterval(rotation);
    clearInterval(renewal);
    await supervisor.stop();
    fs.rmSync(run('ports.json'), { force: true });
    for (const socket of bound) socket.close();
    for (const name of Object.keys(internal)) fs.rmSync(run(name), { force: true });
    serveLock.release();
  };
  const renew = async (current: Config): Promise<void> => {
    tls = await certificates(current);
    supervisor.tell({ kind: 'tls', tls });
  };
  const rotation = setInterval(() => {
    ticketKeys = newTicketKeys(systemRandom);
    tls = { ...tls, ticketKeys: Buffer.from(ticketKeys).toString('base64') };
    supervisor.tell({ kind: 'tls', tls });
  }, ticketKeysLifeMs);
  const renewal = setInterval(() => {
    renew(config).catch((error: unknown) =>
      logger.error('certificate could not be renewed', { error: String(error) }),
    );
  }, certificateCheckMs);

  try {
    await Promise.race([supervisor.start(), failed.promise.then((fault) => Promise.reject(fault))]);
    const firstLogin = await bootstrap(run('control'), path.join(dataFolder, 'first-login.txt'));
    writePorts(run('ports.json'), listeners);
    return {
      listening: summary(listeners),
      firstLogin,
      unwitnessed: true,
      supervisor,
      failed: failed.promise,
      reload: async () => {
        try {
          await renew(await options.reload());
          logger.info('certificates read again');
        } catch (error) {
          // A mistake in a file must not take the server down: the old certificates go on.
          logger.error('reload failed, the old certificates stay', {
            error: error instanceof FengniError ? `${error.code}: ${error.subject}` : String(error),
          });
        }
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** The supervisor's own lock; the data folder's is the writer's, which may outlive a killed supervisor for a moment. */
const lock = async (dataFolder: string): Promise<{ release(): void }> => {
  const file = path.join(dataFolder, 'run', 'serve.lock');
  const until = systemClock.monotonicMs() + lockWaitMs;
  const own = takeLock(file);
  if (own.kind === 'held') throw inUse(dataFolder, own.pid);
  for (;;) {
    const data = takeLock(path.join(dataFolder, 'lock'));
    if (data.kind === 'taken') {
      data.lock.release();
      return own.lock;
    }
    if (systemClock.monotonicMs() > until) {
      own.lock.release();
      throw inUse(dataFolder, data.pid);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

const inUse = (dataFolder: string, pid: number | null): FengniError =>
  new FengniError('data-folder-in-use', {
    subject: `${dataFolder} is held by ${pid === null ? 'another process' : `process ${pid}`}`,
    remedy: `stop that server first${pid === null ? '' : ` (kill ${pid})`}, or use another folder: --data DIR`,
  });

/** A folder of its own for each role's compiled code: what one of them could write there, no other loads. */
const compileCache = (role: RoleName): string | null => {
  const folder = path.join(programFolder, 'node_modules/.cache/roles', `${process.geteuid?.() ?? 0}-${role}`);
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    fs.accessSync(folder, fs.constants.W_OK);
    return folder;
  } catch {
    return null;
  }
};

/** Asks the writer for domain, first account and password of an empty data folder. */
const bootstrap = async (
  control: string,
  file: string,
): Promise<{ file: string; address: string; password: string } | null> => {
  const client = await connectIpc(control);
  try {
    const { result } = await client.call<{ address: string; password: string } | null>('bootstrap');
    if (result === null) return null;
    const { address, password } = result;
    const temporary = `${file}.new`;
    fs.writeFileSync(temporary, `address: ${address}\npassword: ${password}\n`, { mode: 0o600, flush: true });
    fs.renameSync(temporary, file);
    await client.call('bootstrapped');
    return { file, address, password };
  } finally {
    client.close();
  }
};

const writePorts = (
  file: string,
  listeners: readonly { listener: { name: string }; socket: BoundSocket }[],
): void => {
  const ports = Object.fromEntries(listeners.map(({ listener, socket }) => [listener.name, socket.port]));
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(ports)}\n`, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
};

const summary = (
  listeners: readonly { listener: { name: string }; socket: BoundSocket }[],
): Served['listening'] => {
  const byName = new Map<string, { name: string; addresses: string[]; port: number }>();
  for (const { listener, socket } of listeners) {
    const known = byName.get(listener.name);
    if (known === undefined)
      byName.set(listener.name, { name: listener.name, addresses: [socket.address], port: socket.port });
    else known.addresses.push(socket.address);
  }
  return [...byName.values()];
};
