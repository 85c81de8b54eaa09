import fs from 'node:fs';
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Listener } from '#app/config';
import { FengniError } from '#base/errors';
import type { ActivatedSocket } from './socket-activation.ts';

/** A bound socket that a role will listen on; the descriptor stays ours, so that connections wait while a role restarts. */
export interface BoundSocket {
  descriptor: number;
  /** an IP address, or the path of a Unix socket */
  address: string;
  /** 0 for a Unix socket */
  port: number;
  close(): void;
}

/** What Node's own `cluster` uses to bind without listening. Listening is the role's: whoever listens also accepts. */
interface ServerHandle {
  readonly fd: number;
  getsockname?(out: { address?: string; port?: number }): number;
  close(): void;
}
const createServerHandle = (
  net as unknown as {
    _createServerHandle(
      address: string | null,
      port: number | null,
      type: 4 | 6 | -1 | null,
      fd: number,
      flags: number,
    ): ServerHandle | number;
  }
)._createServerHandle;

const ipv6Only = 1;

/**
 * Binds every address of a listener to one port, or takes the sockets that systemd opened for it, wherever they listen.
 *
 * @throws {FengniError} `port-in-use`, `port-forbidden`, `address-unavailable` (exit status 3)
 */
export const bindListener = (listener: Listener, activated: readonly ActivatedSocket[]): BoundSocket[] => {
  const opened = activated.filter(({ name }) => name === listener.name);
  if (opened.length > 0) return opened.map(({ descriptor }) => takeSocket(listener, descriptor));
  // A free port on the first address may be taken on the second: try a few.
  for (let attempt = 0; ; attempt++) {
    try {
      return bindAll(listener);
    } catch (error) {
      const again =
        listener.port === 0 && attempt < 20 && error instanceof FengniError && error.code === 'port-in-use';
      if (!again) throw error;
    }
  }
};

/** A socket that another program opened; it goes with this process. */
const takeSocket = (listener: Listener, descriptor: number): BoundSocket => {
  const handle = createServerHandle(null, null, null, descriptor, 0);
  if (typeof handle === 'number') throw unavailable(listener, `LISTEN_FDS ${descriptor}`, errnoName(handle));
  // A Unix socket's handle has no such call; systemd named it after a listener, which knows its path.
  if (handle.getsockname === undefined) {
    const path = listener.addresses.find((address) => address.startsWith('unix:'))?.slice(5) ?? '/';
    return { descriptor: handle.fd, address: path, port: 0, close: () => handle.close() };
  }
  const name: { address?: string; port?: number } = {};
  if (handle.getsockname(name) !== 0 || name.address === undefined) {
    handle.close();
    throw unavailable(listener, `LISTEN_FDS ${descriptor}`, 'ENOTSOCK');
  }
  return { descriptor: handle.fd, address: name.address, port: name.port ?? 0, close: () => handle.close() };
};

const bindAll = (listener: Listener): BoundSocket[] => {
  const bound: BoundSocket[] = [];
  try {
    for (const address of listener.addresses) {
      if (address.startsWith('unix:')) {
        bound.push(bindListenerPath(listener, address.slice(5)));
        continue;
      }
      const socket = bindAddress(listener, address, bound[0]?.port || listener.port);
      if (socket !== null) bound.push(socket);
    }
  } catch (error) {
    for (const socket of bound) socket.close();
    throw error;
  }
  if (bound.length === 0)
    throw unavailable(listener, listener.addresses.join(', '), 'no address of it exists here');
  return bound;
};

