import type { Dns, DnsAnswer } from '#trust/dns';

/**
 * DNS for one message: answers that are not there after `ms` milliseconds, all lookups together, are unavailable.
 *
 * An engine that asks one question after the other is so bounded in time, however slow a stranger's servers answer.
 */
export const withinTime = (dns: Dns, ms: number): Dns => {
  const endMs = performance.now() + ms;
  const bounded = <T>(ask: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> => {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) return Promise.resolve({ kind: 'unavailable', why: 'out of time' });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ kind: 'unavailable', why: 'out of time' }), leftMs);
      ask().then((answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
  };
  return {
    txt: (name) => bounded(() => dns.txt(name)),
    a: (name) => bounded(() => dns.a(name)),
    aaaa: (name) => bounded(() => dns.aaaa(name)),
    mx: (name) => bounded(() => dns.mx(name)),
    ptr: (address) => bounded(() => dns.ptr(address)),
  };
};
