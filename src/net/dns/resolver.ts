import { formatIp, isLoopback, parseIp } from '#base/ip-address';

export interface Resolver {
  readonly address: string;
  readonly port: number;
  readonly isLoopback: boolean;
  /** gives the name back in the capitals that it was asked in; false once it was seen by TCP that it does not */
  keepsCapitals: boolean;
  /** understands EDNS; false once it said that it does not */
  knowsEdns: boolean;
}

/** @throws {TypeError} on what is not written as `127.0.0.1:53` or `[::1]:53`: the configuration has checked it */
export const parseResolver = (endpoint: string): Resolver => {
  const [, six, four, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(endpoint) ?? [];
  const address = six ?? four ?? '';
  // A zone (`fe80::1%eth0`) is the system's to understand.
  const octets = parseIp(address.replace(/%.*$/s, ''));
  if (octets === null) throw new TypeError(`not a resolver: ${endpoint}`);
  return {
    address,
    port: Number(port),
    isLoopback: isLoopback(formatIp(octets)),
    keepsCapitals: true,
    knowsEdns: true,
  };
};

/**
 * Whether AD in an answer of this resolver means something: nobody can change it on the way, or somebody vouches for that.
 *
 * @source RFC 4035 §4.9.3, RFC 6840 §5.8
 */
export const isBelieved = (resolver: Resolver, trustAd: boolean): boolean => resolver.isLoopback || trustAd;
