import type { Clock, Random } from '#base/clock';

/** An open file. Calls may overlap; each says for itself what is done when it resolves. */
export interface IoFile {
  /** Reads until `into` is full or the file ends. @returns octets read, 0 at the end */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all pieces one after the other from `position`, or throws; the pieces must not change meanwhile. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** Content and size are durable. After an error of this or `sync` the descriptor refuses every further sync and write. */
  dataSync(): Promise<void>;
  /** Content and all attributes are durable; the name in its folder needs `Io.syncFolder`. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/**
 * `read` and `write` need the file; `create` makes it where it is absent; `create-new` refuses one that exists, and so does
 * `create-new-synced`, whose every write is durable, with the file's size, when it resolves. All but `read` read and write.
 */
export type OpenHow = 'read' | 'write' | 'create-new' | 'create-new-synced' | 'create';

export interface FileStat {
  kind: 'file' | 'folder';
  size: number;
  inode: number;
  /** milliseconds since 1970, 0 where the file system does not keep it */
  birthMs: number;
}

/**
 * Everything that the store asks of a machine: files, clock, randomness.
 *
 * Errors are `FengniError`s: `file-not-found`, `file-exists`, `disk-full`, `no-access`, `io-error`, `descriptor-poisoned`.
 */
export interface Io {
  open(path: string, how: OpenHow): Promise<IoFile>;
  /** @throws {FengniError} `file-not-found` */
  readFile(path: string): Promise<Uint8Array>;
  /** Names, sorted by code unit. @throws {FengniError} `file-not-found` */
  readFolder(path: string): Promise<string[]>;
  /** One level; the parent must exist. A folder that exists is left alone. */
  makeFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  stat(path: string): Promise<FileStat | null>;
  /** Names made, renamed or removed in the folder are durable. */
  syncFolder(path: string): Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
}
