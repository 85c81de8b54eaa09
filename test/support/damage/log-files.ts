import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

// The log on disk as docs/formats/segment.md and keys.md describe it. Deliberately written anew: nothing here comes from src/, so that a
// mistake there is not made twice.

export const sha256 = (...pieces: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
};

export interface LogFrame {
  /** name below DATA */
  file: string;
  /** of the storage header in its file */
  at: number;
  type: number;
  seq: number;
  leafIndex: number | null;
  epoch: number;
  slot: number;
  leafAt: number;
  leafLength: number;
  headAt: number;
  headLength: number;
  octetsAt: number;
  octetsLength: number;
  /** the octets lie in `large/` */
  isElsewhere: boolean;
  /** without padding */
  endAt: number;
  /** octets of the frame, padding included */
  length: number;
}

export const types = {
  MSG: 1,
  DELIVER: 2,
  STATE: 3,
  ROW: 4,
  LEAF: 5,
  HEAD: 6,
  COMMIT: 10,
  SEAL: 11,
} as const;

/** Every file of the log, by its first seq. */
export const segmentFiles = (folder: string): string[] =>
  fs
    .readdirSync(path.join(folder, 'segments'))
    .filter((name) => name.endsWith('.fseg'))
    .sort()
    .map((name) => `segments/${name}`);

/** The frames of an undamaged segment, in order. */
export const framesOf = (folder: string, file: string): LogFrame[] => {
  const octets = fs.readFileSync(path.join(folder, file));
  const frames: LogFrame[] = [];
  for (let at = 512; at + 232 <= octets.length; ) {
    if (octets.toString('latin1', at, at + 4) !== 'FRM1') break;
    const recordAt = at + octets.readUInt16BE(at + 4);
    const headLength = octets.readUInt32BE(at + 12);
    const octetsLength = Number(octets.readBigUInt64BE(at + 16));
    const leafAt = recordAt + octets.readUInt16BE(recordAt);
    const leafLength = octets.readUInt32BE(recordAt + 4);
    const headAt = leafAt + leafLength;
    const octetsAt = headAt + headLength;
    // Place 1: the octets lie in a file of their own.
    const isElsewhere = octets[at + 8] === 1;
    const endAt = octetsAt + (isElsewhere ? 0 : octetsLength);
    const leafIndex = octets.readBigUInt64BE(recordAt + 16);
    const frame: LogFrame = {
      file,
      at,
      type: octets[recordAt + 2] ?? 0,
      seq: Number(octets.readBigUInt64BE(recordAt + 8)),
      leafIndex: leafIndex === 0xffff_ffff_ffff_ffffn ? null : Number(leafIndex),
      epoch: octets.readUInt32BE(recordAt + 24),
      slot: octets.readUInt32BE(recordAt + 28),
      leafAt,
      leafLength,
      headAt,
      headLength,
      octetsAt,
      octetsLength,
      isElsewhere,
      endAt,
      length: Math.ceil((endAt - at) / 8) * 8,
    };
    frames.push(frame);
    at += frame.length;
    if (frame.type === types.COMMIT) at = Math.ceil(at / 512) * 512;
  }
  return frames;
};

export const allFrames = (folder: string): LogFrame[] =>
  segmentFiles(folder).flatMap((file) => framesOf(folder, file));

/** The id of a MSG frame's message, from its leaf. */
export const messageIdOf = (folder: string, frame: LogFrame): string => {
  const leaf = fs.readFileSync(path.join(folder, frame.file)).subarray(frame.leafAt, frame.headAt);
  const msg = /^msg (\S+)$/m.exec(leaf.toString('utf8'))?.[1] ?? '';
  const digest = sha256(Buffer.from('fengni/id1\0', 'latin1'), Buffer.from(msg, 'base64')).subarray(0, 16);
  let bits = '';
  for (const octet of digest) bits += octet.toString(2).padStart(8, '0');
  let id = '';
  for (let at = 0; at < bits.length; at += 5)
    id += 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(bits.slice(at, at + 5).padEnd(5, '0'), 2)];
  return id;
};

/** Changes a file in place, or makes other octets of it. */
export const edit = (folder: string, file: string, change: (octets: Buffer) => unknown): void => {
  const name = path.join(folder, file);
  const octets = fs.readFileSync(name);
  const changed = change(octets);
  fs.writeFileSync(name, changed instanceof Buffer ? changed : octets);
};

export const flip = (folder: string, file: string, offset: number, bit = 0): void =>
  edit(folder, file, (octets) => {
    octets[offset] = (octets[offset] ?? 0) ^ (1 << bit);
  });

/** Makes storage header and record fit each other again after a change, as somebody who knows the format would. */
export const resumStorage = (octets: Buffer, at: number): void => {
  const headerLength = octets.readUInt16BE(at + 4);
  const recordLength = octets.readUInt16BE(at + headerLength);
  sha256(
    octets.subarray(at, at + 72),
    octets.subarray(at + 104, at + headerLength),
    octets.subarray(at + headerLength, at + headerLength + recordLength),
  ).copy(octets, at + 72);
};
