/** System flags in the order of their bits (RFC 9051 §2.3.2). `\Recent` is no flag of a message but of a session. */
export const systemFlags = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'] as const;

const bitOf = new Map(systemFlags.map((flag, bit) => [flag.toLowerCase(), 1 << bit]));

export type FlagMode = 'add' | 'remove' | 'replace';

/** Splits flag names into the bits of system flags and the keywords, each keyword once, spelled as given. */
export const flagBits = (flags: readonly string[]): { bits: number; keywords: string[] } => {
  let bits = 0;
  const keywords: string[] = [];
  const seen = new Set<string>();
  for (const flag of flags) {
    const bit = bitOf.get(flag.toLowerCase());
    if (bit !== undefined) bits |= bit;
    else if (!seen.has(flag.toLowerCase())) {
      seen.add(flag.toLowerCase());
      keywords.push(flag);
    }
  }
  return { bits, keywords };
};

/** The names behind bits and keyword positions, system flags first. */
export const flagNames = (
  bits: number,
  positions: readonly number[],
  keywords: readonly string[],
): string[] => {
  const names: string[] = systemFlags.filter((_, bit) => (bits & (1 << bit)) !== 0);
  for (const position of positions) {
    const keyword = keywords[position];
    if (keyword !== undefined) names.push(keyword);
  }
  return names;
};

/** What a flag command makes of one placement's flags. */
export const applyFlags = (
  before: { bits: number; keywords: readonly number[] },
  mode: FlagMode,
  change: { bits: number; keywords: readonly number[] },
): { bits: number; keywords: number[] } => {
  if (mode === 'replace') return { bits: change.bits, keywords: ascending(change.keywords) };
  if (mode === 'add') {
    return { bits: before.bits | change.bits, keywords: ascending([...before.keywords, ...change.keywords]) };
  }
  return {
    bits: before.bits & ~change.bits,
    keywords: before.keywords.filter((position) => !change.keywords.includes(position)),
  };
};

const ascending = (positions: readonly number[]): number[] => [...new Set(positions)].sort((a, b) => a - b);
