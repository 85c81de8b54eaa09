import assert from 'node:assert/strict';
import { encodeSegmentHeader, parseSegmentHeader, segmentHeaderBytes } from './segment-header.ts';

export const seeds: Uint8Array[] = [
  encodeSegmentHeader({ shard: 0, generation: 1, revision: 0, firstSeq: 1, epoch: 0, prevEnd: null }),
  encodeSegmentHeader({
    shard: 7,
    generation: 2,
    revision: 3,
    firstSeq: 4_294_967_400,
    epoch: 9,
    prevEnd: { seq: 103, offset: 66_048, recordHash: new Uint8Array(32).fill(5) },
  }),
];

/** What is accepted is what the encoder writes. */
export const run = (data: Uint8Array): void => {
  const parsed = parseSegmentHeader(data);
  if (parsed.kind === 'bad') assert(parsed.field.length > 0);
  else if (parsed.lengthBytes === segmentHeaderBytes)
    assert.deepEqual(
      encodeSegmentHeader(parsed.header),
      new Uint8Array(data.subarray(0, segmentHeaderBytes)),
    );
};
