const ipv4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const hexGroup = /^[0-9a-fA-F]{1,4}$/;

/**
 * 4 or 16 octets of an address in text, or null where it is none. A zone (`fe80::1%eth0`), a leading zero in a decimal
 * octet and brackets make it none; IPv4-mapped addresses stay 16 octets.
 *
 * @source RFC 4291 §2.2, RFC 6943 §3.1.1
 */
export const parseIp = (text: string): Uint8Array | null => {
  if (text.length > 45) return null;
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
};

const parseIpv4 = (text: string): Uint8Array | null => {
  const [, ...parts] = ipv4.exec(text) ?? [];
  if (parts.length !== 4) return null;
  const octets = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    const value = Number(part);
    if (value > 255 || String(value) !== part) return null;
    octets[index] = value;
  }
  return octets;
};

const parseIpv6 = (text: string): Uint8Array | null => {
  const gap = text.indexOf('::');
  if (gap !== -1 && text.includes('::', gap + 1)) return null;
  const front = groupOctets(gap === -1 ? text : text.slice(0, gap), gap === -1);
  const back = gap === -1 ? [] : groupOctets(text.slice(gap + 2), true);
  if (front === null || back === null) return null;
  const length = front.length + back.length;
  if (gap === -1 ? length !== 16 : length > 14) return null;
  const octets = new Uint8Array(16);
  octets.set(front, 0);
  octets.set(back, 16 - back.length);
  return octets;
};

const groupOctets = (text: string, mayEndInIpv4: boolean): number[] | null => {
  if (text === '') return [];
  const octets: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (hexGroup.test(group)) {
      const value = Number.parseInt(group, 16);
      octets.push(value >> 8, value & 255);
      continue;
    }
    const tail = mayEndInIpv4 && index === groups.length - 1 ? parseIpv4(group) : null;
    if (tail === null) return null;
    octets.push(...tail);
  }
  return octets;
};

/**
 * The text of an address of 4 or 16 octets; an IPv4-mapped one is written `::ffff:192.0.2.1`.
 *
 * @source RFC 5952 §4, §5
 */
export const formatIp = (octets: Uint8Array): string => {
  if (octets.length === 4) return octets.join('.');
  if (isIpv4Mapped(octets)) return `::ffff:${octets.subarray(12).join('.')}`;
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2)
    groups.push(((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0));
  const run = longestZeroRun(groups);
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return run.length < 2
    ? text(groups)
    : `${text(groups.slice(0, run.start))}::${text(groups.slice(run.start + run.length))}`;
};

/** RFC 5952 §4.2.3: the longest run, the first of equals. */
const longestZeroRun = (groups: readonly number[]): { start: number; length: number } => {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
};

/** Whether an address in text is this machine itself: 127.0.0.0/8 or ::1. @source RFC 1122 §3.2.1.3, RFC 4291 §2.5.3 */
export const isLoopback = (text: string): boolean => {
  const octets = parseIp(text);
  if (octets === null) return false;
  return octets.length === 4 ? octets[0] === 127 : octets.every((octet, at) => octet === (at === 15 ? 1 : 0));
};

/** Whether 16 octets are an IPv4 address in the form of IPv6 (RFC 4291 §2.5.5.2). */
export const isIpv4Mapped = (octets: Uint8Array): boolean =>
  octets.length === 16 &&
  octets[10] === 255 &&
  octets[11] === 255 &&
  octets.subarray(0, 10).every((octet) => octet === 0);

/**
 * The name under which an address points back, without a final dot.
 *
 * @source RFC 1035 §3.5, RFC 3596 §2.5
 */
export const reverseName = (octets: Uint8Array): string => {
  if (octets.length === 4) return `${[...octets].reverse().join('.')}.in-addr.arpa`;
  const nibbles = [...octets].flatMap((octet) => [octet >> 4, octet & 15]);
  return `${nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join('.')}.ip6.arpa`;
};
