import net from 'node:net';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { type AcceptedFrom, networksOf } from '#net/connection';
import type { InheritedSocket } from './messages.ts';

/**
 * Listens on a descriptor that the supervisor bound; connections that waited while nobody did are served now.
 *
 * @param from of a socket that peers connect to
 * @throws {FengniError} `port-in-use`: two programs may bind a port before one of them listens, the second of them learns it here
 */
export const listenOn = async (
  server: net.Server,
  descriptor: number,
  from: InheritedSocket | null = null,
): Promise<void> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' && from !== null ? portInUse(from, error) : error),
    );
    server.listen({ fd: descriptor, backlog: 511 }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
};

/** Serves each of a role's sockets. */
export const serveSockets = async (
  sockets: readonly InheritedSocket[],
  logger: Logger,
  accept: (socket: net.Socket, from: InheritedSocket, how: AcceptedFrom) => void,
): Promise<{ close(): void }> => {
  const servers: net.Server[] = [];
  for (const from of sockets) {
    const how = { proxies: networksOf(from.proxyFrom), isUnix: from.port === 0 };
    const server = net.createServer({ pauseOnConnect: false, allowHalfOpen: true, noDelay: true }, (socket) =>
      accept(socket, from, how),
    );
    await listenOn(server, from.descriptor, from);
    server.on('error', (error) =>
      logger.error('listener failed', { listener: from.name, error: error.message }),
    );
    servers.push(server);
  }
  return {
    close: () => {
      for (const server of servers) server.close();
    },
  };
};

const portInUse = ({ name, address, port }: InheritedSocket, cause: Error): FengniError =>
  new FengniError('port-in-use', {
    subject: `[listen.${name}] ${address.includes(':') ? `[${address}]` : address}:${port}`,
    remedy: 'stop the program that has it ("ss -ltnp" names it), or choose another port: --port-base 20000',
    cause,
  });
