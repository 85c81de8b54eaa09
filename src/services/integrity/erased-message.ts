import type { Io } from '#store/durable';
import { openKeyReader, scanFrames } from '#store/log';
import { frameTypes, parseErasedKeys } from '#store/segments';
import { isMessageLeaf, type MessageLeaf, messageId, parseLeaf } from '#trust/seal';
import { ledgerGenerations, ledgerOf, publishedHead } from './sealed-place.ts';

/** What is left of a message that was erased. */
export interface ErasedMessage {
  kind: MessageLeaf['kind'];
  /** when it was taken */
  timeMs: number;
  seq: number;
  generation: number;
  leafIndex: number;
}

/**
 * Whether an id that the index does not know is that of an erased message: its leaf is in the ledger, its key slot is destroyed, and an
 * ERASED frame names that slot. Anything else is not an erasure, and `verify` tells what it is.
 *
 * @param appliedSeq how far the index goes: an id behind it is only not known yet
 */
export const erasedMessage = async (
  source: { io: Io; folder: string; shard: number },
  id: string,
  appliedSeq: number,
): Promise<ErasedMessage | null> => {
  for (const generation of (await ledgerGenerations(source)).reverse()) {
    const head = await publishedHead(source, generation);
    if (head === null) continue;
    const { size } = head.checkpoint;
    let leafIndex = 0;
    for await (const entry of ledgerOf(source, generation).entries(0, size, size)) {
      const leaf = parseLeaf(entry);
      if (isMessageLeaf(leaf) && messageId(leaf.msg) === id) {
        const { kind, timeMs, seq } = leaf;
        const isErased = seq <= appliedSeq && (await isSlotErased(source, seq, appliedSeq));
        return isErased ? { kind, timeMs, seq, generation, leafIndex } : null;
      }
      leafIndex += 1;
    }
  }
  return null;
};

const isSlotErased = async (
  { io, folder, shard }: { io: Io; folder: string; shard: number },
  seq: number,
  lastSeq: number,
): Promise<boolean> => {
  const keys = openKeyReader({ io, folder, shard });
  try {
    let slot: { epoch: number; slot: number } | null = null;
    for await (const { head, clearBody } of scanFrames(io, folder, shard, seq, lastSeq)) {
      const { record } = head;
      if (record.seq === seq) {
        slot = record.key;
        if (slot === null || (await keys.fileKey(slot)).kind !== 'destroyed') return false;
      }
      if (slot === null || record.type !== frameTypes.ERASED || clearBody === null) continue;
      const named = parseErasedKeys(clearBody) ?? [];
      if (named.some((key) => key.epoch === slot?.epoch && key.slot === slot.slot)) return true;
    }
    return false;
  } finally {
    await keys.close();
  }
};