const bindAddress = (listener: Listener, address: string, port: number): BoundSocket | null => {
  const isIpv6 = net.isIPv6(address);
  const handle = createServerHandle(address, port, isIpv6 ? 6 : 4, -1, isIpv6 ? ipv6Only : 0);
  if (typeof handle === 'number') {
    const code = errnoName(handle);
    // A machine without IPv6 has no ::1; nobody asked for it by name.
    if (listener.addressesAreDefault && isIpv6 && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'))
      return null;
    if (code === 'EADDRINUSE') throw inUse(listener, address, port);
    if (code === 'EACCES') {
      throw new FengniError('port-forbidden', {
        subject: place(listener, address, port),
        remedy:
          'start as root (Fengni gives it up at once), let systemd open the port, or choose a port above 1023',
      });
    }
    throw unavailable(listener, address, code);
  }
  const name: { port?: number } = {};
  const failed = handle.getsockname?.(name) !== 0;
  // libuv keeps "address in use" for the moment of listening, and listening on an unbound socket takes any port.
  if (failed || name.port === 0 || (port !== 0 && name.port !== port)) {
    handle.close();
    throw inUse(listener, address, port);
  }
  return { descriptor: handle.fd, address, port: name.port ?? 0, close: () => handle.close() };
};

/**
 * Binds the Unix socket of a listener. One that is there and that nobody has open any more is of a server before this one.
 *
 * @throws {FengniError} `port-in-use`, `address-unavailable`
 */
const bindListenerPath = (listener: Listener, path: string): BoundSocket => {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) throw unavailable(listener, path, 'there is something else');
  if (found !== undefined && isOpenSomewhere(path)) throw inUse(listener, path, 0);
  let handle: ServerHandle | number;
  try {
    fs.rmSync(path, { force: true });
    handle = createServerHandle(path, -1, -1, -1, 0);
  } catch (error) {
    throw unavailable(listener, path, (error as NodeJS.ErrnoException).code ?? String(error));
  }
  if (typeof handle === 'number') throw unavailable(listener, path, errnoName(handle));
  fs.chmodSync(path, listener.socketMode);
  return { descriptor: handle.fd, address: path, port: 0, close: () => handle.close() };
};

/** Whether a process has a socket of this path: one that was killed leaves the name alone. @source proc(5), /proc/net/unix */
const isOpenSomewhere = (path: string): boolean => {
  try {
    return fs
      .readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .some((line) => line.endsWith(` ${path}`));
  } catch {
    return false;
  }
};

/**
 * Binds a Unix socket in place of an old one, for this user alone. The caller holds the folder's lock, so that an old one is stale.
 *
 * @throws {FengniError} `address-unavailable`
 */
export const bindPath = (path: string): BoundSocket => {
  const folder = fs.openSync(path.slice(0, path.lastIndexOf('/')) || '/', 'r');
  try {
    fs.rmSync(path, { force: true });
    // A socket's path has at most 107 octets: longer ones are reached through a descriptor of the folder.
    const handle = createServerHandle(
      `/proc/self/fd/${folder}/${path.slice(path.lastIndexOf('/') + 1)}`,
      -1,
      -1,
      -1,
      0,
    );
    if (typeof handle === 'number') {
      throw new FengniError('address-unavailable', {
        subject: `${path}: ${errnoName(handle)}`,
        remedy: 'put the data folder on a local file system',
      });
    }
    fs.chmodSync(path, 0o600);
    return { descriptor: handle.fd, address: path, port: 0, close: () => handle.close() };
  } finally {
    fs.closeSync(folder);
  }
};

const place = ({ name }: { name: string }, address: string, port: number): string =>
  address.startsWith('/')
    ? `[listen.${name}] unix:${address}`
    : `[listen.${name}] ${address.includes(':') ? `[${address}]` : address}:${port}`;

const inUse = (listener: { name: string }, address: string, port: number): FengniError =>
  new FengniError('port-in-use', {
    subject: place(listener, address, port),
    remedy: address.startsWith('/')
      ? 'stop the program that has it (ss -lxp names it), or choose another path'
      : `stop the program that has it (ss -ltnp 'sport = :${port}' names it), or choose another: --port-base 20000`,
  });

const unavailable = (listener: Listener, address: string, reason: string): FengniError =>
  new FengniError('address-unavailable', {
    subject: `[listen.${listener.name}] ${address}: ${reason}`,
    remedy: 'name an address that this machine has (ip address shows them)',
  });

const errnoName = (errno: number): string => getSystemErrorName(errno);
