import { isIPv4, isIPv6 } from 'node:net';

export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  /** so far it may become a header */
  | { readonly kind: 'more' }
  | { readonly kind: 'bad'; readonly reason: string }
  | {
      readonly kind: 'header';
      /** octets of the header: what follows is the connection's own */
      readonly bytes: number;
      /** null: the connection is the proxy's own (LOCAL), or it does not know (UNKNOWN, UNSPEC, Unix sockets) */
      readonly source: ProxyEndpoint | null;
      readonly destination: ProxyEndpoint | null;
    };

/** @source HAProxy, proxy-protocol.txt §2.1: the longest line, CRLF included */
const lineBytesMax = 107;
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const fixedBytes = 16;
/** octets of addresses and TLVs that we take; real ones have some hundred */
const restBytesMax = 4_080;

/** octets of the longest header that is read */
export const proxyHeaderBytesMax = fixedBytes + restBytesMax;

/**
 * Reads a header at the start of a connection's octets.
 *
 * @param octets all that came so far, at least one
 * @source HAProxy, proxy-protocol.txt §2.1, §2.2
 */
export const readProxyHeader = (octets: Buffer): ProxyHeader =>
  octets[0] === signature[0] ? readBinary(octets) : readLine(octets);

const more: ProxyHeader = { kind: 'more' };
const bad = (reason: string): ProxyHeader => ({ kind: 'bad', reason });

const readLine = (octets: Buffer): ProxyHeader => {
  const start = octets.toString('latin1', 0, 6);
  if (!'PROXY '.startsWith(start)) return bad('no PROXY header');
  const lf = octets.subarray(0, lineBytesMax).indexOf(0x0a);
  if (lf < 0) return octets.length < lineBytesMax ? more : bad('a line over 107 octets');
  const line = octets.toString('latin1', 0, lf + 1);
  // What stands behind UNKNOWN is not looked at, but it is one line.
  if (/^PROXY UNKNOWN(?: [^\r\n]*)?\r\n$/.test(line))
    return { kind: 'header', bytes: lf + 1, source: null, destination: null };
  const [, family, from = '', to = '', fromPort = '', toPort = ''] =
    /^PROXY (TCP4|TCP6) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\r\n$/.exec(line) ?? [];
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(from) || !isAddress(to)) return bad('not a line of version 1');
  // A zone is a name of the proxy's machine.
  if (from.includes('%') || to.includes('%')) return bad('an address with a zone');
  if (Number(fromPort) > 65_535 || Number(toPort) > 65_535) return bad('not a port');
  return {
    kind: 'header',
    bytes: lf + 1,
    source: { address: from.toLowerCase(), port: Number(fromPort) },
    destination: { address: to.toLowerCase(), port: Number(toPort) },
  };
};

/** octets of both addresses and ports by family and transport: TCP over IPv4, TCP over IPv6, a Unix stream */
const addressBytes: Readonly<Record<number, number>> = { 0: 0, 17: 12, 33: 36, 49: 216 };

const readBinary = (octets: Buffer): ProxyHeader => {
  const seen = Math.min(octets.length, signature.length);
  if (!octets.subarray(0, seen).equals(signature.subarray(0, seen))) return bad('no PROXY header');
  const command = octets[12];
  if (command !== undefined && command !== 0x20 && command !== 0x21)
    return bad('not version 2, LOCAL or PROXY');
  const family = octets[13];
  const known = family === undefined ? 0 : addressBytes[family];
  // LOCAL may say any family: it is not looked at.
  if (known === undefined && command !== 0x20) return bad('neither a TCP nor a Unix stream');
  if (octets.length < fixedBytes) return more;
  const restBytes = octets.readUInt16BE(14);
  if (restBytes > restBytesMax) return bad(`over ${proxyHeaderBytesMax} octets`);
  const bytes = fixedBytes + restBytes;
  if (command === 0x21 && restBytes < (known ?? 0)) return bad('addresses cut off');
  if (octets.length < bytes) return more;
  const nobody = { kind: 'header', bytes, source: null, destination: null } as const;
  if (command === 0x20) return nobody;
  if (!areTlvs(octets.subarray(fixedBytes + (known ?? 0), bytes))) return bad('TLVs cut off');
  if (family === 0x11) {
    const at = (offset: number): string => octets.subarray(offset, offset + 4).join('.');
    return both(bytes, at(16), octets.readUInt16BE(24), at(20), octets.readUInt16BE(26));
  }
  if (family === 0x21) {
    const at = (offset: number): string => ipv6Text(octets.subarray(offset, offset + 16));
    return both(bytes, at(16), octets.readUInt16BE(48), at(32), octets.readUInt16BE(50));
  }
  return nobody;
};

const both = (bytes: number, from: string, fromPort: number, to: string, toPort: number): ProxyHeader => ({
  kind: 'header',
  bytes,
  source: { address: from, port: fromPort },
  destination: { address: to, port: toPort },
});

const areTlvs = (octets: Buffer): boolean => {
  let at = 0;
  while (at + 3 <= octets.length) at += 3 + octets.readUInt16BE(at + 1);
  return at === octets.length;
};

/** The text of RFC 5952 §4.1 to §4.3: lower case, no leading zeros, the longest run of two or more zero groups as `::`. */
const ipv6Text = (octets: Buffer): string => {
  const groups = Array.from({ length: 8 }, (_, at) => octets.readUInt16BE(2 * at));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return best.at < 0 ? text(0, 8) : `${text(0, best.at)}::${text(best.at + best.length, 8)}`;
};
