import { dirname } from 'node:path';
import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io } from './io.ts';

/** Makes a folder and its missing parents; all of their names are durable when it resolves. */
export const makeFolderDurable = async (io: Io, path: string): Promise<void> => {
  const known = await io.stat(path);
  const parent = dirname(path);
  if (known === null) {
    if (parent !== path) await makeFolderDurable(io, parent);
    await io.makeFolder(path);
  } else if (known.kind !== 'folder') {
    throw new FengniError('file-exists', {
      subject: `${path} is a file where a folder is needed`,
      remedy: 'move the file away',
    });
  } else {
    return;
  }
  await io.syncFolder(parent);
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
