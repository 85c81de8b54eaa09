import fs from 'node:fs/promises';
import path from 'node:path';
import type { Io } from '#store/durable';

const folderMode = 0o750;
const fileMode = 0o640;

/**
 * The same machine, where the group of the data folder may read what is made in the ledger: a sealer under a user of its own reads the
 * entries itself (FORMATS §1). Nothing but hashes and salted commitments is there.
 */
export const ledgerIo = (io: Io, dataFolder: string): Io => {
  const ledger = path.join(dataFolder, 'ledger') + path.sep;
  const isInLedger = (name: string): boolean => name.startsWith(ledger);
  return {
    ...io,
    open: async (name, how) => {
      const file = await io.open(name, how);
      if (isInLedger(name) && how.startsWith('create')) await fs.chmod(name, fileMode);
      return file;
    },
    makeFolder: async (name) => {
      await io.makeFolder(name);
      if (isInLedger(name)) await fs.chmod(name, folderMode);
    },
  };
};
