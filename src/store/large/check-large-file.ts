import { createHash } from 'node:crypto';
import { equalBytes } from '#base/bytes';
import { FengniError } from '#base/errors';
import { type Io, type IoFile, makeFolderDurable } from '#store/durable';
import { largeFolder, largePath } from './paths.ts';

export type LargeFileCheck =
  | { kind: 'good' }
  | { kind: 'missing' }
  /** shorter or longer than its frame says */
  | { kind: 'length'; sizeBytes: number }
  | { kind: 'hash' };

/** What a frame says of its file. */
export interface LargeFileFacts {
  id: string;
  storedLength: number;
  fileHash: Uint8Array;
}

const pieceBytes = 256 * 1024;

/**
 * Compares every octet of a message's file with what its frame says, without a key.
 *
 * @param folder DATA, or a copy of it
 */
export const checkLargeFile = async (
  io: Io,
  folder: string,
  facts: LargeFileFacts,
): Promise<LargeFileCheck> => {
  let file: IoFile;
  try {
    file = await io.open(largePath(folder, facts.id), 'read');
  } catch (error) {
    if (error instanceof FengniError && error.code === 'file-not-found') return { kind: 'missing' };
    throw error;
  }
  try {
    return await check(file, facts, async () => {});
  } finally {
    await file.close();
  }
};

const check = async (
  file: IoFile,
  { storedLength, fileHash }: LargeFileFacts,
  each: (piece: Uint8Array, position: number) => Promise<void>,
): Promise<LargeFileCheck> => {
  const sizeBytes = await file.size();
  if (sizeBytes !== storedLength) return { kind: 'length', sizeBytes };
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(pieceBytes, storedLength));
  for (let at = 0; at < storedLength; ) {
    const length = await file.read(piece.subarray(0, Math.min(piece.length, storedLength - at)), at);
    if (length === 0) return { kind: 'length', sizeBytes: at };
    hash.update(piece.subarray(0, length));
    await each(piece.subarray(0, length), at);
    at += length;
  }
  return equalBytes(hash.digest(), fileHash) ? { kind: 'good' } : { kind: 'hash' };
};

/**
 * Brings a message's file back from a copy of the data folder: durable under its name when it resolves with `good`, and otherwise nothing
 * is changed.
 *
 * @param from the copy's DATA
 */
export const copyLargeFile = async (
  io: Io,
  folder: string,
  from: string,
  facts: LargeFileFacts,
): Promise<LargeFileCheck> => {
  let source: IoFile;
  try {
    source = await io.open(largePath(from, facts.id), 'read');
  } catch (error) {
    if (error instanceof FengniError && error.code === 'file-not-found') return { kind: 'missing' };
    throw error;
  }
  const path = largePath(folder, facts.id);
  const temporary = `${path}.tmp`;
  try {
    await makeFolderDurable(io, largeFolder(folder));
    if ((await io.stat(temporary)) !== null) await io.remove(temporary);
    const target = await io.open(temporary, 'create-new');
    let outcome: LargeFileCheck;
    try {
      outcome = await check(source, facts, (piece, at) => target.write([piece], at));
      if (outcome.kind === 'good') await target.sync();
    } finally {
      await target.close();
    }
    if (outcome.kind !== 'good') {
      await io.remove(temporary);
      return outcome;
    }
    await io.rename(temporary, path);
    await io.syncFolder(largeFolder(folder));
    return outcome;
  } finally {
    await source.close();
  }
};
