import type { TransferEncoding } from './part.ts';

/** Undoes a transfer encoding piece by piece. */
export interface TransferDecoder {
  /** What can be decoded so far. */
  write(octets: Uint8Array): Uint8Array;
  /** The rest. */
  end(): Uint8Array;
}

/**
 * A decoder that takes what people send: base64 with any other characters in it, padding in the middle or none; stray `=`
 * in quoted-printable stay as they are; uuencode from its `begin` line to its `end` line. An encoding nobody knows, and
 * none, passes through. Never throws; the same result in every chunking; holds a line end's worth at most.
 *
 * @source RFC 2045 §6.7, §6.8; POSIX uuencode
 */
export const createTransferDecoder = (encoding: TransferEncoding): TransferDecoder => {
  switch (encoding) {
    case 'base64':
      return new Base64Decoder();
    case 'quoted-printable':
      return new QuotedPrintableDecoder();
    case 'uuencode':
      return new UuDecoder();
    default:
      return { write: (octets) => octets, end: () => nothing };
  }
};

/** The decoded octets of a body that is at hand. */
export const decodeTransfer = (octets: Uint8Array, encoding: TransferEncoding): Uint8Array => {
  const decoder = createTransferDecoder(encoding);
  const body = decoder.write(octets);
  const rest = decoder.end();
  return rest.length === 0 ? body : Buffer.concat([body, rest]);
};

const nothing = new Uint8Array(0);

const latin1 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('latin1');

class Base64Decoder implements TransferDecoder {
  #carry = '';

  write(octets: Uint8Array): Uint8Array {
    const text = this.#carry + latin1(octets).replace(/[^A-Za-z0-9+/=]+/g, '');
    // Padding ends a run; another may follow it.
    const runs = text.split(/=+/);
    this.#carry = '';
    const decoded: Buffer[] = [];
    for (const [index, run] of runs.entries()) {
      const isLast = index === runs.length - 1;
      const usable = isLast ? run.length - (run.length % 4) : run.length;
      if (isLast) this.#carry = run.slice(usable);
      if (usable > 0) decoded.push(Buffer.from(run.slice(0, usable), 'base64'));
    }
    return decoded.length === 1 ? (decoded[0] ?? nothing) : Buffer.concat(decoded);
  }

  end(): Uint8Array {
    const rest = Buffer.from(this.#carry, 'base64');
    this.#carry = '';
    return rest;
  }
}

/** Blanks at the end of a line are dropped (RFC 2045 §6.7 (3)); more of them than that are text. */
const blanksMax = 1000;

class QuotedPrintableDecoder implements TransferDecoder {
  #carry = '';

  write(octets: Uint8Array): Uint8Array {
    const text = this.#carry + latin1(octets);
    let end = text.length;
    // Hold back what the next octets may change: blanks, `=` and what may belong to it.
    const from = Math.max(0, end - blanksMax);
    const tail = /(?:=[0-9A-Fa-f]?|=?[\t ]*\r?)$/.exec(text.slice(from));
    if (tail !== null && tail[0].length < blanksMax) end -= tail[0].length;
    this.#carry = text.slice(end);
    return decodeQuotedPrintable(text.slice(0, end));
  }

  end(): Uint8Array {
    const rest = decodeQuotedPrintable(this.#carry.replace(/=?[\t ]*$/, ''));
    this.#carry = '';
    return rest;
  }
}

const equals = 0x3d;
/** Values of hexadecimal digits by their octet; 255 for what is none. */
const hexValues = new Uint8Array(256).fill(255);
for (const [value, digits] of [...'0123456789ABCDEF'].entries())
  for (const digit of [digits, digits.toLowerCase()]) hexValues[digit.charCodeAt(0)] = value;

const decodeQuotedPrintable = (text: string): Uint8Array => {
  // Looked for from where a run of blanks begins, so that none is looked at twice.
  const octets = Buffer.from(text.replace(/(?<![\t ])[\t ]+(?=\r?\n)/g, ''), 'latin1');
  let at = octets.indexOf(equals);
  if (at < 0) return octets;
  let written = at;
  while (at < octets.length) {
    const first = octets[at + 1] ?? 0;
    const second = octets[at + 2] ?? 0;
    const high = hexValues[first] ?? 255;
    const low = hexValues[second] ?? 255;
    if (high < 16 && low < 16) {
      octets[written++] = high * 16 + low;
      at += 3;
    } else if (first === 0x0a) at += 2;
    else if (first === 0x0d && second === 0x0a) at += 3;
    else {
      octets[written++] = equals;
      at += 1;
    }
    if (octets[at] === equals) continue;
    const next = octets.indexOf(equals, at);
    const end = next < 0 ? octets.length : next;
    octets.copyWithin(written, at, end);
    written += end - at;
    at = end;
  }
  return octets.subarray(0, written);
};

/** A line of uuencode has 61 characters; a longer one is none. */
const uuLineMax = 200;

class UuDecoder implements TransferDecoder {
  #carry = '';
  #state: 'before' | 'inside' | 'after' = 'before';

  write(octets: Uint8Array): Uint8Array {
    if (this.#state === 'after') return nothing;
    const lines = (this.#carry + latin1(octets)).split('\n');
    this.#carry = (lines.pop() ?? '').slice(0, uuLineMax);
    return Buffer.concat(lines.map((line) => this.#line(line)));
  }

  end(): Uint8Array {
    const rest = this.#line(this.#carry);
    this.#carry = '';
    return rest;
  }

  #line(withCr: string): Uint8Array {
    const line = withCr.endsWith('\r') ? withCr.slice(0, -1) : withCr;
    if (this.#state === 'before') {
      if (/^begin [0-7]{3,4} /.test(line)) this.#state = 'inside';
      return nothing;
    }
    if (this.#state === 'after' || line.length > uuLineMax) return nothing;
    if (line === 'end') {
      this.#state = 'after';
      return nothing;
    }
    const length = (line.charCodeAt(0) - 32) & 63;
    if (line === '' || length === 0) return nothing;
    const base64 = line.slice(1).replace(/[ -`]/g, (char) => uuToBase64[char.charCodeAt(0) - 32] ?? 'A');
    return Buffer.from(base64.padEnd(Math.ceil(length / 3) * 4, 'A'), 'base64').subarray(0, length);
  }
}

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
// A backquote is another way to write a blank, both are zero.
const uuToBase64 = `${base64Alphabet}A`;
