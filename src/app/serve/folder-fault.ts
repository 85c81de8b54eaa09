import { FengniError } from '#base/errors';
import { say } from '#base/text';

/** The data folder belongs to a user that the server is not. */
export const ofAnother = (dataFolder: string, owner: number): FengniError =>
  new FengniError('data-folder-of-another', {
    subject: `${dataFolder} (uid ${owner})`,
    remedy: say('en', 'remedy.data-folder-of-another'),
  });

/** What went wrong with a data folder, in words. */
export const folderFault = (folder: string, cause: NodeJS.ErrnoException): FengniError => {
  const subject = cause.path ?? folder;
  const fault = (
    code: 'data-folder-not-writable' | 'data-folder-not-a-folder' | 'disk-full' | 'data-folder-unusable',
    about = subject,
  ): FengniError => new FengniError(code, { subject: about, remedy: say('en', `remedy.${code}`), cause });
  switch (cause.code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return fault('data-folder-not-writable');
    case 'EEXIST':
    case 'ENOTDIR':
      return fault('data-folder-not-a-folder');
    case 'ENOSPC':
    case 'EDQUOT':
      return fault('disk-full');
    default:
      return fault('data-folder-unusable', `${folder}: ${cause.message}`);
  }
};
