/** The octets of a mail file as a message (WIRE, “files”). */
export type MailFile =
  | { kind: 'mail'; pieces: readonly Uint8Array[]; sizeBytes: number; lineEnds: 'crlf' | 'lf-to-crlf' }
  /** some lines end in CRLF, others in LF: which of them the sender's were cannot be told; the first line that differs, from 1 */
  | { kind: 'mixed'; line: number }
  /** a CR that ends no line; no mail server takes such a message */
  | { kind: 'bare-cr'; line: number };

const cr = 13;
const lf = 10;

/**
 * Reads a mail from a file: as it is when its lines end in CRLF; when it has no CRLF at all every LF becomes one; mixed line ends are
 * refused.
 */
export const readMailFile = (octets: Uint8Array): MailFile => {
  const file = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  const firstCrlf = file.indexOf('\r\n');
  const hasCrlf = firstCrlf >= 0;
  let line = 1;
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  let from = 0;
  for (let at = file.indexOf(lf); at >= 0; at = file.indexOf(lf, at + 1)) {
    const endsInCrlf = at > 0 && file[at - 1] === cr;
    if (hasCrlf && !endsInCrlf)
      return { kind: 'mixed', line: firstCrlf < at ? line : lineOf(file, firstCrlf) };
    if (!hasCrlf) {
      pieces.push(octets.subarray(from, at), crlf);
      sizeBytes += at - from + crlf.length;
      from = at + 1;
    }
    line += 1;
  }
  const bareCr = firstBareCr(file);
  if (bareCr !== null) return { kind: 'bare-cr', line: lineOf(file, bareCr) };
  pieces.push(octets.subarray(from));
  sizeBytes += octets.length - from;
  return { kind: 'mail', pieces, sizeBytes, lineEnds: hasCrlf ? 'crlf' : 'lf-to-crlf' };
};

const crlf = new Uint8Array([cr, lf]);

const firstBareCr = (file: Buffer): number | null => {
  for (let at = file.indexOf(cr); at >= 0; at = file.indexOf(cr, at + 1)) if (file[at + 1] !== lf) return at;
  return null;
};

/** The number of the line that an octet lies in, from 1. */
const lineOf = (file: Buffer, offset: number): number => {
  let line = 1;
  for (let at = file.indexOf(lf); at >= 0 && at < offset; at = file.indexOf(lf, at + 1)) line += 1;
  return line;
};
