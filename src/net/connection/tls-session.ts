/**
 * A number in a session as OpenSSL writes it down, or null: the INTEGER under an explicit tag.
 *
 * @param session what `getSession()` gave: DER, a SEQUENCE of fields
 */
export const sessionInteger = (session: Uint8Array | undefined, tag: number): number | null => {
  const whole = session === undefined ? null : readField(session, 0);
  if (session === undefined || whole?.tag !== 0x30) return null;
  for (let at = whole.start; at < whole.end; ) {
    const field = readField(session, at);
    if (field === null) return null;
    if (field.tag === tag) {
      const integer = readField(session, field.start);
      if (integer?.tag !== 0x02) return null;
      let value = 0;
      for (const octet of session.subarray(integer.start, Math.min(integer.end, integer.start + 4)))
        value = value * 256 + octet;
      return value;
    }
    at = field.end;
  }
  return null;
};

interface Field {
  tag: number;
  start: number;
  end: number;
}

const readField = (octets: Uint8Array, at: number): Field | null => {
  const tag = octets[at];
  let length = octets[at + 1];
  let start = at + 2;
  if (tag === undefined || length === undefined) return null;
  if (length > 0x80) {
    const lengthBytes = length - 0x80;
    if (lengthBytes > 3) return null;
    length = 0;
    for (let index = 0; index < lengthBytes; index++) length = length * 256 + (octets[start + index] ?? 0);
    start += lengthBytes;
  }
  const end = start + length;
  return end > octets.length ? null : { tag, start, end };
};
