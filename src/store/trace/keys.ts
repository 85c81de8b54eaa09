import { toAscii } from '#base/idna';
import { formatIp, isIpv4Mapped, parseIp } from '#base/ip-address';
import { localPartKey, parseEnvelopeAddress } from '#message/address';

/** Keys from `from` on, below `below`; null: this one alone. */
export interface KeyRange {
  readonly from: string;
  readonly below: string | null;
}

/** characters of a key: longer addresses are found by what fits */
const keyLengthMax = 330;

/**
 * What an address is found by: the labels of its domain from the right, `@`, the local part as it is compared. So an address, all
 * addresses of a domain, and all of the domains below it are each one range of keys.
 *
 * What is no address is its own key, in lower case.
 */
export const searchKey = (address: string): string => {
  const parsed = parseEnvelopeAddress(address);
  if (parsed === null) return `?${address.toLowerCase()}`.slice(0, keyLengthMax);
  return `${turned(parsed.asciiDomain)}@${localPartKey(parsed.localPart)}`.slice(0, keyLengthMax);
};

/** The reverse-path `<>` of bounces. */
export const nullPathRange: KeyRange = { from: '<>', below: null };

/** What a reverse-path is found by. */
export const pathKey = (path: string): string => (path === '' ? nullPathRange.from : searchKey(path));

/** Whether a key is in a range. */
export const isInRange = (key: string, { from, below }: KeyRange): boolean =>
  below === null ? key === from : key >= from && key < below;

/** An address itself. */
export const addressRange = (address: string): KeyRange => ({ from: searchKey(address), below: null });

/** Its subaddresses, `local+…`. */
export const subaddressRange = (address: string): KeyRange => {
  const key = searchKey(address);
  // `,` follows `+`.
  return { from: `${key}+`, below: `${key},` };
};

/** Addresses of a domain, and those of the domains below it; null where the text is no domain. */
export const domainRanges = (domain: string): KeyRange[] | null => {
  const literal = /^\[.*\]$/.test(domain) ? parseEnvelopeAddress(`x@${domain}`)?.asciiDomain : undefined;
  const ascii = literal ?? toAscii(domain);
  if (ascii === null || ascii === '') return null;
  const key = turned(ascii);
  // `A` follows `@`, `/` follows `.`.
  const own = { from: `${key}@`, below: `${key}A` };
  return literal === undefined ? [own, { from: `${key}.`, below: `${key}/` }] : [own];
};

const turned = (asciiDomain: string): string =>
  asciiDomain.startsWith('[') ? asciiDomain : asciiDomain.split('.').reverse().join('.');

/** 32 hexadecimal digits of an IP address, IPv4 as IPv4-mapped, so that networks are ranges; null for another text. */
export const peerKey = (address: string): string | null => {
  const octets = parseIp(address);
  return octets === null ? null : hexOf(octets);
};

const hexOf = (octets: Uint8Array): string =>
  (octets.length === 4 ? '00000000000000000000ffff' : '') + Buffer.from(octets).toString('hex');

/** An address or a network in CIDR form; `address` is how it is written usually. */
export const peerRange = (text: string): { first: string; last: string; address: string } | null => {
  const [, address = '', bits] = /^([0-9a-fA-F.:]{2,45})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const octets = parseIp(address);
  if (octets === null) return null;
  const widthBits = octets.length * 8;
  const length = bits === undefined ? widthBits : Number(bits);
  if (length > widthBits) return null;
  const key = hexOf(octets);
  const value = BigInt(`0x${key}`);
  const free = (1n << BigInt(widthBits - length)) - 1n;
  const shown = (of: bigint): string => of.toString(16).padStart(32, '0');
  const plain = octets.length === 16 && isIpv4Mapped(octets) ? octets.subarray(12) : octets;
  return { first: shown(value & ~free), last: shown(value | free), address: formatIp(plain) };
};
