import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

// What an attacker, a failing disk or a careless administrator does to a data folder. It knows docs/formats/segment.md and nothing of the
// program that writes these files: a mistake that both shared would hide itself.

/** Where a message lies. @source docs/formats/segment.md, “Frame” */
export interface StoredMessage {
  /** below the data folder */
  file: string;
  seq: number;
  /** of the frame in the file */
  offset: number;
  lengthBytes: number;
  /** in the file, of the stored octets' first one */
  octetsOffset: number;
}

const segmentHeaderBytes = 512;
/** groups and frames fill whole multiples of these */
const groupBytes = 512;
const frameBytes = 8;
const messageType = 1;
const commitType = 10;
const placeHere = 0;
/** what an age payload begins with */
const nonceBytes = 16;

/**
 * Looks through the segments for the frame of a message: its leaf stands there in clear, and its id follows from that.
 *
 * @throws when no frame has it
 * @source docs/formats/segment.md, docs/formats/leaf.md
 */
export const findMessage = (dataFolder: string, id: string): StoredMessage => {
  for (const name of fs.readdirSync(path.join(dataFolder, 'segments')).sort()) {
    const file = `segments/${name}`;
    const octets = fs.readFileSync(path.join(dataFolder, file));
    for (let offset = segmentHeaderBytes; offset + 8 <= octets.length; ) {
      // Zeros fill a group up to its last block.
      if (!isFrame(octets, offset)) {
        offset += 8;
        continue;
      }
      const { type, seq, lengthBytes, leaf, octetsOffset } = frameAt(octets, offset);
      if (type === messageType && idOf(leaf) === id) return { file, seq, offset, lengthBytes, octetsOffset };
      offset += lengthBytes;
    }
  }
  throw new Error(`no segment has a message ${id}`);
};

const isFrame = (octets: Buffer, offset: number): boolean =>
  octets.toString('latin1', offset, offset + 4) === 'FRM1';

const frameAt = (octets: Buffer, offset: number) => {
  if (!isFrame(octets, offset)) throw new Error(`no frame begins at ${offset}`);
  const record = offset + octets.readUInt16BE(offset + 4);
  const leaf = record + octets.readUInt16BE(record);
  const head = leaf + octets.readUInt32BE(record + 4);
  const octetsOffset = head + octets.readUInt32BE(offset + 12);
  const isHere = octets[offset + 8] === placeHere;
  const end = octetsOffset + (isHere ? Number(octets.readBigUInt64BE(offset + 16)) : 0);
  return {
    type: octets[record + 2],
    seq: Number(octets.readBigUInt64BE(record + 8)),
    leaf: octets.toString('latin1', leaf, head),
    /** of the first of the stored octets */
    octetsOffset,
    lengthBytes: toMultiple(end - offset, frameBytes),
  };
};

const toMultiple = (count: number, of: number): number => Math.ceil(count / of) * of;

/** @source docs/formats/leaf.md, “Commitments” */
const idOf = (leaf: string): string | null => {
  const commitment = /^msg (\S+)$/m.exec(leaf)?.[1];
  if (commitment === undefined) return null;
  const named = Buffer.concat([Buffer.from('fengni/id1\0'), Buffer.from(commitment, 'base64')]);
  const digest = hash('sha256', named, 'buffer').subarray(0, 16);
  let bits = BigInt(`0x${digest.toString('hex')}`) << 2n;
  let id = '';
  for (let at = 0; at < 26; at++, bits >>= 5n)
    id = 'abcdefghijklmnopqrstuvwxyz234567'[Number(bits & 31n)] + id;
  return id;
};

export interface Flip {
  file: string;
  /** in the file */
  offset: number;
  before: number;
  after: number;
}

/**
 * Flips one bit of a message where it lies. Its octets are encrypted with ChaCha20, which goes octet by octet: the same bit of the mail
 * changes with it.
 *
 * @param at octet of the original; below 64 KiB, which is the first chunk
 * @param bit 0 is the least significant one
 */
export const flipBit = (dataFolder: string, stored: StoredMessage, at: number, bit: number): Flip => {
  const offset = stored.octetsOffset + nonceBytes + at;
  const descriptor = fs.openSync(path.join(dataFolder, stored.file), 'r+');
  try {
    const octet = Buffer.alloc(1);
    fs.readSync(descriptor, octet, 0, 1, offset);
    const before = octet.readUInt8(0);
    const after = before ^ (1 << bit);
    octet.writeUInt8(after, 0);
    fs.writeSync(descriptor, octet, 0, 1, offset);
    return { file: stored.file, offset, before, after };
  } finally {
    fs.closeSync(descriptor);
  }
};

/**
 * Cuts a frame out of its group, as if it had never been written: what follows moves up, and the group ends at a block again.
 *
 * @source docs/formats/segment.md, “Group”
 */
export const removeFrame = (dataFolder: string, stored: StoredMessage): void => {
  const file = path.join(dataFolder, stored.file);
  const octets = fs.readFileSync(file);
  const from = stored.offset + stored.lengthBytes;
  let commit = from;
  while (frameAt(octets, commit).type !== commitType) commit += frameAt(octets, commit).lengthBytes;
  const end = commit + frameAt(octets, commit).lengthBytes;
  const before = stored.offset + end - from;
  const padding = Buffer.alloc(toMultiple(before, groupBytes) - before);
  fs.writeFileSync(
    file,
    Buffer.concat([
      octets.subarray(0, stored.offset),
      octets.subarray(from, end),
      padding,
      octets.subarray(toMultiple(end, groupBytes)),
    ]),
  );
};

/** What a backup leaves out: the memory of what was signed, which cannot be copied, and what belongs to a running server. */
const inNoCopy = new Set(['sealer', 'run', 'lock']);

/** A plain copy of a data folder, as `cp -r` makes it. */
export const copyFolder = (from: string, to: string): void => {
  fs.mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const name of fs.readdirSync(from))
    if (!inNoCopy.has(name)) fs.cpSync(path.join(from, name), path.join(to, name), { recursive: true });
};

/** Puts an older copy in the place of a data folder, whole. The sealer's memory stays: it is in no copy. */
export const rollBack = (dataFolder: string, copy: string): void => {
  for (const name of fs.readdirSync(dataFolder))
    if (!inNoCopy.has(name)) fs.rmSync(path.join(dataFolder, name), { recursive: true });
  copyFolder(copy, dataFolder);
};

/** Leaves of a ledger that is as young as this one: the width of its last tile. @source docs/formats/ledger.md */
export const leavesIn = (dataFolder: string): number =>
  Math.max(...fs.readdirSync(path.join(dataFolder, 'ledger/g1/tile/0/000.p')).map(Number));
