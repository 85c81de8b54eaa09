import { charsetOf } from './charset.ts';
import { decodeText } from './decode-text.ts';

/** A file inside of a TNEF stream. */
export interface TnefFile {
  /** as the sender named it; a path is part of the name: who stores it takes care. Null where there is none */
  name: string | null;
  /** offsets of its octets in the TNEF stream; both 0 where there are none */
  start: number;
  end: number;
}

/** Files that are listed; a stream with more has them all the same. */
const filesMax = 1000;
const nameOctetsMax = 1024;
/** Properties of one attachment that are looked at. */
const propertiesMax = 1000;

const signature = Buffer.from([0x78, 0x9f, 0x3e, 0x22]);

/** Whether octets, their transfer encoding undone, begin as a TNEF stream does (0x223E9F78). */
export const hasTnefSignature = (octets: Uint8Array): boolean =>
  octets.length >= 6 && signature.equals(octets.subarray(0, 4));

/**
 * The files in a TNEF stream, in order; null when it is none. Of a stream that is cut off or damaged those up to there,
 * with `isDamaged`: its reader offers the stream itself as a file too. Never throws; linear in the octets.
 *
 * @param octets the whole part, its transfer encoding undone
 * @source MS-OXTNEF §2.1.3 (attributes), §2.1.3.4 (attachments), §2.1.3.3 (properties)
 */
export const tnefFiles = (octets: Uint8Array): { files: TnefFile[]; isDamaged: boolean } | null => {
  if (!hasTnefSignature(octets)) return null;
  const reader = new Reader(Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength), 6);
  const found: { file: TnefFile; rank: number }[] = [];
  let codePage: string | null = null;
  while (reader.left > 0 && !reader.isBroken) {
    const level = reader.octet();
    const id = reader.number() & 0xffff;
    const length = reader.number();
    const start = reader.at;
    // A checksum of two octets follows.
    reader.skip(length);
    reader.skip(2);
    // What is left of one that is cut off tells as little as garbage behind the last.
    if (reader.isBroken || (level !== levelMessage && level !== levelAttachment)) {
      reader.isBroken = true;
      break;
    }
    const end = start + length;
    if (id === attOemCodepage && length >= 4) codePage = `cp${octetsAt(octets, start)}`;
    if (level !== levelAttachment) continue;
    if (id === attAttachRendData) {
      if (found.length >= filesMax) break;
      found.push({ file: { name: null, start: 0, end: 0 }, rank: 0 });
    }
    const current = found.at(-1);
    if (current === undefined) continue;
    if (id === attAttachData) Object.assign(current.file, { start, end });
    else if (id === attAttachTitle) rename(current, rankTitle, octets.subarray(start, end), codePage);
    else if (id === attAttachment) {
      for (const { id: property, type, value } of properties(octets.subarray(start, end))) {
        const rank = ranks.get(property);
        if (rank !== undefined) rename(current, rank, value, type === typeUnicode ? 'utf-16le' : codePage);
      }
    }
  }
  return { files: found.map(({ file }) => file), isDamaged: reader.isBroken };
};

const levelMessage = 1;
const levelAttachment = 2;
const attOemCodepage = 0x9007;
const attAttachRendData = 0x9002;
const attAttachTitle = 0x8010;
const attAttachData = 0x800f;
const attAttachment = 0x9005;
const typeString8 = 0x1e;
const typeUnicode = 0x1f;
const multiValued = 0x1000;

/** Which name wins: PidTagAttachLongFilename, then the title, PidTagAttachFilename, PidTagDisplayName. */
const ranks: ReadonlyMap<number, number> = new Map([
  [0x3707, 4],
  [0x3704, 2],
  [0x3001, 1],
]);
const rankTitle = 3;

const rename = (
  found: { file: TnefFile; rank: number },
  rank: number,
  octets: Uint8Array,
  charset: string | null,
): void => {
  if (rank <= found.rank || octets.length > nameOctetsMax) return;
  const label = charset === null || charsetOf(charset) === null ? null : charset;
  const name = decodeText(octets, label)
    .text.replace(/\0[\s\S]*$/, '')
    .trim();
  if (name === '') return;
  found.file.name = name;
  found.rank = rank;
};

const octetsAt = (octets: Uint8Array, at: number): number =>
  new DataView(octets.buffer, octets.byteOffset, octets.byteLength).getUint32(at, true);

interface Property {
  id: number;
  type: number;
  value: Uint8Array;
}

/** The properties of a list that are text; where it is damaged, those before that place. */
const properties = (list: Uint8Array): Property[] => {
  const reader = new Reader(Buffer.from(list.buffer, list.byteOffset, list.byteLength), 0);
  const found: Property[] = [];
  const count = Math.min(reader.number(), propertiesMax);
  for (let index = 0; index < count && !reader.isBroken; index++) {
    const type = reader.short();
    const id = reader.short();
    if (id >= 0x8000) {
      // A named property: a GUID, then a number or a name.
      reader.skip(16);
      const isNumber = reader.number() === 0;
      if (isNumber) reader.skip(4);
      else reader.skip(padded(reader.number()));
    }
    const plain = type & ~multiValued;
    const size = sizes.get(plain);
    const valueCount = size === undefined || (type & multiValued) !== 0 ? reader.number() : 1;
    if (size !== undefined) {
      reader.skip(size * valueCount);
      continue;
    }
    for (let value = 0; value < valueCount && !reader.isBroken; value++) {
      const length = reader.number();
      const start = reader.at;
      reader.skip(padded(length));
      if (!reader.isBroken && (plain === typeString8 || plain === typeUnicode)) {
        found.push({ id, type: plain, value: list.subarray(start, start + length) });
      }
    }
  }
  return found;
};

const padded = (length: number): number => Math.ceil(length / 4) * 4;

/** Octets of the types that are all of one size, as they are written. */
const sizes: ReadonlyMap<number, number> = new Map([
  [0x02, 4],
  [0x03, 4],
  [0x04, 4],
  [0x05, 8],
  [0x06, 8],
  [0x07, 8],
  [0x0a, 4],
  [0x0b, 4],
  [0x14, 8],
  [0x40, 8],
  [0x48, 16],
]);

class Reader {
  at: number;
  isBroken = false;
  #octets: Buffer;

  constructor(octets: Buffer, at: number) {
    this.#octets = octets;
    this.at = at;
  }

  get left(): number {
    return this.#octets.length - this.at;
  }

  skip(count: number): void {
    if (count > this.left) this.isBroken = true;
    else this.at += count;
  }

  #take(count: number): number {
    const at = this.at;
    this.skip(count);
    return this.isBroken ? 0 : this.#octets.readUIntLE(at, count);
  }

  octet(): number {
    return this.#take(1);
  }

  short(): number {
    return this.#take(2);
  }

  number(): number {
    return this.#take(4);
  }
}
