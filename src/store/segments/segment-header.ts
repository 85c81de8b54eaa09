import { ascii, equalBytes } from '#base/bytes';
import { copyOf, getU64, isZeros, putU64, viewOf } from './integers.ts';
import { sha256 } from './sha256.ts';

/** Where the log stood when a segment was opened: octets of older files beyond it are void. */
export interface PrevEnd {
  seq: number;
  /** in the older file, just past its last valid octet */
  offset: number;
  recordHash: Uint8Array;
}

export interface SegmentHeader {
  shard: number;
  generation: number;
  revision: number;
  firstSeq: number;
  /** key epoch in use when the segment was opened */
  epoch: number;
  /** null in the first file of the first generation */
  prevEnd: PrevEnd | null;
}

export type ParsedSegmentHeader =
  | { kind: 'header'; header: SegmentHeader; lengthBytes: number }
  | { kind: 'bad'; field: string };

export const segmentHeaderBytes = 512;
const magic = ascii('FENGSEG1');

/** 512 octets. @source docs/formats/segment.md, “Segment header” */
export const encodeSegmentHeader = (header: SegmentHeader): Uint8Array => {
  const octets = new Uint8Array(segmentHeaderBytes);
  const view = viewOf(octets);
  octets.set(magic, 0);
  view.setUint16(8, segmentHeaderBytes);
  view.setUint16(10, 1);
  octets[12] = 1;
  view.setUint32(16, header.shard);
  view.setUint32(20, header.generation);
  view.setUint32(24, header.revision);
  view.setUint32(28, header.epoch);
  putU64(view, 32, header.firstSeq);
  if (header.prevEnd !== null) {
    putU64(view, 40, header.prevEnd.seq);
    putU64(view, 48, header.prevEnd.offset);
    octets.set(header.prevEnd.recordHash, 56);
  }
  octets.set(sha256(octets.subarray(0, 480)), 480);
  return octets;
};

/** Reads the first 512 octets of a segment; names the first field that is not as it must be. */
export const parseSegmentHeader = (octets: Uint8Array): ParsedSegmentHeader => {
  if (octets.length < segmentHeaderBytes) return { kind: 'bad', field: 'length of the header' };
  const view = viewOf(octets);
  if (!equalBytes(octets.subarray(0, 8), magic)) return { kind: 'bad', field: 'magic' };
  if (!equalBytes(octets.subarray(480, 512), sha256(octets.subarray(0, 480))))
    return { kind: 'bad', field: 'checksum of the header' };
  // A longer header belongs to a newer format; its first 512 octets keep their meaning.
  const lengthBytes = view.getUint16(8);
  if (lengthBytes < segmentHeaderBytes || lengthBytes % 512 !== 0)
    return { kind: 'bad', field: 'headerLength' };
  if (view.getUint16(10) !== 1) return { kind: 'bad', field: 'format' };
  if (octets[12] !== 1) return { kind: 'bad', field: 'hash' };
  const reserved = isZeros(octets.subarray(13, 16)) && isZeros(octets.subarray(88, 480));
  if (!reserved) return { kind: 'bad', field: 'reserved octets' };
  const firstSeq = getU64(view, 32);
  const seq = getU64(view, 40);
  const offset = getU64(view, 48);
  if (firstSeq === null || firstSeq === 0) return { kind: 'bad', field: 'firstSeq' };
  if (seq === null || seq >= firstSeq) return { kind: 'bad', field: 'prevEnd.seq' };
  if (offset === null || offset % 512 !== 0) return { kind: 'bad', field: 'prevEnd.offset' };
  const recordHash = copyOf(octets, 56, 88);
  if (seq === 0 && (offset !== 0 || !isZeros(recordHash))) return { kind: 'bad', field: 'prevEnd' };
  return {
    kind: 'header',
    lengthBytes,
    header: {
      shard: view.getUint32(16),
      generation: view.getUint32(20),
      revision: view.getUint32(24),
      firstSeq,
      epoch: view.getUint32(28),
      prevEnd: seq === 0 ? null : { seq, offset, recordHash },
    },
  };
};
