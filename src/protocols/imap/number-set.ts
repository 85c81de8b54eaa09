/** Ranges `first, last, first, last, …`; 0 stands for `*`. At most what a command line holds. */
export type NumberSet = readonly number[];

/** `$`: what the last SEARCH with SAVE found. Only this very object means it. @source RFC 5182 §2.1 */
export const savedResult: NumberSet = Object.freeze([]);

export const numberSetSyntax = /^[\d*$]/;

const numberMax = 4_294_967_295;

/** The ranges of a set as it is written, or null. @source RFC 9051 §9 sequence-set */
export const parseNumberSet = (text: string): NumberSet | null => {
  const ranges: number[] = [];
  for (const part of text.split(',')) {
    const [first, last, more] = part.split(':');
    if (more !== undefined) return null;
    const from = parseNumber(first ?? '');
    const to = last === undefined ? from : parseNumber(last);
    if (from === null || to === null) return null;
    ranges.push(from, to);
  }
  return ranges;
};

const parseNumber = (text: string): number | null => {
  if (text === '*') return 0;
  if (!/^[1-9]\d{0,9}$/.test(text)) return null;
  const value = Number(text);
  return value <= numberMax ? value : null;
};

/**
 * The set as ascending ranges that do not touch, `*` being the given number.
 *
 * @returns `first, last, …`
 */
export const resolveNumberSet = (set: NumberSet, star: number): number[] => {
  const ranges: [number, number][] = [];
  for (let at = 0; at < set.length; at += 2) {
    const a = set[at] || star;
    const b = set[at + 1] || star;
    ranges.push(a <= b ? [a, b] : [b, a]);
  }
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [first, last] of ranges) {
    const end = merged[merged.length - 1];
    if (end !== undefined && first <= end + 1) merged[merged.length - 1] = Math.max(end, last);
    else merged.push(first, last);
  }
  return merged;
};

/** Whether ascending ranges hold a number. */
export const rangesHold = (ranges: readonly number[], value: number): boolean => {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ranges[middle * 2 + 1] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  const first = ranges[low * 2];
  return first !== undefined && first <= value;
};
