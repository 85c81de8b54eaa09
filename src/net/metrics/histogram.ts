/** Counts by upper bound, as `/metrics` shows them: cumulative only when written. */
export interface HistogramSample {
  /** ascending; the last bucket, without a bound, is one more than these */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

export interface Histogram {
  observe(value: number): void;
  sample(): HistogramSample;
}

export const createHistogram = (bounds: readonly number[]): Histogram => {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  return {
    observe: (value) => {
      const at = bounds.findIndex((bound) => value <= bound);
      const index = at < 0 ? bounds.length : at;
      counts[index] = (counts[index] ?? 0) + 1;
      sum += value;
    },
    sample: () => ({ bounds, counts: [...counts], sum }),
  };
};

/** seconds: from a fast disk's sync to one that stands still */
export const syncBounds = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;
/** seconds that an event loop is late */
export const delayBounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5] as const;
