import fs from 'node:fs';
import path from 'node:path';
import type { Config } from '#app/config';
import type { TlsMaterial } from '#app/roles';
import { systemClock, systemRandom } from '#base/clock';
import type { Logger } from '#base/logger';
import { loadCertificates } from '#net/tls';
import type { User } from './privileges.ts';

export type Certificates = TlsMaterial['certificates'];

/**
 * The certificates to serve with, as roles get them: the configured ones, or the local authority's, made where they are missing.
 *
 * @throws {FengniError} those of `loadCertificates`
 */
export const readCertificates = async (
  config: Config,
  dataFolder: string,
  logger: Logger,
): Promise<Certificates> => {
  const loaded = await loadCertificates({
    folder: path.join(dataFolder, 'tls'),
    configured: config.tls.certificates,
    hostname: config.server.hostname,
    localDomains: ['fengni.test'],
    nowMs: systemClock.nowMs(),
    random: systemRandom,
  });
  for (const name of loaded.namesLeftOut)
    logger.warn('the local authority may not vouch for a name', { name });
  return loaded.certificates.map(({ name, cert, key }) => ({ name, cert, key }));
};

/** Files that can be read now, as root, and not again when root is given up. */
export const filesClosedTo = (user: User, config: Config): string[] =>
  config.tls.certificates
    .flatMap(({ cert, key }) => [cert, key])
    .filter((file) => {
      try {
        fs.accessSync(file, fs.constants.R_OK);
      } catch {
        return true;
      }
      return !mayRead(user, file);
    });

const mayRead = (user: User, file: string): boolean => {
  for (let at = fs.realpathSync(file), bit = 4; ; at = path.dirname(at), bit = 1) {
    const { uid, gid, mode } = fs.statSync(at);
    const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
    if (((mode >> shift) & bit) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
};
