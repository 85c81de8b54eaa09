import { chmod, type FileHandle, open } from 'node:fs/promises';
import type { Server } from 'node:net';
import { basename, dirname } from 'node:path';

/** `sun_path` has 108 octets, one of them the closing NUL. @source unix(7) */
export const socketPathBytesMax = 107;

export interface SocketPath {
  /** to bind or connect to, while it is open */
  path: string;
  close(): Promise<void>;
}

/**
 * A path of a Unix socket that the system takes: the path itself, or, where it is too long, the same file through a descriptor of
 * its folder.
 */
export const openSocketPath = async (
  path: string,
  options: { always?: boolean } = {},
): Promise<SocketPath> => {
  if (options.always !== true && Buffer.byteLength(path) <= socketPathBytesMax)
    return { path, close: async () => {} };
  const folder: FileHandle = await open(dirname(path), 'r');
  return { path: `/proc/self/fd/${folder.fd}/${basename(path)}`, close: () => folder.close() };
};

/**
 * Binds a server to a path of any length and lets only this user connect. The descriptor of the folder stays open as long as the
 * server: the system's own clean-up on close names the file by it.
 */
export const listenOnPath = async (server: Server, path: string): Promise<void> => {
  const socketPath = await openSocketPath(path);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: socketPath.path }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(path, 0o600);
  } catch (error) {
    server.close();
    await socketPath.close();
    throw error;
  }
  server.once('close', () => void socketPath.close());
};
