import path from 'node:path';
import { type Io, makeFolderDurable } from '#store/durable';

/** Puts files on a machine, all of it durable. */
export const copyFiles = async (io: Io, files: ReadonlyMap<string, Uint8Array>): Promise<void> => {
  for (const [name, octets] of files) {
    await makeFolderDurable(io, path.posix.dirname(name));
    const file = await io.open(name, 'create-new');
    await file.write([octets], 0);
    await file.sync();
    await file.close();
    await io.syncFolder(path.posix.dirname(name));
  }
};
