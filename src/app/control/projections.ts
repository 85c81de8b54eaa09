import fs from 'node:fs';
import path from 'node:path';
import type { Directory, MailIndex } from '#store/index';
import { openSqliteDirectory, openSqliteIndex } from '#store/sqlite';

/** `index.db` and `state.db` of a data folder, for the one who writes them. */
export const projectionsIn = (
  dataFolder: string,
  fresh: boolean,
): { index: MailIndex; directory: Directory } => {
  if (fresh) removeProjections(dataFolder);
  return {
    index: openSqliteIndex(path.join(dataFolder, 'index.db'), { readOnly: false }),
    directory: openSqliteDirectory(path.join(dataFolder, 'state.db'), { readOnly: false }),
  };
};

/** Throws the projections away, and what is made from them: the log has everything. */
export const removeProjections = (dataFolder: string): void => {
  for (const name of ['index.db', 'state.db']) removeDatabase(dataFolder, name);
  removeTrace(dataFolder);
};

/** Throws `trace.db` away: the index has everything. */
export const removeTrace = (dataFolder: string): void => removeDatabase(dataFolder, traceFile);

export const traceFile = 'trace.db';

/** The files that SQLite makes of one database. */
export const databaseSuffixes = ['', '-wal', '-shm'] as const;

const removeDatabase = (dataFolder: string, name: string): void => {
  for (const suffix of databaseSuffixes) fs.rmSync(path.join(dataFolder, name + suffix), { force: true });
};
