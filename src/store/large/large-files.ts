import { FengniError } from '#base/errors';
import { type Io, makeFolderDurable } from '#store/durable';
import { parseLargeFileName } from '#store/segments';
import { isSpoolName, largeFolder, largePath, spoolFolder } from './paths.ts';
import { removeIfThere } from './spool.ts';

export type TakeOutcome =
  | { kind: 'taken' }
  /** another message has, or had, this id */
  | { kind: 'in-use' }
  /** the spooled file is not there, or has another length */
  | { kind: 'missing' };

/** The writer's side of `large/`. */
export class LargeFiles {
  readonly #io: Io;
  readonly #folder: string;
  readonly #taking = new Set<string>();
  /** the sync that runs, and the one that begins when it ends: whoever comes meanwhile needs the second */
  #syncing: Promise<void> | null = null;
  #nextSync: Promise<void> | null = null;

  constructor(io: Io, folder: string) {
    this.#io = io;
    this.#folder = folder;
  }

  /** @param folder DATA; both folders are there and durable afterwards */
  static async open(io: Io, folder: string): Promise<LargeFiles> {
    await makeFolderDurable(io, largeFolder(folder));
    await makeFolderDurable(io, spoolFolder(folder));
    return new LargeFiles(io, folder);
  }

  /**
   * Makes a spooled file, whose octets are durable, the file of a message: its new name is durable when this resolves.
   *
   * @throws {FengniError} of `Io`: what the disk holds is for the next start to find out
   */
  async take(id: string, spoolName: string, lengthBytes: number): Promise<TakeOutcome> {
    if (!isSpoolName(spoolName)) return { kind: 'missing' };
    const target = largePath(this.#folder, id);
    if (this.#taking.has(id)) return { kind: 'in-use' };
    this.#taking.add(id);
    try {
      // A rename would replace the other message's body.
      if ((await this.#io.stat(target)) !== null) return { kind: 'in-use' };
      const source = `${spoolFolder(this.#folder)}/${spoolName}`;
      const found = await this.#io.stat(source);
      if (found?.kind !== 'file' || found.size !== lengthBytes) return { kind: 'missing' };
      try {
        await this.#io.rename(source, target);
      } catch (error) {
        // The role that received it has given it up meanwhile.
        if (error instanceof FengniError && error.code === 'file-not-found') return { kind: 'missing' };
        throw error;
      }
      await this.#sync();
      return { kind: 'taken' };
    } finally {
      this.#taking.delete(id);
    }
  }

  /** Takes away the file of a message that was refused after all, or erased. */
  async drop(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    for (const id of ids) await removeIfThere(this.#io, largePath(this.#folder, id));
    await this.#sync();
  }

  /** The ids that the names in `large/` say; other names mean nothing here. */
  async ids(): Promise<string[]> {
    const names = await this.#io.readFolder(largeFolder(this.#folder));
    return names.map(parseLargeFileName).filter((id) => id !== null);
  }

  /** Both folders; calls that come while a sync runs share the next one. */
  #sync(): Promise<void> {
    if (this.#syncing === null) {
      this.#syncing = this.#syncFolders().finally(() => {
        this.#syncing = null;
      });
      return this.#syncing;
    }
    const running = this.#syncing;
    this.#nextSync ??= running
      .catch(() => {})
      .then(() => {
        this.#nextSync = null;
        return this.#sync();
      });
    return this.#nextSync;
  }

  async #syncFolders(): Promise<void> {
    await this.#io.syncFolder(largeFolder(this.#folder));
    await this.#io.syncFolder(spoolFolder(this.#folder));
  }
}
