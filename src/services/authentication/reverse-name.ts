import { isIPv4, isIPv6 } from 'node:net';
import type { Dns } from '#trust/dns';

/** Whether a name that an address points to points back to it (RFC 8601 §2.7.3). */
export interface ReverseName {
  readonly result: 'pass' | 'fail' | 'permerror' | 'temperror';
  /** a name that points back; null unless it is `pass` */
  readonly name: string | null;
  /** why it is not `pass`, in English */
  readonly reason: string | null;
}

/** names that are followed, as RFC 7208 §4.6.4 has it for `ptr` */
const namesMax = 10;

/** @source RFC 8601 §3 */
export const checkReverseName = async (dns: Dns, address: string): Promise<ReverseName> => {
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  const isV4 = isIPv4(plain);
  if (!isV4 && !isIPv6(plain)) return { result: 'permerror', name: null, reason: 'no IP address' };
  const pointers = await dns.ptr(plain);
  if (pointers.kind === 'unavailable') return { result: 'temperror', name: null, reason: pointers.why };
  if (pointers.kind === 'none') return { result: 'permerror', name: null, reason: 'the address has no name' };
  let unavailable: string | null = null;
  for (const name of pointers.records.slice(0, namesMax)) {
    const forward = await (isV4 ? dns.a(name) : dns.aaaa(name));
    if (forward.kind === 'unavailable') unavailable = forward.why;
    if (forward.kind === 'found' && forward.records.some((each) => sameAddress(each, plain)))
      return { result: 'pass', name, reason: null };
  }
  return unavailable === null
    ? { result: 'fail', name: null, reason: 'its name does not point back to the address' }
    : { result: 'temperror', name: null, reason: unavailable };
};

/** In whatever form both are written. */
const sameAddress = (one: string, other: string): boolean => one === other || normal(one) === normal(other);

const normal = (address: string): string =>
  isIPv6(address) ? new URL(`http://[${address}]`).hostname : address;
