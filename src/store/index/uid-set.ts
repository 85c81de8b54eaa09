/** A set of UIDs as text: ascending, ranges joined, `1:5,7` (RFC 9051 §9 `sequence-set` without `*`). */
export const formatUidSet = (uids: Iterable<number>): string => {
  const parts: string[] = [];
  let first = 0;
  let last = 0;
  const close = (): void => {
    if (first > 0) parts.push(first === last ? String(first) : `${first}:${last}`);
  };
  for (const uid of uids) {
    if (uid === last + 1 && first > 0) {
      last = uid;
      continue;
    }
    close();
    first = uid;
    last = uid;
  }
  close();
  return parts.join(',');
};

/** The ranges of a text that `formatUidSet` wrote, or null for any other text. */
export const parseUidSet = (text: string): { first: number; last: number }[] | null => {
  const ranges: { first: number; last: number }[] = [];
  let previous = 0;
  if (text === '') return ranges;
  for (const part of text.split(',')) {
    const match = /^([1-9]\d{0,9})(?::([1-9]\d{0,9}))?$/.exec(part);
    if (match === null) return null;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    // A range of one, or one that touches its neighbour, would have been written differently.
    if (first <= previous + (previous === 0 ? 0 : 1) || last > 0xffffffff) return null;
    if (match[2] !== undefined && last <= first) return null;
    ranges.push({ first, last });
    previous = last;
  }
  return ranges;
};
