import assert from 'node:assert/strict';
import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import { isSpoolName, spoolFolder, spoolOwner } from './paths.ts';

/** One body on its way: ciphertext, durable piece by piece. */
export interface SpoolFile {
  /** in `spool/` */
  readonly name: string;
  /**
   * Adds octets at the end; they are durable when it resolves. One call at a time.
   *
   * @throws {FengniError} `disk-full`, or of `Io`: the file can only be discarded then
   */
  append(pieces: readonly Uint8Array[]): Promise<void>;
  /** the octets are complete */
  close(): Promise<void>;
  /** Takes the file away; one that the writer has made its own by then stays its own. */
  discard(): Promise<void>;
}

/** Where a process writes large bodies as they arrive. */
export interface Spool {
  create(): Promise<SpoolFile>;
}

/**
 * @param options.folder DATA
 * @param options.owner lower-case letters, the role whose files these are: it removes what an earlier life of its own left
 */
export const openSpool = (options: { io: Io; folder: string; owner: string }): Spool => {
  const { io, owner } = options;
  const folder = spoolFolder(options.folder);
  return {
    create: async () => {
      const name = `${owner}-${hex(io.random(16))}`;
      assert(isSpoolName(name), 'an owner is up to 16 lower-case letters');
      const path = `${folder}/${name}`;
      const file = await io.open(path, 'create-new-synced');
      return spoolFile(io, name, path, file);
    },
  };
};

const spoolFile = (io: Io, name: string, path: string, file: IoFile): SpoolFile => {
  let lengthBytes = 0;
  return {
    name,
    append: async (pieces) => {
      await file.write(pieces, lengthBytes);
      for (const piece of pieces) lengthBytes += piece.length;
    },
    close: () => file.close(),
    discard: async () => {
      await file.close().catch(() => {});
      await removeIfThere(io, path);
    },
  };
};

/**
 * Removes what lies in `spool/`, at the start of the process that it belongs to.
 *
 * @param isOurs by the owner that the name says; the empty one for a name of nobody
 */
export const emptySpool = async (
  io: Io,
  folder: string,
  isOurs: (owner: string) => boolean,
): Promise<number> => {
  const spool = spoolFolder(folder);
  if ((await io.stat(spool)) === null) return 0;
  const names = (await io.readFolder(spool)).filter((name) =>
    isOurs(isSpoolName(name) ? spoolOwner(name) : ''),
  );
  for (const name of names) await removeIfThere(io, `${spool}/${name}`);
  return names.length;
};

export const removeIfThere = async (io: Io, path: string): Promise<void> => {
  try {
    await io.remove(path);
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'file-not-found') throw error;
  }
};
