import { FengniError } from '#base/errors';

const codes: Readonly<Record<string, readonly [code: string, remedy: string]>> = {
  ENOENT: ['file-not-found', 'check that the data folder is whole and that --data names the right one'],
  ENOTDIR: ['file-not-found', 'check that the data folder is whole and that --data names the right one'],
  EEXIST: ['file-exists', 'another process may be writing here; stop it and try again'],
  ENOSPC: ['disk-full', 'free space on the disk of the data folder, then start again'],
  EDQUOT: ['disk-full', 'raise the quota of the owner of the data folder, then start again'],
  EACCES: ['no-access', 'run the command as the owner of the data folder'],
  ERR_ACCESS_DENIED: ['no-access', 'this role may not reach the file; start Fengni by its own launcher'],
  EPERM: ['no-access', 'run the command as the owner of the data folder'],
  EROFS: ['no-access', 'the file system is read-only; look for disk errors in the system log'],
};

/** The typed form of what the operating system said about one file. */
export const ioError = (
  operation: string,
  path: string,
  systemCode: string,
  cause?: unknown,
): FengniError => {
  const [code, remedy] = codes[systemCode] ?? [
    'io-error',
    'look for disk errors in the system log; do not restart before the disk is known to be good',
  ];
  return new FengniError(code, { subject: `${operation} ${path} (${systemCode})`, remedy, cause });
};

export const poisonedError = (path: string): FengniError =>
  new FengniError('descriptor-poisoned', {
    subject: `${path}: an earlier sync of this descriptor failed`,
    remedy: 'stop and start again: recovery finds what is on the disk',
  });
