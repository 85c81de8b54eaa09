import { FengniError } from '#base/errors';
import { type Io, replaceFileDurable } from '#store/durable';
import { type CheckedFrame, checkSegments, openHead, openSegmentReader } from '#store/log';
import {
  encodeClearSlot,
  encodeDestroyedSlot,
  encodeKeyFileHeader,
  fileKeyBytes,
  frameTypes,
  keyFileHeaderBytes,
  keyFileName,
  keySlotBytes,
  keySlotOffset,
  parseCommitBody,
  parseErasedKeys,
  parseKeyFileHeader,
  parseKeySlot,
  parseSegmentFileName,
  slotStates,
} from '#store/segments';
import type { Repairs } from './verify-repairs.ts';

interface Use {
  segment: number;
  offset: number;
  lengthBytes: number;
  seq: number;
}

/**
 * Makes key slots good again: with the key octets that are still in the slot, else with those of a copy, each only when it opens the frame
 * that took the slot; and headers, which say only what the log says too. A slot that an ERASED frame took away stays away.
 *
 * @param suspects frames whose bodies do not open although their slots look good
 */
export const repairKeys = async (options: {
  io: Io;
  folder: string;
  from: string | null;
  shard: number;
  suspects: ReadonlySet<number>;
  repairs: Repairs;
}): Promise<void> => {
  const { io, folder, from, shard, suspects, repairs } = options;
  const epochs = await readUses(io, folder, shard);
  const segments = openSegmentReader({ io, folder });
  /** whether these octets are the key of the frame */
  const opens = async (use: Use, fileKey: Uint8Array): Promise<boolean> => {
    try {
      openHead(await segments.readFrame(use, use.seq), fileKey);
      return true;
    } catch (error) {
      if (error instanceof FengniError) return false;
      throw error;
    }
  };
  try {
    for (const [epoch, { generation, uses, erased }] of epochs) {
      const name = `keys/${keyFileName(epoch)}`;
      const present = await octetsOf(io, `${folder}/${name}`);
      const copy = from === null ? new Uint8Array(0) : await octetsOf(io, `${from}/${name}`);
      const last = Math.max(...uses.keys());
      const octets = new Uint8Array(Math.max(present.length, keySlotOffset(last + 1)));
      octets.set(present);
      let changed = octets.length !== present.length;
      const header = parseKeyFileHeader(present.subarray(0, keyFileHeaderBytes));
      const isOwn =
        header.kind === 'header' && header.header.epoch === epoch && header.header.shard === shard;
      if (!isOwn) {
        octets.set(encodeKeyFileHeader({ shard, generation, epoch }), 0);
        changed = true;
      }
      for (const [slot, use] of uses) {
        const at = keySlotOffset(slot);
        const raw = octets.subarray(at, at + keySlotBytes);
        const parsed = parseKeySlot(raw, slot);
        const isErased = erased.has(slot);
        const isGood =
          parsed.kind === 'slot' &&
          parsed.slot.seq === use.seq &&
          (parsed.slot.state !== slotStates.destroyed || isErased) &&
          !suspects.has(use.seq);
        if (isGood) continue;
        if (isErased) {
          octets.set(encodeDestroyedSlot(slot, use.seq), at);
          changed = true;
          continue;
        }
        const candidates = [raw, copy.subarray(at, at + keySlotBytes)]
          .filter((candidate) => candidate.length === keySlotBytes)
          .map((candidate) => candidate.slice(16, 16 + fileKeyBytes));
        let found: Uint8Array | null = null;
        for (const candidate of candidates)
          if (found === null && (await opens(use, candidate))) found = candidate;
        if (found === null) {
          repairs.refused.push(`${name}, slot ${slot}: no key at hand opens frame ${use.seq}`);
          continue;
        }
        const good = encodeClearSlot(slot, use.seq, found);
        if (Buffer.compare(good, raw) === 0) continue;
        octets.set(good, at);
        changed = true;
      }
      if (!changed) continue;
      await replaceFileDurable(io, `${folder}/${name}`, [octets]);
      repairs.done.push(name);
    }
  } finally {
    await segments.close();
  }
};

interface Epoch {
  /** in which it was begun */
  generation: number;
  /** by slot: the frame that took it */
  uses: Map<number, Use>;
  erased: Set<number>;
}

const readUses = async (io: Io, folder: string, shard: number): Promise<Map<number, Epoch>> => {
  const epochs = new Map<number, Epoch>();
  let group: { frame: CheckedFrame; file: string }[] = [];
  const epochOf = (number: number, generation: number): Epoch => {
    const known = epochs.get(number);
    if (known !== undefined) return known;
    const fresh = { generation, uses: new Map<number, Use>(), erased: new Set<number>() };
    epochs.set(number, fresh);
    return fresh;
  };
  await checkSegments({
    io,
    folder,
    shard,
    live: false,
    certain: { seq: 0, leaves: 0 },
    deviation: () => {},
    frame: (frame, file) => {
      group.push({ frame, file });
      if (frame.head.record.type !== frameTypes.COMMIT) return;
      const generation = frame.clearBody === null ? 1 : (parseCommitBody(frame.clearBody)?.generation ?? 1);
      for (const each of group) {
        const { record, lengthBytes } = each.frame.head;
        if (record.key !== null) {
          const { uses } = epochOf(record.key.epoch, generation);
          const segment = parseSegmentFileName(each.file.slice('segments/'.length))?.firstSeq ?? 0;
          if (!uses.has(record.key.slot))
            uses.set(record.key.slot, { segment, offset: each.frame.offset, lengthBytes, seq: record.seq });
        }
        if (record.type === frameTypes.ERASED && each.frame.clearBody !== null)
          for (const { epoch, slot } of parseErasedKeys(each.frame.clearBody) ?? [])
            epochOf(epoch, generation).erased.add(slot);
      }
      group = [];
    },
  });
  return epochs;
};

const octetsOf = async (io: Io, path: string): Promise<Uint8Array> =>
  (await io.stat(path)) === null ? new Uint8Array(0) : io.readFile(path);
