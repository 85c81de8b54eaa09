import path from 'node:path';
import type { Io } from '#store/durable';
import type { Directory, MessageRow } from '#store/index';
import { LedgerReader } from '#store/ledger';
import { parseCheckpoint, parseOrigin, type SignedCheckpoint } from '#trust/seal';

/** The newest signed head of a generation as it lies in the data folder. */
export interface PublishedHead {
  generation: number;
  /** the signed note, verbatim */
  note: Uint8Array;
  checkpoint: SignedCheckpoint;
}

export interface Ledgers {
  io: Io;
  /** DATA */
  folder: string;
}

export const ledgerOf = ({ io, folder }: Ledgers, generation: number): LedgerReader =>
  new LedgerReader(io, path.join(folder, 'ledger', `g${generation}`));

/** Generations that have a ledger, ascending. */
export const ledgerGenerations = async ({ io, folder }: Ledgers): Promise<number[]> => {
  const ledger = path.join(folder, 'ledger');
  if ((await io.stat(ledger)) === null) return [];
  return (await io.readFolder(ledger))
    .flatMap((name) => /^g([1-9]\d{0,8})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
};

/**
 * The newest signed head of a generation, null before its first.
 *
 * @throws {FengniError} `note-malformed`, `checkpoint-malformed`
 */
export const publishedHead = async (ledgers: Ledgers, generation: number): Promise<PublishedHead | null> => {
  const note = await ledgerOf(ledgers, generation).readCheckpoint();
  return note === null ? null : { generation, note, checkpoint: parseCheckpoint(note) };
};

/** The newest signed head of all, null before the first. */
export const newestHead = async (ledgers: Ledgers): Promise<PublishedHead | null> => {
  for (const generation of (await ledgerGenerations(ledgers)).reverse()) {
    const head = await publishedHead(ledgers, generation);
    if (head !== null) return head;
  }
  return null;
};

/** The generation that a frame belongs to: the last that began at or before it, whether or not it has a key yet. */
export const generationOf = (directory: Directory, seq: number): number => {
  let generation = 1;
  for (const { key, value } of directory.rows('setting')) {
    if (!/^(?:begin|key)-g\d+$/.test(key) || (value['firstSeq'] as number) > seq) continue;
    generation = Math.max(generation, value['generation'] as number);
  }
  return generation;
};

/** The head that a message stands under, or null while none covers it. */
export const headOver = async (
  ledgers: Ledgers,
  directory: Directory,
  row: Pick<MessageRow, 'seq' | 'leafIndex'>,
): Promise<PublishedHead | null> => {
  const generation = generationOf(directory, row.seq);
  const head = await publishedHead(ledgers, generation);
  if (head === null || head.checkpoint.size <= row.leafIndex) return null;
  // A head of another log in this place would prove nothing of this one.
  return parseOrigin(head.checkpoint.origin)?.generation === generation ? head : null;
};
