import type { DnsClient } from '#net/dns';

/** What a client counted, by the names that `/metrics` knows. */
export const dnsCounters = ({ counts }: DnsClient): Readonly<Record<string, number>> => ({
  'dns-lookup': counts.lookups,
  'dns-cache-hit': counts.cacheHits,
  'dns-unavailable': counts.unavailable,
  'dns-stray-answer': counts.strayAnswers,
  'dns-silence': counts.silences,
  'dns-overloaded': counts.overloaded,
});
