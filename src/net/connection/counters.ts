/** How often something happened, by name; what `/metrics` shows. */
export interface Counters {
  count(name: string, by?: number): void;
  value(name: string): number;
  /** all names seen so far, sorted */
  snapshot(): Readonly<Record<string, number>>;
}

/**
 * Counters that start at zero. Names are constants of the code, never anything a peer chose, so their number is bounded.
 */
export const createCounters = (): Counters => {
  const values = new Map<string, number>();
  return {
    count: (name, by = 1) => {
      values.set(name, (values.get(name) ?? 0) + by);
    },
    value: (name) => values.get(name) ?? 0,
    snapshot: () =>
      Object.fromEntries([...values].sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))),
  };
};
