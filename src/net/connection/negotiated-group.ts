/** @source IANA, TLS Supported Groups */
const groups: Readonly<Record<number, string>> = {
  23: 'secp256r1',
  24: 'secp384r1',
  25: 'secp521r1',
  29: 'x25519',
  30: 'x448',
  256: 'ffdhe2048',
  257: 'ffdhe3072',
  4587: 'SecP256r1MLKEM768',
  4588: 'X25519MLKEM768',
  4589: 'SecP384r1MLKEM1024',
};

/** The field `kex_group` of OpenSSL's SSL_SESSION: an INTEGER under the explicit tag 19. */
const groupTag = 0xa0 | 19;

/**
 * The name of the group of a handshake's key exchange, out of the session as OpenSSL writes it down, or null.
 *
 * Node tells the group to clients only (`getEphemeralKeyInfo`); a server finds it in `getSession()`.
 *
 * @param session what `getSession()` gave: DER, a SEQUENCE of fields
 */
export const negotiatedGroup = (session: Uint8Array | undefined): string | null => {
  const whole = session === undefined ? null : readField(session, 0);
  if (session === undefined || whole?.tag !== 0x30) return null;
  for (let at = whole.start; at < whole.end; ) {
    const field = readField(session, at);
    if (field === null) return null;
    if (field.tag === groupTag) {
      const integer = readField(session, field.start);
      if (integer?.tag !== 0x02) return null;
      let id = 0;
      for (const octet of session.subarray(integer.start, Math.min(integer.end, integer.start + 4)))
        id = id * 256 + octet;
      return id === 0 ? null : (groups[id] ?? `group ${id}`);
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
