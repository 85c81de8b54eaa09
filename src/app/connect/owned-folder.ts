import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';

/**
 * A data folder that a server has used and that belongs to the one who asks.
 *
 * @throws {FengniError} `data-folder-missing`, `data-folder-closed`, `data-folder-newer` (exit status 3)
 */
export const requireOwnedFolder = async (folder: string): Promise<void> => {
  const owner = dataFolderOwner(folder);
  // Root too: what it would write, the server's own user could not open afterwards.
  if (owner !== process.geteuid?.())
    throw closed(folder, `it belongs to ${userName(owner)}`, userName(owner));
  const { requireDataFolder } = await import('#app/serve');
  requireDataFolder(folder);
};

/** The user id that a data folder belongs to. @throws {FengniError} `data-folder-missing`, `data-folder-closed` */
export const dataFolderOwner = (folder: string): number => {
  try {
    const { uid } = fs.statSync(folder);
    if (uid === process.geteuid?.()) fs.statSync(path.join(folder, 'FORMAT'));
    return uid;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM')
      throw closed(folder, 'a folder on the way to it is closed to this user', 'OWNER');
    throw new FengniError('data-folder-missing', {
      subject: folder,
      remedy: 'start the server once ("fengni serve"), or name its folder with --data DIR',
      cause,
    });
  }
};

const closed = (folder: string, why: string, owner: string): FengniError =>
  new FengniError('data-folder-closed', {
    subject: `${folder}: ${why}`,
    remedy: `run the command as the owner of the data folder: sudo -u ${owner} ./fengni …`,
  });

const userName = (uid: number): string => {
  try {
    const line = execFileSync('getent', ['passwd', String(uid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return line.split(':')[0] || `#${uid}`;
  } catch {
    return `#${uid}`;
  }
};
