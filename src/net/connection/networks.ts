import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Addresses and CIDR blocks. */
export interface Networks {
  /** @param address as a socket gives it: a mapped IPv4 address is one of IPv4 */
  has(address: string): boolean;
  readonly isEmpty: boolean;
}

export const networksOf = (blocks: readonly string[]): Networks => {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    isEmpty: blocks.length === 0,
    has: (address) => {
      const plain = plainAddress(address);
      if (isIPv4(plain)) return list.check(plain, 'ipv4');
      return isIPv6(plain) && list.check(plain, 'ipv6');
    },
  };
};

/** An address as people write it: IPv4 out of its IPv6 mapping, no zone. */
export const plainAddress = (address: string): string => {
  const noZone = address.replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(noZone);
  return mapped?.[1] ?? noZone;
};
