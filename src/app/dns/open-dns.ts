import fs from 'node:fs';
import type { Config } from '#app/config';
import { systemClock, systemRandom } from '#base/clock';
import { createDnsClient, type DnsClient, type DnsLimits, readResolvConf, resolvConfPath } from '#net/dns';

/** `127.0.0.1:53`, in the order in which they are asked. */
export const resolversOf = (config: Pick<Config, 'dns'>): readonly string[] => {
  if (config.dns.resolvers.length > 0) return config.dns.resolvers;
  let text = '';
  try {
    text = fs.readFileSync(resolvConfPath, 'utf8');
  } catch {
    // As if it named none.
  }
  return readResolvConf(text);
};

/** Close it when it is no longer needed. */
export const openDns = (config: Pick<Config, 'dns'>, limits: Partial<DnsLimits> = {}): DnsClient =>
  createDnsClient({
    resolvers: resolversOf(config),
    trustAd: config.dns.trustAd,
    clock: systemClock,
    random: systemRandom,
    limits,
  });
