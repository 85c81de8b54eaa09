import path from 'node:path';
import type { Directory, MailIndex } from '#store/index';
import { openSqliteDirectory, openSqliteIndex } from '#store/sqlite';
import { requireOwnedFolder } from './owned-folder.ts';

export interface ReadOnlyData {
  /** DATA */
  folder: string;
  index: MailIndex;
  directory: Directory;
  close(): void;
}

/**
 * The projections of a data folder, for commands that change nothing, beside a running server or without one.
 *
 * @throws {FengniError} as `requireOwnedFolder`, and `projection-unusable` where one is missing or damaged
 */
export const openReadOnly = async (folder: string): Promise<ReadOnlyData> => {
  await requireOwnedFolder(folder);
  const directory = openSqliteDirectory(path.join(folder, 'state.db'), { readOnly: true });
  let index: MailIndex;
  try {
    index = openSqliteIndex(path.join(folder, 'index.db'), { readOnly: true });
  } catch (error) {
    directory.close();
    throw error;
  }
  return {
    folder,
    index,
    directory,
    close: () => {
      index.close();
      directory.close();
    },
  };
};
