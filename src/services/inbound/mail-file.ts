/** The octets of a mail file as a message (WIRE, “files”). */
export type MailFile =
  | { kind: 'mail'; pieces: readonly Uint8Array[]; sizeBytes: number; lineEnds: 'crlf' | 'lf-to-crlf' }
  /** some lines end in CRLF, others in LF: which of them were the sender's cannot be told; the first line that differs, from 1 */
  | { kind: 'mixed'; line: number }
  /** a CR that ends no line; no mail server takes such a message */
  | { kind: 'bare-cr'; line: number };

const cr = 13;
const lf = 10;

/**
 * Reads a mail from a file: as it is when its lines end in CRLF; when it has no CRLF at all every LF becomes one; mixed line ends are
 * refused.
 *
 * @param chunks the file, in any chunking
 */
export const readMailFile = (chunks: readonly Uint8Array[]): MailFile => {
  const ends = lineEndsOf(chunks);
  if (ends.crlfLine !== null && ends.lfLine !== null)
    return { kind: 'mixed', line: Math.max(ends.crlfLine, ends.lfLine) };
  if (ends.bareCrLine !== null) return { kind: 'bare-cr', line: ends.bareCrLine };
  const lineEnds = ends.lfLine === null ? 'crlf' : 'lf-to-crlf';
  const pieces = lineEnds === 'crlf' ? chunks : chunks.map(lfToCrlf);
  return { kind: 'mail', pieces, sizeBytes: pieces.reduce((sum, { length }) => sum + length, 0), lineEnds };
};

/** The first line with each kind of end, from 1, or null. */
const lineEndsOf = (
  chunks: readonly Uint8Array[],
): { crlfLine: number | null; lfLine: number | null; bareCrLine: number | null } => {
  let [crlfLine, lfLine, bareCrLine]: (number | null)[] = [null, null, null];
  let line = 1;
  let endedInCr = false;
  for (const octets of chunks) {
    if (octets.length === 0) continue;
    if (endedInCr && octets[0] !== lf) bareCrLine ??= line;
    let nextCr = octets.indexOf(cr);
    let from = 0;
    while (from < octets.length) {
      const found = octets.indexOf(lf, from);
      const end = found < 0 ? octets.length : found;
      // Each CR is looked at once: the last octet of the chunk waits for the next one.
      for (; nextCr >= 0 && nextCr < end; nextCr = octets.indexOf(cr, nextCr + 1))
        if (nextCr + 1 < octets.length && octets[nextCr + 1] !== lf) bareCrLine ??= line;
      if (found < 0) break;
      if (found === 0 ? endedInCr : octets[found - 1] === cr) crlfLine ??= line;
      else lfLine ??= line;
      line += 1;
      from = found + 1;
    }
    endedInCr = octets[octets.length - 1] === cr;
  }
  if (endedInCr) bareCrLine ??= line;
  return { crlfLine: crlfLine ?? null, lfLine: lfLine ?? null, bareCrLine: bareCrLine ?? null };
};

/** The caller knows that there is no CR. */
const lfToCrlf = (octets: Uint8Array): Uint8Array =>
  Buffer.from(
    Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
      .toString('latin1')
      .replaceAll('\n', '\r\n'),
    'latin1',
  );
