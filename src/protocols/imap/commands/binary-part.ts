import { createTransferDecoder, type StructurePart } from '#message';
import type { FoundBody } from '../store.ts';

/** octets of a decoded part that are kept between counting and sending; a larger one is decoded twice */
const keptBytesMax = 1024 * 1024;

export interface DecodedPart {
  /** of what `read` gives */
  readonly sizeBytes: number;
  readonly hasNul: boolean;
  read(): AsyncIterable<Uint8Array>;
}

/**
 * A part's octets without their transfer encoding.
 *
 * @param partial octets of the decoded part; null for all of them
 * @throws what `read` of the body throws where it is damaged
 * @source RFC 3516 §4.2
 */
export const decodedPart = async (
  body: FoundBody,
  part: StructurePart,
  partial: { readonly start: number; readonly length: number } | null,
): Promise<DecodedPart> => {
  const kept: Uint8Array[] = [];
  let sizeBytes = 0;
  let hasNul = false;
  for await (const octets of pieces(body, part, partial)) {
    sizeBytes += octets.length;
    hasNul ||= octets.includes(0);
    // what a decoder gives may be a view of the octets that it was given
    if (sizeBytes <= keptBytesMax) kept.push(octets);
    else kept.length = 0;
  }
  const isKept = sizeBytes <= keptBytesMax;
  return { sizeBytes, hasNul, read: () => (isKept ? eachOf(kept) : pieces(body, part, partial)) };
};

async function* eachOf(kept: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* kept;
}

async function* pieces(
  body: FoundBody,
  part: StructurePart,
  partial: { readonly start: number; readonly length: number } | null,
): AsyncGenerator<Uint8Array> {
  const decoder = createTransferDecoder(part.encoding);
  let skip = partial?.start ?? 0;
  let left = partial?.length ?? Number.POSITIVE_INFINITY;
  const clipped = (octets: Uint8Array): Uint8Array => {
    const from = Math.min(skip, octets.length);
    skip -= from;
    const taken = octets.subarray(from, Math.min(octets.length, from + left));
    left -= taken.length;
    return taken;
  };
  if (part.end > part.bodyStart) {
    for await (const octets of body.read(part.bodyStart, part.end)) {
      const decoded = clipped(decoder.write(octets));
      if (decoded.length > 0) yield decoded;
      if (left === 0) return;
    }
  }
  const rest = clipped(decoder.end());
  if (rest.length > 0) yield rest;
}
