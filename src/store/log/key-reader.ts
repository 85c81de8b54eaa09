import { FengniError } from '#base/errors';
import type { Io, IoFile } from '#store/durable';
import {
  type KeyRef,
  keyFileHeaderBytes,
  keyFileName,
  keySlotBytes,
  keySlotOffset,
  type ParsedKeySlot,
  parseKeyFileHeader,
  parseKeyFileName,
  parseKeySlot,
  slotStates,
  slotsPerEpoch,
} from '#store/segments';
import { FilePool } from './file-pool.ts';

export type FileKey =
  | { kind: 'clear'; fileKey: Uint8Array }
  /** encrypted at rest; who holds the unwrapping key opens it */
  | { kind: 'wrapped' }
  | { kind: 'destroyed' }
  | { kind: 'missing'; what: string };

/** Reads key slots, beside the process that writes them. */
export interface KeyReader {
  /** @throws {FengniError} of `Io` */
  fileKey(key: KeyRef): Promise<FileKey>;
  /** The key, when it is in memory; null says nothing. */
  keyAtHand(key: KeyRef): Uint8Array | null;
  /** Drops a key from memory; call it when an erasure is announced. */
  forget(key: KeyRef): void;
  /** Drops all keys from memory, when erasures may have been missed. */
  forgetAll(): void;
  close(): Promise<void>;
}

/** Slots read at once: messages that came together are read together. */
const blockSlots = 128;
const cachedKeysMax = 65_536;
const openFilesMax = 32;

interface EpochFile {
  file: IoFile;
  /** why its slots cannot be believed, or null */
  wrong: string | null;
}

/**
 * @param options.folder DATA
 */
export const openKeyReader = (options: { io: Io; folder: string; shard: number }): KeyReader => {
  const { io, folder, shard } = options;
  const known = new Map<number, Uint8Array>();
  let forgotten = 0;
  const files = new FilePool<EpochFile>({
    filesMax: openFilesMax,
    close: ({ file }) => file.close(),
    open: async (name) => {
      const file = await io.open(`${folder}/keys/${name}`, 'read');
      const octets = new Uint8Array(keyFileHeaderBytes);
      const length = await file.read(octets, 0);
      return {
        file,
        wrong: wrongHeader(octets.subarray(0, length), parseKeyFileName(name) as number, shard),
      };
    },
  });

  const readBlock = async (name: string, key: KeyRef): Promise<FileKey> =>
    files.use(name, async ({ file, wrong }) => {
      if (wrong !== null) return { kind: 'missing', what: `keys/${name}: ${wrong}` };
      const before = forgotten;
      const first = key.slot - (key.slot % blockSlots);
      const octets = new Uint8Array(blockSlots * keySlotBytes);
      const length = await file.read(octets, keySlotOffset(first));
      let wanted: ParsedKeySlot = { kind: 'empty' };
      for (let index = 0; (index + 1) * keySlotBytes <= length; index++) {
        const slot = first + index;
        const parsed = parseKeySlot(octets.subarray(index * keySlotBytes, (index + 1) * keySlotBytes), slot);
        if (slot === key.slot) wanted = parsed;
        // What was read before a key was forgotten must not bring it back.
        const keep = parsed.kind === 'slot' && parsed.slot.fileKey !== null && forgotten === before;
        if (keep) known.set(nameOf({ epoch: key.epoch, slot }), parsed.slot.fileKey as Uint8Array);
      }
      while (known.size > cachedKeysMax) known.delete(known.keys().next().value as number);
      return fileKeyOf(wanted, key);
    });

  // A slot beyond the end of its epoch would have the number of another epoch's.
  const keyAtHand = (key: KeyRef): Uint8Array | null =>
    key.slot < slotsPerEpoch ? (known.get(nameOf(key)) ?? null) : null;

  return {
    keyAtHand,
    async fileKey(key) {
      const cached = keyAtHand(key);
      if (cached !== null) return { kind: 'clear', fileKey: cached };
      if (key.slot >= slotsPerEpoch)
        return { kind: 'missing', what: `slot ${key.slot} is beyond the end of an epoch` };
      const name = keyFileName(key.epoch);
      try {
        return await readBlock(name, key);
      } catch (error) {
        if (error instanceof FengniError && error.code === 'file-not-found')
          return { kind: 'missing', what: `keys/${name} is missing` };
        throw error;
      }
    },
    forget(key) {
      forgotten++;
      known.delete(nameOf(key));
    },
    forgetAll() {
      forgotten++;
      known.clear();
    },
    async close() {
      known.clear();
      await files.close();
    },
  };
};

/** One number for both: an epoch has 32 bits on disk, a slot 16. */
const nameOf = ({ epoch, slot }: KeyRef): number => epoch * slotsPerEpoch + slot;

/** Why the header of a key file is not the one of this epoch and shard; null when it is. */
export const wrongHeader = (octets: Uint8Array, epoch: number, shard: number): string | null => {
  const parsed = parseKeyFileHeader(octets);
  if (parsed.kind === 'bad') return parsed.field;
  if (parsed.header.epoch !== epoch) return `epoch (${parsed.header.epoch} instead of ${epoch})`;
  if (parsed.header.shard !== shard) return `shard (${parsed.header.shard} instead of ${shard})`;
  return null;
};

const fileKeyOf = (parsed: ParsedKeySlot, key: KeyRef): FileKey => {
  const where = `keys/${keyFileName(key.epoch)}, slot ${key.slot}`;
  if (parsed.kind === 'empty') return { kind: 'missing', what: `${where}: empty` };
  if (parsed.kind === 'bad') return { kind: 'missing', what: `${where}: ${parsed.field}` };
  if (parsed.slot.fileKey !== null) return { kind: 'clear', fileKey: parsed.slot.fileKey };
  return parsed.slot.state === slotStates.destroyed ? { kind: 'destroyed' } : { kind: 'wrapped' };
};
