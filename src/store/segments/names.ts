/** `segments/<firstSeq, 16 digits>.<revision>.fseg` */
export const segmentFileName = (firstSeq: number, revision: number): string =>
  `${String(firstSeq).padStart(16, '0')}.${revision}.fseg`;

export const parseSegmentFileName = (name: string): { firstSeq: number; revision: number } | null => {
  const parts = /^(\d{16})\.(0|[1-9]\d{0,8})\.fseg$/.exec(name);
  if (parts === null) return null;
  const firstSeq = Number(parts[1]);
  return firstSeq > 0 && firstSeq <= Number.MAX_SAFE_INTEGER
    ? { firstSeq, revision: Number(parts[2]) }
    : null;
};

/** `keys/<epoch, 8 digits>.fkeys` */
export const keyFileName = (epoch: number): string => `${String(epoch).padStart(8, '0')}.fkeys`;

export const parseKeyFileName = (name: string): number | null =>
  /^\d{8}\.fkeys$/.test(name) ? Number(name.slice(0, 8)) : null;

/** `large/<id of the message>.flarge` */
export const largeFileName = (id: string): string => `${id}.flarge`;

/** @returns the id, or null for a name that no message has */
export const parseLargeFileName = (name: string): string | null =>
  /^([a-z2-7]{25}[aeimquy4])\.flarge$/.exec(name)?.[1] ?? null;
