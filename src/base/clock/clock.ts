import { randomFillSync } from 'node:crypto';

export interface Clock {
  /** wall clock: milliseconds since 1970-01-01T00:00:00Z; may jump */
  nowMs(): number;
  /** never falls, starts anywhere: for durations and time-outs only */
  monotonicMs(): number;
}

/** Fresh random octets from a cryptographically strong source. */
export type Random = (lengthBytes: number) => Uint8Array;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

export const systemRandom: Random = (lengthBytes) => randomFillSync(new Uint8Array(lengthBytes));
