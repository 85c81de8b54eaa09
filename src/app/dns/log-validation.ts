import type { Config } from '#app/config';
import type { Logger } from '#base/logger';
import type { DnsClient } from '#net/dns';
import { resolversOf } from './open-dns.ts';

/** Finds out whether the resolvers validate, and says so once; for the start of a role that asks them. Never rejects. */
export const logValidation = async (
  dns: DnsClient,
  config: Pick<Config, 'dns'>,
  logger: Logger,
): Promise<void> => {
  const validation = await dns.validation();
  if (validation === 'closed') return;
  const fields = { resolvers: resolversOf(config).join(' '), validation };
  if (validation === 'validates') logger.info('DNS resolvers validate', fields);
  else if (validation === 'unavailable') logger.warn('DNS resolvers do not answer', fields);
  else logger.warn('DNS answers are not validated', fields);
};
