import { isIPv6 } from 'node:net';
import type { Clock } from '#base/clock';
import { networksOf, plainAddress } from './networks.ts';

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
  /** whether its number and rate are not limited */
  isTrusted(address: string): boolean;
  /**
   * Sessions here by what they are counted under, of those with the most of them, `reportedMin` at least: what other processes hear, so
   * that an address has its limit once and not once a process.
   */
  report(): Readonly<Record<string, number>>;
  /** Sessions in other processes, which count as if they were here. */
  hear(elsewhere: Readonly<Record<string, number>>): void;
  /**
   * Sessions opened here since the last call, by what they are counted under, of addresses whose rate is limited, those with the most of
   * them: what other processes hear, so that an address has its rate once.
   */
  takeOpened(): Readonly<Record<string, number>>;
  /** Sessions opened in other processes, which take from the same rate. */
  hearOpened(elsewhere: Readonly<Record<string, number>>): void;
  /** sessions admitted and not released */
  readonly sessions: number;
  /** addresses that are remembered */
  readonly addresses: number;
}

/** fewer sessions than this are nobody else's matter */
const reportedMin = 5;
const reportedMax = 1_000;
/** addresses whose new sessions are counted between two reports */
const openedMax = 10_000;

interface Visitor {
  sessions: number;
  /** sessions that may still be opened at once */
  tokens: number;
  refilledAtMs: number;
}

/**
 * Counts sessions by address (IPv6: by /64, since a host has at least that many addresses).
 *
 * Memory: one entry for each address with a session or a session less than two seconds ago; the others are swept.
 */
export const createSessionGate = (settings: SessionGateSettings, clock: Clock): SessionGate => {
  const trusted = networksOf(settings.trusted);
  // A Unix socket is reached by those whom its mode lets in.
  const isTrusted = (address: string): boolean => address === 'unix' || trusted.has(address);
  let elsewhere: Readonly<Record<string, number>> = {};
  const visitors = new Map<string, Visitor>();
  let opened = new Map<string, number>();
  let sessions = 0;
  let sweepAtSize = 1024;

  const sweep = (nowMs: number): void => {
    for (const [key, visitor] of visitors) {
      if (visitor.sessions === 0 && nowMs - visitor.refilledAtMs >= 2000) visitors.delete(key);
    }
    sweepAtSize = Math.max(1024, visitors.size * 2);
  };

  /** The visitor of a key, with what its rate has given it back since. */
  const visitorOf = (key: string): Visitor => {
    const nowMs = clock.monotonicMs();
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
    return visitor;
  };

  return {
    get sessions() {
      return sessions;
    },
    get addresses() {
      return visitors.size;
    },
    isTrusted,
    report: () =>
      Object.fromEntries(
        [...visitors]
          .flatMap(([key, visitor]) =>
            visitor.sessions >= reportedMin ? [[key, visitor.sessions] as const] : [],
          )
          .sort(([, left], [, right]) => right - left)
          .slice(0, reportedMax),
      ),
    hear: (counts) => {
      elsewhere = counts;
    },
    takeOpened: () => {
      const most = [...opened].sort(([, left], [, right]) => right - left).slice(0, reportedMax);
      opened = new Map();
      return Object.fromEntries(most);
    },
    hearOpened: (counts) => {
      for (const [key, count] of Object.entries(counts)) {
        const visitor = visitorOf(key);
        visitor.tokens = Math.max(-settings.sessionsPerSecondMax, visitor.tokens - count);
      }
    },
    admit: (address) => {
      const key = addressKey(address);
      const visitor = visitorOf(key);
      if (sessions >= settings.sessionsMax) return { kind: 'refused', reason: 'full' };
      if (!isTrusted(address)) {
        const there = Object.hasOwn(elsewhere, key) ? (elsewhere[key] ?? 0) : 0;
        if (visitor.sessions + there >= settings.sessionsPerAddressMax) {
          return { kind: 'refused', reason: 'too-many-sessions' };
        }
        if (visitor.tokens < 1) return { kind: 'refused', reason: 'too-many-a-second' };
        if (opened.size < openedMax || opened.has(key)) opened.set(key, (opened.get(key) ?? 0) + 1);
      }
      visitor.tokens = Math.max(-settings.sessionsPerSecondMax, visitor.tokens - 1);
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
