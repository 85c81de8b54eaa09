const high = 2 ** 32;

/** Writes a number up to 2^53 − 1 as 8 octets, big-endian. */
export const putU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, Math.floor(value / high));
  view.setUint32(at + 4, value % high);
};

/** The number in 8 octets, or null when it exceeds 2^53 − 1. */
export const getU64 = (view: DataView, at: number): number | null => {
  const value = view.getUint32(at) * high + view.getUint32(at + 4);
  return value <= Number.MAX_SAFE_INTEGER ? value : null;
};

/** 2 octets, big-endian. A `DataView` a frame would cost more than what is read with it. */
export const u16 = (octets: Uint8Array, at: number): number =>
  ((octets[at] as number) << 8) | (octets[at + 1] as number);

/** 4 octets, big-endian. */
export const u32 = (octets: Uint8Array, at: number): number =>
  (((octets[at] as number) << 24) |
    ((octets[at + 1] as number) << 16) |
    ((octets[at + 2] as number) << 8) |
    (octets[at + 3] as number)) >>>
  0;

/** The number in 8 octets, or null when it exceeds 2^53 − 1. */
export const u64 = (octets: Uint8Array, at: number): number | null => {
  const value = u32(octets, at) * high + u32(octets, at + 4);
  return value <= Number.MAX_SAFE_INTEGER ? value : null;
};

export const viewOf = (octets: Uint8Array): DataView =>
  new DataView(octets.buffer, octets.byteOffset, octets.byteLength);

export const alignUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** A copy of a range. `slice` would share memory where the octets are a `Buffer`. */
export const copyOf = (octets: Uint8Array, from = 0, to = octets.length): Uint8Array => {
  const end = Math.min(to, octets.length);
  if (end - from > copiedHereBytesMax) return new Uint8Array(octets.subarray(from, end));
  // A hash or a key: a view of them costs more than the octets.
  const copy = new Uint8Array(Math.max(0, end - from));
  for (let at = 0; at < copy.length; at++) copy[at] = octets[from + at] as number;
  return copy;
};

const copiedHereBytesMax = 64;

/** Whether all octets are zero; compares whole ranges, and loops over a few octets only. */
export const isZeros = (octets: Uint8Array): boolean => {
  if (octets.length <= 64) {
    for (let at = 0; at < octets.length; at++) if (octets[at] !== 0) return false;
    return true;
  }
  for (let at = 0; at < octets.length; at += zeros.length) {
    const part = octets.subarray(at, at + zeros.length);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
};

const zeros = new Uint8Array(4096);

/** Zeros for padding; shared, never written to. */
export const zeroOctets = (length: number): Uint8Array =>
  length <= zeros.length ? zeros.subarray(0, length) : new Uint8Array(length);
