import fs from 'node:fs';
import path from 'node:path';
import { compiledCodeFolder } from '#app/compiled';
import type { Config } from '#app/config';
import { programFolder, type RoleName, roleNames } from '#app/roles';
import { systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { connectIpc } from '#net/ipc';
import { createProcessSampler } from '#net/metrics';
import { newTicketKeys } from '#net/tls';
import { prepareDataFolder } from './data-folder.ts';
import { asDiskFull, watchDisk } from './disk-watch.ts';
import { lingeringMs, takeServeLock, waitForFolder } from './folder-lock.ts';
import { type BoundSocket, bindListener, bindPath } from './listening-sockets.ts';
import { becomeUser, chooseUser, refuseExposedRoot } from './privileges.ts';
import { activatedSockets } from './socket-activation.ts';
import { createSupervisor, type RolePlan, type Supervisor } from './supervisor.ts';
import { type Certificates, filesClosedTo, readCertificates } from './tls-material.ts';
import { type PickupWatch, watchPickup } from './watch-pickup.ts';

export interface ServeOptions {
  config: Config;
  dataFolder: string;
  logger: Logger;
  logForm: 'text' | 'json';
  /** for the sockets that systemd hands over */
  env: NodeJS.ProcessEnv;
  /** asks a start to end */
  signal: AbortSignal;
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

interface Bound {
  listener: Config['listeners'][number];
  socket: BoundSocket;
}

/** which role serves a service */
const roleOf: Record<string, RoleName> = {
  smtp: 'mx',
  lmtp: 'mx',
  imap: 'access',
  imaps: 'access',
  pop3: 'access',
  pop3s: 'access',
  https: 'web',
  metrics: 'web',
};

const ticketKeysLifeMs = 12 * 3_600_000;
const certificateCheckMs = 24 * 3_600_000;

/**
 * Starts everything; fulfilled when every port listens, with null when `signal` asked it to end before that.
 *
 * @throws {FengniError} with the remedy; nothing is left running
 */
export const serve = async (options: ServeOptions): Promise<Served | null> => {
  const { config, dataFolder, logger } = options;
  const choice = chooseUser(config, dataFolder);
  // A server that was killed leaves this file, and for a moment its roles with their sockets.
  const isAfterKill = fs.existsSync(path.join(dataFolder, 'run/ports.json'));
  await waitForFolder(dataFolder, options.signal);
  // While this is root: keys that only root may read, and ports below 1024.
  const configured =
    config.tls.certificates.length > 0 ? await readCertificates(config, dataFolder, logger) : null;
  const listeners = await bindAll(options, isAfterKill ? lingeringMs : 0);
  const bound: BoundSocket[] = listeners.map(({ socket }) => socket);
  try {
    if (choice.kind === 'become') {
      const { user } = choice;
      const closed = filesClosedTo(user, config);
      for (const { address, port } of bound)
        if (port === 0 && address.startsWith('/')) fs.chownSync(address, user.uid, user.gid);
      becomeUser(user, dataFolder);
      logger.info('root given up', { user: user.name });
      if (closed.length > 0) {
        const remedy = `let group ${user.gid} read them (chgrp ${user.gid} FILE; chmod 640 FILE), or restart for new ones`;
        logger.warn('SIGHUP will not be able to read TLS files again', { files: closed.join(' '), remedy });
      }
    } else if (choice.kind === 'stay') {
      refuseExposedRoot(
        choice.why,
        bound.map((socket) => socket.address),
      );
      logger.warn('running as root on loopback', { why: choice.why('en') });
    }
    return await start(options, listeners, bound, configured);
  } catch (error) {
    for (const socket of bound) socket.close();
    throw error;
  }
};

/** Binds every listener; waits for ports that a server before this one may still have. */
const bindAll = async (options: ServeOptions, waitMs: number): Promise<Bound[]> => {
  const { listeners } = options.config;
  const names = listeners.map(({ name }) => name);
  const activated = activatedSockets(options.env, process.pid, names);
  for (let waited = 0; ; waited += 50) {
    const bound: Bound[] = [];
    try {
      for (const listener of listeners)
        for (const socket of bindListener(listener, activated)) bound.push({ listener, socket });
      return bound;
    } catch (error) {
      for (const { socket } of bound) socket.close();
      const isTaken = error instanceof FengniError && error.code === 'port-in-use';
      if (!isTaken || waited >= waitMs || options.signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
};

const start = async (
  options: ServeOptions,
  listeners: readonly Bound[],
  bound: BoundSocket[],
  configured: Certificates | null,
): Promise<Served | null> => {
  const { dataFolder, logger, signal } = options;
  const config = withRealPorts(options.config, listeners);
  const separateSealer = config.sealer.socket !== null;
  prepareDataFolder(dataFolder, { separateSealer });
  const serveLock = await takeServeLock(dataFolder, signal);
  const run = (name: string): string => path.join(dataFolder, 'run', name);
  const roles = roleNames.filter((role) => role !== 'sealer' || !separateSealer);
  const socketNames = ['control', 'writer', 'auth', 'parser', ...(separateSealer ? [] : ['sealer'])];
  const internal = new Map(socketNames.map((name) => [name, bindPath(run(name))]));
  bound.push(...internal.values());

  let current = config;
  let ticketKeys = newTicketKeys(systemRandom);
  const material = (certificates: Certificates) => ({
    certificates,
    ticketKeys: Buffer.from(ticketKeys).toString('base64'),
  });
  let tls = material(configured ?? (await readCertificates(config, dataFolder, logger)));

  const internalOf: Partial<Record<RoleName, readonly string[]>> = {
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
        ...names.map((name) => internal.get(name)?.descriptor ?? -1),
      ],
      message: (first) => ({
        dataFolder,
        sealerFolder: path.join(dataFolder, 'sealer'),
        sealerSocket: config.sealer.socket ?? run('sealer'),
        config,
        sockets: own.map(({ listener, socket }, at) => ({
          service: listener.service,
          name: listener.name,
          tls: listener.tls,
          descriptor: first + at,
          address: socket.address,
          port: socket.port,
          proxyFrom: listener.proxyFrom,
        })),
        internal: Object.fromEntries(names.map((name, at) => [name, first + own.length + at])),
        tls: own.length > 0 ? tls : null,
        isDiskNearlyFull: disk.isFull(),
        logForm: options.logForm,
      }),
    };
  };

  const failed = Promise.withResolvers<FengniError>();
  const sampler = createProcessSampler();
  const { version } = JSON.parse(fs.readFileSync(path.join(programFolder, 'package.json'), 'utf8'));
  let pickup: PickupWatch | null = null;
  const supervisor = createSupervisor({
    roles,
    plan,
    asDiskFull: (fault) => asDiskFull(fault, dataFolder),
    folders: { data: dataFolder, compileCache: (role) => compiledCodeFolder(role) },
    logger,
    ownMetrics: () => ({
      version,
      supervisor: sampler.sample(),
      disk: { ...disk.room(), isNearlyFull: disk.isFull() },
      pickup: pickup?.counts() ?? { waiting: 0, held: 0 },
    }),
    onFatal: failed.resolve,
  });
  const disk = watchDisk(dataFolder, config.limits.freeBytesMin, (isFull, freeBytes) => {
    if (isFull) logger.error('disk nearly full, new mail gets 452', { freeBytes });
    else logger.info('disk has room again', { freeBytes });
    supervisor.tell({ kind: 'disk', isNearlyFull: isFull });
  });
  const stop = async (): Promise<void> => {
    clearInterval(rotation);
    clearInterval(renewal);
    disk.stop();
    sampler.stop();
    pickup?.stop();
    await supervisor.stop();
    fs.rmSync(run('ports.json'), { force: true });
    for (const socket of bound) socket.close();
    for (const name of internal.keys()) fs.rmSync(run(name), { force: true });
    serveLock.release();
  };
  const renew = async (next: Config): Promise<void> => {
    tls = material(await readCertificates(next, dataFolder, logger));
    current = next;
    supervisor.tell({ kind: 'tls', tls });
  };
  const rotation = setInterval(() => {
    ticketKeys = newTicketKeys(systemRandom);
    tls = material(tls.certificates);
    supervisor.tell({ kind: 'tls', tls });
  }, ticketKeysLifeMs);
  const renewal = setInterval(() => {
    renew(current).catch((error: unknown) =>
      logger.error('certificate could not be renewed', { error: String(error) }),
    );
  }, certificateCheckMs);
  let reloading = Promise.resolve();
  const reload = async (): Promise<void> => {
    try {
      await renew(await options.reload());
      logger.info('certificates read again');
    } catch (error) {
      // A mistake in a file must not take the server down: the old certificates go on.
      const words =
        error instanceof FengniError
          ? { error: `${error.code}: ${error.subject}`, remedy: error.remedy }
          : { error: String(error) };
      logger.error('reload failed, the old certificates stay', words);
    }
  };

  const begin = async (): Promise<Served> => {
    await supervisor.start();
    const firstLogin = await bootstrap(run('control'), path.join(dataFolder, 'first-login.txt'));
    writePorts(run('ports.json'), listeners);
    pickup = watchPickup(dataFolder, () => supervisor.summon('pickup'));
    return {
      listening: summary(listeners),
      firstLogin,
      unwitnessed: true,
      supervisor,
      failed: failed.promise,
      reload: () => {
        reloading = reloading.then(reload);
        return reloading;
      },
      stop,
    };
  };
  const isAsked = new Promise<null>((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const begun = begin();
  begun.catch(() => {});
  try {
    const outcome = await Promise.race([
      begun,
      isAsked,
      failed.promise.then((fault) => Promise.reject(fault)),
    ]);
    if (outcome === null) await stop();
    return outcome;
  } catch (error) {
    await stop();
    throw error;
  }
};

/** With the ports that are really open: a free one was asked for, or systemd chose. */
const withRealPorts = (config: Config, bound: readonly Bound[]): Config => ({
  ...config,
  listeners: config.listeners.map((listener) => {
    const { socket } = bound.find((each) => each.listener === listener) ?? {};
    return socket === undefined ? listener : { ...listener, port: socket.port };
  }),
});

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

const writePorts = (file: string, listeners: readonly Bound[]): void => {
  const ports = Object.fromEntries(listeners.map(({ listener, socket }) => [listener.name, socket.port]));
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(ports)}\n`, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
};

const summary = (listeners: readonly Bound[]): Served['listening'] => {
  const byName = new Map<string, { name: string; addresses: string[]; port: number }>();
  for (const { listener, socket } of listeners) {
    const known = byName.get(listener.name);
    if (known === undefined)
      byName.set(listener.name, { name: listener.name, addresses: [socket.address], port: socket.port });
    else known.addresses.push(socket.address);
  }
  return [...byName.values()];
};
