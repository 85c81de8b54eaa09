import type { Clock } from '#base/clock';
import { addressKey } from '#net/connection';

/** Remembers who waited for the greeting once, so that a well-mannered peer is held up a single time. */
export interface Manners {
  areKnown(address: string): boolean;
  learn(address: string): void;
}

const rememberedMax = 10_000;
const rememberedMs = 24 * 3_600_000;

/** Addresses are remembered as sessions are counted: IPv6 by /64. The oldest is forgotten first. */
export const createManners = (clock: Clock): Manners => {
  const untilMs = new Map<string, number>();
  return {
    areKnown: (address) => (untilMs.get(addressKey(address)) ?? 0) > clock.monotonicMs(),
    learn: (address) => {
      const key = addressKey(address);
      untilMs.delete(key);
      untilMs.set(key, clock.monotonicMs() + rememberedMs);
      const [oldest] = untilMs.keys();
      if (untilMs.size > rememberedMax && oldest !== undefined) untilMs.delete(oldest);
    },
  };
};
