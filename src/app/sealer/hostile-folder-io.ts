import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import { FengniError } from '#base/errors';
import { type Io, nodeIo } from '#store/durable';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** octets of one file: a bundle of 256 leaves has at most 102,912, a signed head 262,144 (docs/formats) */
const fileBytesMax = 262_144;
/** names in one folder: partial tiles of one place are at most 255 */
const folderNamesMax = 4_096;

/**
 * Reading in a folder where somebody else writes who may mean ill: no link is followed at the end of a path, nothing but a regular file is
 * read (a FIFO, a device or a leased file would hold the reader up for ever), and nothing that is larger than what belongs there. It writes
 * nothing.
 */
export const hostileFolderIo: Io = {
  ...nodeIo,
  readFile: async (path) => {
    const file = await opened(path);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw unexpected(path, 'no regular file');
      if (stat.size > fileBytesMax) throw unexpected(path, `${stat.size} octets`);
      // What grows meanwhile is cut, what shrinks is short: either is refused for what it then holds.
      const octets = new Uint8Array(stat.size);
      let length = 0;
      while (length < octets.length) {
        const { bytesRead } = await file.read(octets, length, octets.length - length, length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return octets.subarray(0, length);
    } catch (error) {
      throw error instanceof FengniError ? error : unexpected(path, codeOf(error));
    } finally {
      await file.close();
    }
  },
  readFolder: async (path) => {
    const names: string[] = [];
    try {
      for await (const entry of await fs.opendir(path)) {
        names.push(entry.name);
        if (names.length > folderNamesMax) throw unexpected(path, `more than ${folderNamesMax} names`);
      }
    } catch (error) {
      if (error instanceof FengniError) throw error;
      throw isAbsent(error) ? absent(path) : unexpected(path, codeOf(error));
    }
    return names.sort();
  },
  open: (path) => refuse(path),
  makeFolder: (path) => refuse(path),
  rename: (path) => refuse(path),
  remove: (path) => refuse(path),
  syncFolder: (path) => refuse(path),
};

const opened = async (path: string): Promise<fs.FileHandle> => {
  try {
    return await fs.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    throw isAbsent(error) ? absent(path) : unexpected(path, codeOf(error));
  }
};

const refuse = (path: string): Promise<never> => Promise.reject(unexpected(path, 'written to'));

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);
const isAbsent = (error: unknown): boolean => codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR';

const absent = (path: string): FengniError =>
  new FengniError('file-not-found', {
    subject: `open ${path} (ENOENT)`,
    remedy: 'check that the data folder is whole and that --data names the right one',
  });

const unexpected = (path: string, what: string): FengniError =>
  new FengniError('ledger-damaged', {
    subject: `${path}: ${what}`,
    remedy: 'run "fengni verify --repair": the ledger is made again from the log',
    exitStatus: 1,
  });
