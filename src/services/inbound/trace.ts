import { utf8 } from '#base/bytes';

/** octets of a prefix (FORMATS §4) */
export const prefixBytesMax = 8_192;
/** octets of a line without its CRLF: RFC 5322 §2.1.1 */
const lineBytesMax = 997;

export interface TraceFields {
  /** the peer, and what it called itself in EHLO or HELO; null for a message that came by a command on this machine */
  from: TraceOrigin | null;
  /** the user of this machine whose command it was */
  uid?: number;
  hostname: string;
  /** ESMTPS and its like (RFC 3848), or LOCAL */
  protocol: string;
  tls: { version: string; cipher: string } | null;
  id: string;
  sha256Hex: string;
  /** the one recipient, or null where the transaction has several: a Bcc is never disclosed */
  onlyRecipient: string | null;
  timeMs: number;
  /** values of `Authentication-Results`, one field a method */
  results: readonly string[];
  /** `<hostname>/fengni/s<shard>/g<N>` */
  origin: string;
}

export interface TraceOrigin {
  helo: string;
  /** an IP address; empty on a Unix socket, and where a relay does not know it */
  address: string;
  /** a host name that a relay claims, or null */
  name: string | null;
  /** whose word it is (`Via` of `#protocols/smtp`) */
  via: readonly { by: string; address: string }[];
}

/**
 * The trace fields that every copy of a transaction shares, from `Received` to `Fengni-Seal`: what the leaf's `pre` commits to.
 *
 * Every field is one line, since Outlook unfolds long ones and writes them back (`fastmail/authentication_milter#110`).
 */
export const commonPrefix = (fields: TraceFields): Uint8Array => {
  const { from, uid, tls, onlyRecipient } = fields;
  const peer = from === null ? '' : `from ${heloWord(from.helo)} ${originWords(from)} `;
  const received =
    `Received: ${peer}by ${fields.hostname}${uid === undefined ? '' : ` (from userid ${uid})`} with ${fields.protocol}` +
    `${tls === null ? '' : ` (using ${tls.version} with cipher ${tls.cipher})`} id ${fields.id}`;
  const forClause = onlyRecipient === null ? '' : ` for <${onlyRecipient}>`;
  const date = `; ${rfc5322Date(fields.timeMs)}`;
  return lines([
    // An address may be as long as a line; the field is right without it.
    Buffer.byteLength(received + forClause + date) <= lineBytesMax
      ? received + forClause + date
      : received + date,
    ...fields.results.map((value) => `Authentication-Results: ${value}`),
    `Fengni-Seal: id=${fields.id}; sha256=${fields.sha256Hex}; o=${fields.origin}`,
  ]);
};

/** What stands above it in one recipient's copy. */
export const copyPrefix = (copy: { mailFrom: string; recipient: string }): Uint8Array =>
  lines([`Return-Path: <${copy.mailFrom}>`, `Delivered-To: ${copy.recipient}`]);

/** `Tue, 24 Nov 2026 04:00:00 +0000`. @source RFC 5322 §3.3 */
export const rfc5322Date = (timeMs: number): string => new Date(timeMs).toUTCString().replace('GMT', '+0000');

const lines = (all: readonly string[]): Uint8Array => utf8(all.map((line) => `${line}\r\n`).join(''));

/** A domain or address literal as it was sent; what could not be one is not repeated in a field that others parse. */
const heloWord = (helo: string): string => (/^[\p{L}\p{N}._:[\]-]{1,255}$/u.test(helo) ? helo : 'unknown');

/** The TCP-info of RFC 5321 §4.4; what others only claim is named as that. */
const originWords = ({ address, name, via }: TraceOrigin): string => {
  const known = address === '' ? (via.length === 0 ? 'local socket' : 'unknown') : addressLiteral(address);
  const claims = via.map(
    ({ by, address: of }) => ` (as ${of === '' ? 'a local relay' : addressLiteral(of)} says by ${by})`,
  );
  return `(${name === null ? '' : `${heloWord(name)} `}${known})${claims.join('')}`;
};

/** @source RFC 5321 §4.1.3 */
const addressLiteral = (address: string): string =>
  address.includes(':') ? `[IPv6:${address}]` : `[${address}]`;
