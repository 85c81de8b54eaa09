import { BlockList, isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '#base/clock';

export interface SessionGateSettings {
  /** sessions at one time from an IPv4 address or an IPv6 /64 */
  sessionsPerAddressMax: number;
  /** new sessions a second from one of these, as a bucket of that many */
  sessionsPerSecondMax: number;
  /** sessions at one time from everybody */
  sessionsMax: number;
  /** addresses and CIDR blocks that are counted, but not refused for number and rate */
  trusted: readonly string[];
}

export const sessionGateDefaults: SessionGateSettings = {
  sessionsPerAddressMax: 50,
  sessionsPerSecondMax: 10,
  sessionsMax: 20_000,
  trusted: ['127.0.0.0/8', '::1'],
};

export type Admission =
  | { readonly kind: 'admitted'; release(): void }
  | { readonly kind: 'refused'; readonly reason: 'too-many-sessions' | 'too-many-a-second' | 'full' };

/** Decides whether one more session from an address is served. One gate may serve several listeners. */
export interface SessionGate {
  admit(address: string): Admission;
  /** sessions admitted and not released */
  readonly sessions: number;
  /** addresses that are remembered */
  readonly addresses: number;
}

interface Visitor {
  sessions: number;
  /** sessions that may still be opened at once */
  tokens: number;
  refilledAtMs: number;
}

/**
 * Counts sessions by address (IPv6: by /64, since a host has at least that many addresses).
 *
 * Memory: one entry for each address with a session or a session less than a second ago; the others are swept.
 */
export const createSessionGate = (settings: SessionGateSettings, clock: Clock): SessionGate => {
  const trusted = blockListOf(settings.trusted);
  const visitors = new Map<string, Visitor>();
  let sessions = 0;
  let sweepAtSize = 1024;

  const sweep = (nowMs: number): void => {
    for (const [key, visitor] of visitors) {
      if (visitor.sessions === 0 && nowMs - visitor.refilledAtMs >= 1000) visitors.delete(key);
    }
    sweepAtSize = Math.max(1024, visitors.size * 2);
  };

  return {
    get sessions() {
      return sessions;
    },
    get addresses() {
      return visitors.size;
    },
    admit: (address) => {
      const nowMs = clock.monotonicMs();
      const key = addressKey(address);
      let visitor = visitors.get(key);
      if (visitor === undefined) {
        if (visitors.size >= sweepAtSize) sweep(nowMs);
        visitor = { sessions: 0, tokens: settings.sessionsPerSecondMax, refilledAtMs: nowMs };
        visitors.set(key, visitor);
      } else {
        const refill = ((nowMs - visitor.refilledAtMs) * settings.sessionsPerSecondMax) / 1000;
        visitor.tokens = Math.min(settings.sessionsPerSecondMax, visitor.tokens + refill);
        visitor.refilledAtMs = nowMs;
      }
      if (sessions >= settings.sessionsMax) return { kind: 'refused', reason: 'full' };
      if (!isTrusted(trusted, address)) {
        if (visitor.sessions >= settings.sessionsPerAddressMax) {
          return { kind: 'refused', reason: 'too-many-sessions' };
        }
        if (visitor.tokens < 1) return { kind: 'refused', reason: 'too-many-a-second' };
      }
      visitor.tokens = Math.max(0, visitor.tokens - 1);
      visitor.sessions += 1;
      sessions += 1;
      const admitted = visitor;
      let released = false;
      return {
        kind: 'admitted',
        release: () => {
          if (released) return;
          released = true;
          admitted.sessions -= 1;
          sessions -= 1;
        },
      };
    },
  };
};

/** An address as people write it: IPv4 out of its IPv6 mapping, no zone. */
export const plainAddress = (address: string): string => {
  const noZone = address.replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(noZone);
  return mapped?.[1] ?? noZone;
};

/** What sessions are counted under: the IPv4 address, or the first 64 bits of an IPv6 address. */
export const addressKey = (address: string): string => {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const right = tail === '' ? [] : tail.split(':');
    // A dotted quad at the end stands for two groups.
    const rightGroups = right.length + (right.at(-1)?.includes('.') === true ? 1 : 0);
    while (left.length + rightGroups < 8) left.push('0');
    left.push(...right);
  }
  return left
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
};

const isTrusted = (trusted: BlockList, address: string): boolean => {
  const plain = plainAddress(address);
  if (isIPv4(plain)) return trusted.check(plain, 'ipv4');
  return isIPv6(plain) && trusted.check(plain, 'ipv6');
};

const blockListOf = (blocks: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
};
