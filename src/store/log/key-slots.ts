import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  type KeyRef,
  keyFileHeaderBytes,
  keyFileName,
  keySlotBytes,
  keySlotOffset,
  type ParsedKeySlot,
  parseKeyFileHeader,
  parseKeySlot,
  slotStates,
  slotsPerEpoch,
} from '#store/segments';
import { keysFolder } from './inventory.ts';
import { wrongHeader } from './key-reader.ts';

/** The slots of the epochs that recovery looks at, each file read once: at most 8 MiB each. */
export class KeySlots {
  readonly #io: Io;
  readonly #folder: string;
  readonly #shard: number;
  readonly #files = new Map<number, { octets: Uint8Array; wrong: string | null }>();

  constructor(io: Io, folder: string, shard: number) {
    this.#io = io;
    this.#folder = folder;
    this.#shard = shard;
  }

  path(epoch: number): string {
    return `${keysFolder(this.#folder)}/${keyFileName(epoch)}`;
  }

  /** Why the file cannot be believed as a whole, or null. */
  async wrong(epoch: number): Promise<string | null> {
    return (await this.#load(epoch)).wrong;
  }

  async generation(epoch: number): Promise<number | null> {
    const parsed = parseKeyFileHeader((await this.#load(epoch)).octets.subarray(0, keyFileHeaderBytes));
    return parsed.kind === 'header' ? parsed.header.generation : null;
  }

  async sizeBytes(epoch: number): Promise<number> {
    return (await this.#load(epoch)).octets.length;
  }

  async slot(epoch: number, slot: number): Promise<ParsedKeySlot> {
    return slotIn(this.#files.get(epoch) ?? (await this.#load(epoch)), slot);
  }

  /** The octets as they stand, for writing them again. */
  async octets(epoch: number, from: number, to: number): Promise<Uint8Array> {
    return (await this.#load(epoch)).octets.subarray(from, to);
  }

  /**
   * Whether the slots that a group took are all there.
   *
   * @returns the first that is not, or those that are destroyed
   */
  async taken(
    from: { epoch: number; slots: number },
    to: { epoch: number; slots: number },
    first: number,
    last: number,
  ): Promise<{ kind: 'good'; destroyed: KeyRef[] } | { kind: 'bad'; field: string }> {
    const destroyed: KeyRef[] = [];
    for (let epoch = from.epoch; epoch <= to.epoch; epoch++) {
      const start = epoch === from.epoch ? from.slots : 0;
      const end = epoch === to.epoch ? to.slots : slotsPerEpoch;
      if (start >= end) continue;
      const file = this.#files.get(epoch) ?? (await this.#load(epoch));
      const where = (number: number): string => `slot ${number} in keys/${keyFileName(epoch)}`;
      for (let number = start; number < end; number++) {
        const parsed = slotIn(file, number);
        if (parsed.kind !== 'slot')
          return {
            kind: 'bad',
            field: `${where(number)} (${parsed.kind === 'empty' ? 'empty' : parsed.field})`,
          };
        const { slot } = parsed;
        if (slot.seq < first || slot.seq > last)
          return { kind: 'bad', field: `${where(number)} (taken by seq ${slot.seq})` };
        if (slot.state === slotStates.destroyed) destroyed.push({ epoch, slot: number });
      }
    }
    return { kind: 'good', destroyed };
  }

  async #load(epoch: number): Promise<{ octets: Uint8Array; wrong: string | null }> {
    let loaded = this.#files.get(epoch);
    if (loaded === undefined) {
      loaded = await this.#read(epoch);
      this.#files.set(epoch, loaded);
    }
    return loaded;
  }

  async #read(epoch: number): Promise<{ octets: Uint8Array; wrong: string | null }> {
    try {
      const octets = await this.#io.readFile(this.path(epoch));
      return { octets, wrong: wrongHeader(octets.subarray(0, keyFileHeaderBytes), epoch, this.#shard) };
    } catch (error) {
      if (error instanceof FengniError && error.code === 'file-not-found')
        return { octets: new Uint8Array(0), wrong: 'the file is missing' };
      throw error;
    }
  }
}

const slotIn = (
  { octets, wrong }: { octets: Uint8Array; wrong: string | null },
  slot: number,
): ParsedKeySlot => {
  if (wrong !== null) return { kind: 'bad', field: wrong };
  const at = keySlotOffset(slot);
  return at + keySlotBytes > octets.length
    ? { kind: 'empty' }
    : parseKeySlot(octets.subarray(at, at + keySlotBytes), slot);
};
