import type { Directory } from '#store/index';

export interface GenerationKey {
  generation: number;
  /** C2SP verifier key, `<origin>+<id>+<base64>` */
  key: string;
  /** of its first frame */
  firstSeq: number;
  /** of its last; null while it lasts */
  lastSeq: number | null;
}

/** The verifier keys of all generations, oldest first, from the log's `setting` rows. */
export const generationKeys = (directory: Directory): GenerationKey[] => {
  const rows = directory
    .rows('setting')
    .filter(({ key }) => /^key-g\d+$/.test(key))
    .map(({ value }) => ({
      generation: value['generation'] as number,
      key: value['key'] as string,
      firstSeq: value['firstSeq'] as number,
    }))
    .sort((a, b) => a.generation - b.generation);
  return rows
    .map((row, at) => ({ ...row, lastSeq: (rows[at + 1]?.firstSeq ?? 0) - 1 }))
    .map((row, at) => ({
      ...row,
      lastSeq: at === rows.length - 1 ? null : row.lastSeq,
    }));
};

/** What `fengni log key` and `/seal/key` give. @source docs/formats/receipt.md, “Key” */
export const keyLines = (directory: Directory): string =>
  generationKeys(directory)
    .map(({ key, firstSeq, lastSeq }) => `${key} seq ${firstSeq}-${lastSeq ?? ''}\n`)
    .join('');
