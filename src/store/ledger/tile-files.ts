import { dirname } from 'node:path';
import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import { makeFolderDurable } from '#store/durable';
import { type TileName, tilePath, tileWidth } from '#trust/seal';

/** A file that was being written when the process ended; removed by the next write. */
export const temporaryName = 'tile.tmp';

/** Writes tiles of one ledger folder; a reader finds a tile whole or not at all. */
export class TileFiles {
  readonly #io: Io;
  readonly folder: string;
  readonly #known = new Set<string>();

  constructor(io: Io, folder: string) {
    this.#io = io;
    this.folder = folder;
  }

  path(tile: TileName): string {
    return `${this.folder}/${tilePath(tile)}`;
  }

  /**
   * @param durable full tiles and what stands above them: never written again. Partial tiles of the lowest level are
   * made again from the log after a crash.
   */
  async write(tile: TileName, octets: Uint8Array, durable: boolean): Promise<void> {
    const path = this.path(tile);
    const folder = dirname(path);
    await this.makeFolder(folder);
    const temporary = `${this.folder}/${temporaryName}`;
    const file = await this.#createNew(temporary);
    try {
      await file.write([octets], 0);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await this.#io.rename(temporary, path);
    if (durable) await this.#io.syncFolder(folder);
  }

  /** A name left behind may still be a second name of a finished tile: it is removed, never written to. */
  async #createNew(path: string): Promise<IoFile> {
    if ((await this.#io.stat(path)) !== null) await this.#io.remove(path);
    return await this.#io.open(path, 'create-new');
  }

  async makeFolder(folder: string): Promise<void> {
    if (this.#known.has(folder)) return;
    await makeFolderDurable(this.#io, folder);
    // one name for each 256 leaves: forget rather than grow
    if (this.#known.size >= knownFoldersMax) this.#known.clear();
    this.#known.add(folder);
  }

  /** Removes the partial tiles that a full one replaces. @source C2SP tlog-tiles “Partial Tiles” */
  async removePartials(tile: TileName): Promise<void> {
    const folder = partialsFolder(this.path({ ...tile, width: tileWidth }));
    const names = await namesIn(this.#io, folder);
    for (const name of names) await this.#io.remove(`${folder}/${name}`);
    // without it a cut could bring back one whose content was never synced
    if (names.length > 0) await this.#io.syncFolder(folder);
  }
}

const knownFoldersMax = 1_000;

/** Where the partial tiles of a tile lie, from the path of the full one. */
export const partialsFolder = (fullPath: string): string => `${fullPath}.p`;

/** The names in a folder, none where it is absent. */
export const namesIn = async (io: Io, folder: string): Promise<string[]> => {
  try {
    return await io.readFolder(folder);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
};

/** A file's octets, null where it is absent. */
export const octetsIn = async (io: Io, path: string): Promise<Uint8Array | null> => {
  try {
    return await io.readFile(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
};

const isAbsent = (error: unknown): boolean => error instanceof FengniError && error.code === 'file-not-found';
