import { randomFillSync } from 'node:crypto';

export interface Clock {
  /** wall clock: milliseconds since 1970-01-01T00:00:00Z; may jump */
  nowMs(): number;
  /** never falls, starts anywhere, the same for all processes of the machine: for durations and time-outs only */
  monotonicMs(): number;
}

/** Fresh random octets from a cryptographically strong source. */
export type Random = (lengthBytes: number) => Uint8Array;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  // `performance.now()` begins at 0 in every process.
  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1e6;
  },
};

// A call of the generator costs 10 µs whatever its length, and a message takes a dozen salts: they come from one call.
const poolBytes = 8_192;
const pool = new Uint8Array(poolBytes);
let poolAt = poolBytes;

export const systemRandom: Random = (lengthBytes) => {
  if (lengthBytes > poolBytes / 8) return randomFillSync(new Uint8Array(lengthBytes));
  if (poolAt + lengthBytes > poolBytes) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const octets = pool.slice(poolAt, poolAt + lengthBytes);
  // What was handed out is a key or a salt: no second copy of it stays in memory.
  pool.fill(0, poolAt, poolAt + lengthBytes);
  poolAt += lengthBytes;
  return octets;
};
