import { dirname } from 'node:path';
import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from './io.ts';

/**
 * Makes a folder and its missing parents; all of their names are durable when it resolves.
 *
 * A folder that is there already may have been made by a process that was killed before it synced the name: names above it are synced
 * too, as far as this process may read the folders that hold them.
 */
export const makeFolderDurable = async (io: Io, path: string): Promise<void> => {
  const parent = dirname(path);
  if (parent === path) return;
  const known = await io.stat(path).catch(allowNoAccess);
  if (known !== undefined && known !== null && known.kind !== 'folder') {
    throw new FengniError('file-exists', {
      subject: `${path} is a file where a folder is needed`,
      remedy: 'move the file away',
    });
  }
  await makeFolderDurable(io, parent);
  if (known === null) {
    await io.makeFolder(path);
    await io.syncFolder(parent);
  } else {
    await io.syncFolder(parent).catch(allowNoAccess);
  }
};

const allowNoAccess = (error: unknown): undefined => {
  if (error instanceof FengniError && error.code === 'no-access') return undefined;
  throw error;
};

/**
 * Replaces or makes a file: whoever opens `path`, at any time and after a power cut, finds the old content or the new, whole.
 *
 * When it resolves the new content is durable. An error leaves the old content in place (or, for an error of the last sync, either).
 */
export const replaceFileDurable = async (
  io: Io,
  path: string,
  pieces: readonly Uint8Array[],
): Promise<void> => {
  const temporary = `${path}.${hex(io.random(8))}.tmp`;
  const file = await io.open(temporary, 'create-new');
  try {
    await file.write(pieces, 0);
    await file.sync();
  } catch (error) {
    await file.close().catch(() => {});
    await io.remove(temporary).catch(() => {});
    throw error;
  }
  await file.close();
  await io.rename(temporary, path);
  await io.syncFolder(dirname(path));
};
