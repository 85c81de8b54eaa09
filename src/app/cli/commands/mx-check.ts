import { Resolver } from 'node:dns/promises';

/** Whether the public DNS leads a domain's mail to this server. "Could not be asked" is never "no". */
export type MxVerdict =
  | { kind: 'live' }
  | { kind: 'absent' }
  | { kind: 'other'; found: readonly string[] }
  | { kind: 'unavailable'; reason: string };

/** @param resolvers as `[dns] resolvers` has them; none: those of the system */
export const checkMx = async (
  domain: string,
  hostname: string,
  resolvers: readonly string[],
): Promise<MxVerdict> => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (resolvers.length > 0) resolver.setServers([...resolvers]);
  try {
    const found = await resolver.resolveMx(domain);
    const isOurs = found.some(({ exchange }) => withoutDot(exchange) === withoutDot(hostname));
    if (isOurs) return { kind: 'live' };
    return {
      kind: 'other',
      found: found.map(({ priority, exchange }) => `${priority} ${exchange || '.'}`),
    };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return code === 'ENODATA' || code === 'ENOTFOUND'
      ? { kind: 'absent' }
      : { kind: 'unavailable', reason: code };
  }
};

const withoutDot = (name: string): string => name.toLowerCase().replace(/\.$/, '');
