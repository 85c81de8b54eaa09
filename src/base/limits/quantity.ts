/** Binary units of a size. */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

const sizeUnits = { B: 1, KiB, MiB, GiB, TiB: 1024 * GiB } as const;
const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Octets of a size as people write it (`"50MiB"`, `"64KiB"`, `"512B"`), or null when it is none. */
export const parseSize = (text: string): number | null => parseQuantity(text, sizeUnits);

/** Milliseconds of a duration as people write it (`"30s"`, `"500ms"`, `"2h"`, `"14d"`), or null when it is none. */
export const parseDuration = (text: string): number | null => parseQuantity(text, durationUnits);

/** A size in its largest whole unit: `52_428_800` is `"50MiB"`. */
export const formatSize = (sizeBytes: number): string => formatQuantity(sizeBytes, sizeUnits);

/** A duration in its largest whole unit: `7_200_000` is `"2h"`. */
export const formatDuration = (durationMs: number): string => formatQuantity(durationMs, durationUnits);

const parseQuantity = (text: string, units: Readonly<Record<string, number>>): number | null => {
  // Whole numbers only, and few digits: "1.5h" is "90m", and every value stays exact.
  const match = /^(\d{1,12})([a-zA-Z]{1,3})$/.exec(text);
  const [, digits = '', unit = ''] = match ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (factor === undefined) return null;
  const value = Number(digits) * factor;
  return Number.isSafeInteger(value) ? value : null;
};

const formatQuantity = (value: number, units: Readonly<Record<string, number>>): string => {
  const [smallest] = Object.keys(units);
  let best = `${value}${smallest}`;
  if (value === 0) return best;
  for (const [unit, factor] of Object.entries(units))
    if (value % factor === 0) best = `${value / factor}${unit}`;
  return best;
};
