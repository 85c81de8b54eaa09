/**
 * The fields of a header that are named, or that are not, as they stand there, and an empty line.
 *
 * @param header octets as characters, to the empty line or the end of the message
 * @param names in lower case
 * @source RFC 9051 §6.4.5 (HEADER.FIELDS)
 */
export const headerFields = (header: string, names: ReadonlySet<string>, wanted: boolean): string => {
  let kept = '';
  let keep = false;
  for (let at = 0; at < header.length; ) {
    const lineFeed = header.indexOf('\n', at);
    const end = lineFeed === -1 ? header.length : lineFeed + 1;
    const first = header[at];
    if (first === '\n' || (first === '\r' && end === at + 2)) break;
    // a line that begins with a blank belongs to the field before it
    if (first !== ' ' && first !== '\t') {
      const colon = header.indexOf(':', at);
      const name = colon === -1 || colon >= end ? null : header.slice(at, colon).trimEnd().toLowerCase();
      keep = name !== null && names.has(name) === wanted;
    }
    if (keep) kept += header.slice(at, end);
    at = end;
  }
  if (kept !== '' && !kept.endsWith('\n')) kept += '\r\n';
  return `${kept}\r\n`;
};
