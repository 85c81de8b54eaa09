import net from 'node:net';
import type { Logger } from '#base/logger';
import type { InheritedSocket } from './messages.ts';

/** Listens on a descriptor that the supervisor bound; connections that waited while nobody did are served now. */
export const listenOn = async (server: net.Server, descriptor: number): Promise<void> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: descriptor, backlog: 511 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
};

/** Serves each of a role's sockets. */
export const serveSockets = async (
  sockets: readonly InheritedSocket[],
  logger: Logger,
  accept: (socket: net.Socket, from: InheritedSocket) => void,
): Promise<{ close(): void }> => {
  const servers: net.Server[] = [];
  for (const from of sockets) {
    const server = net.createServer({ pauseOnConnect: false, allowHalfOpen: true, noDelay: true }, (socket) =>
      accept(socket, from),
    );
    server.on('error', (error) =>
      logger.error('listener failed', { listener: from.name, error: error.message }),
    );
    await listenOn(server, from.descriptor);
    servers.push(server);
  }
  return {
    close: () => {
      for (const server of servers) server.close();
    },
  };
};
