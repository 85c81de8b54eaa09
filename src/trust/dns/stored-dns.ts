import type { Dns, DnsAnswer } from './dns.ts';

const nothing = { kind: 'none', why: 'nxdomain', authenticated: false, ttl: 0 } as const;

/**
 * DNS as it was: answers from TXT records that were kept, and nothing else. What was not kept is `unavailable` where
 * `isWhole` is false: nobody knows any more what was there.
 *
 * @param records names in A-labels and lower case
 */
export const storedDns = (
  records: ReadonlyMap<string, readonly Uint8Array[]>,
  { isWhole = false }: { isWhole?: boolean } = {},
): Dns => {
  const gone: DnsAnswer<never> = isWhole ? nothing : { kind: 'unavailable', why: 'the answer was not kept' };
  return {
    txt: async (name) => {
      const found = records.get(name.toLowerCase().replace(/\.$/, ''));
      return found === undefined || found.length === 0
        ? gone
        : { kind: 'found', records: found, authenticated: false, ttl: 0 };
    },
    a: async () => gone,
    aaaa: async () => gone,
    mx: async () => gone,
    ptr: async () => gone,
  };
};
