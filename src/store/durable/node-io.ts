import fs from 'node:fs';
import { promisify } from 'node:util';
import { systemClock, systemRandom } from '#base/clock';
import type { FengniError } from '#base/errors';
import type { FileStat, Io, IoFile, OpenHow } from './io.ts';
import { ioError, poisonedError } from './io-error.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DIRECTORY, O_DSYNC } = fs.constants;
const flags: Readonly<Record<OpenHow, number>> = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT,
  'create-new': O_RDWR | O_CREAT | O_EXCL,
  // Where fsync is not to be had, under Node's permission model: the kernel syncs with each write (open(2), O_DSYNC).
  'create-new-synced': O_RDWR | O_CREAT | O_EXCL | O_DSYNC,
};

/** The most pieces one `writev` takes (IOV_MAX on Linux). */
const piecesMax = 1024;
/**
 * A write of at most that many octets into the page cache is done at once: it takes tens of microseconds, and the way through libuv's
 * threads and back costs more than that. Nothing else waits for a disk here: a write that syncs never goes this way.
 */
const atOnceBytesMax = 256 * 1024;

const open = promisify(fs.open);
const close = promisify(fs.close);
const fdatasync = promisify(fs.fdatasync);
const fsync = promisify(fs.fsync);
const ftruncate = promisify(fs.ftruncate);
const fstat = promisify(fs.fstat);
const readdir = promisify(fs.readdir);
const mkdir = promisify(fs.mkdir);
const rename = promisify(fs.rename);
const unlink = promisify(fs.unlink);
const stat = promisify(fs.stat);

/**
 * The machine itself: callback `fs` on libuv's thread pool, so that a sync never blocks the event loop; small writes are done at once.
 *
 * Files are made 0600, folders 0700. Short writes are continued, also the ones of `writev`.
 */
export const nodeIo: Io = {
  clock: systemClock,
  random: systemRandom,
  open: async (path, how) =>
    new NodeFile(path, await done('open', path, open(path, flags[how], 0o600)), how === 'create-new-synced'),
  readFile: async (path) => {
    const file = await nodeIo.open(path, 'read');
    try {
      const octets = new Uint8Array(await file.size());
      const length = await file.read(octets, 0);
      return length === octets.length ? octets : octets.slice(0, length);
    } finally {
      await file.close();
    }
  },
  readFolder: async (path) => (await done('read folder', path, readdir(path))).sort(),
  makeFolder: async (path) => {
    try {
      await mkdir(path, 0o700);
    } catch (error) {
      const known = systemCode(error) === 'EEXIST' ? await nodeIo.stat(path) : null;
      if (known?.kind !== 'folder') throw ioError('make folder', path, systemCode(error), error);
    }
  },
  rename: (from, to) => done('rename', from, rename(from, to)),
  remove: (path) => done('remove', path, unlink(path)),
  stat: async (path): Promise<FileStat | null> => {
    try {
      const found = await stat(path);
      if (!found.isFile() && !found.isDirectory()) throw ioError('stat', path, 'neither a file nor a folder');
      return {
        kind: found.isDirectory() ? 'folder' : 'file',
        size: found.size,
        inode: found.ino,
        birthMs: Math.floor(found.birthtimeMs),
      };
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw typeof code === 'string' && code !== 'unknown' ? ioError('stat', path, code, error) : error;
    }
  },
  syncFolder: async (path) => {
    const descriptor = await done('open', path, open(path, O_RDONLY | O_DIRECTORY));
    try {
      await done('sync folder', path, fsync(descriptor));
    } finally {
      await close(descriptor).catch(() => {});
    }
  },
};

class NodeFile implements IoFile {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #isSynced: boolean;
  #poisoned = false;
  #closed = false;

  constructor(path: string, descriptor: number, isSynced: boolean) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#isSynced = isSynced;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#refuseClosed();
    let done = 0;
    while (done < into.length) {
      const length = await this.#readOnce(into, done, position + done);
      if (length === 0) break;
      done += length;
    }
    return done;
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    this.#refusePoisoned();
    let rest = pieces.filter((piece) => piece.length > 0);
    let at = position;
    const bytes = rest.reduce((sum, { length }) => sum + length, 0);
    const isAtOnce = !this.#isSynced && bytes <= atOnceBytesMax;
    while (rest.length > 0) {
      const batch = rest.length > piecesMax ? rest.slice(0, piecesMax) : rest;
      let written = isAtOnce ? this.#writeAtOnce(batch, at) : await this.#writeOnce(batch, at);
      if (written === 0) throw ioError('write', this.#path, 'EIO', 'nothing was written');
      at += written;
      let whole = 0;
      for (const piece of batch) {
        if (written < piece.length) break;
        written -= piece.length;
        whole++;
      }
      rest = rest.slice(whole);
      const cut = rest[0];
      if (written > 0 && cut !== undefined) rest[0] = cut.subarray(written);
    }
  }

  dataSync(): Promise<void> {
    return this.#sync('sync data of', fdatasync);
  }

  sync(): Promise<void> {
    return this.#sync('sync', fsync);
  }

  async truncate(size: number): Promise<void> {
    this.#refusePoisoned();
    await done('truncate', this.#path, ftruncate(this.#descriptor, size));
  }

  async size(): Promise<number> {
    this.#refuseClosed();
    return (await done('stat', this.#path, fstat(this.#descriptor))).size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await done('close', this.#path, close(this.#descriptor));
  }

  async #sync(operation: string, sync: (descriptor: number) => Promise<void>): Promise<void> {
    this.#refusePoisoned();
    try {
      await sync(this.#descriptor);
    } catch (error) {
      // The kernel marks the pages clean after a failed write-back: a second sync would succeed and mean nothing.
      this.#poisoned = true;
      throw ioError(operation, this.#path, systemCode(error), error);
    }
    if (this.#poisoned) throw poisonedError(this.#path);
  }

  /** The number of a closed descriptor may belong to another file by now. */
  #refuseClosed(): void {
    if (this.#closed) throw ioError('use', this.#path, 'EBADF');
  }

  #refusePoisoned(): void {
    this.#refuseClosed();
    if (this.#poisoned) throw poisonedError(this.#path);
  }

  #writeFailed(error: unknown): FengniError {
    // A write that syncs and fails leaves pages that a later one would pass over, like a sync that failed.
    if (this.#isSynced) this.#poisoned = true;
    return ioError('write', this.#path, systemCode(error), error);
  }

  #readOnce(into: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#descriptor, into, offset, into.length - offset, position, (error, length) =>
        error === null ? resolve(length) : reject(ioError('read', this.#path, systemCode(error), error)),
      );
    });
  }

  #writeAtOnce(pieces: readonly Uint8Array[], position: number): number {
    try {
      return fs.writevSync(this.#descriptor, pieces as Uint8Array[], position);
    } catch (error) {
      throw this.#writeFailed(error);
    }
  }

  #writeOnce(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.writev(this.#descriptor, pieces as Uint8Array[], position, (error, length) =>
        error === null ? resolve(length) : reject(this.#writeFailed(error)),
      );
    });
  }
}

const systemCode = (error: unknown): string => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unknown';
};

const done = async <T>(operation: string, path: string, call: Promise<T>): Promise<T> => {
  try {
    return await call;
  } catch (error) {
    throw ioError(operation, path, systemCode(error), error);
  }
};
