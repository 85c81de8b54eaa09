/**
 * Domain names of the internationalised kind: A-labels for the wire and for keys, U-labels for people.
 *
 * UTS #46, non-transitional (the table of the runtime, Unicode 17), with the hostname rules of RFC 5890 and the
 * lengths of RFC 1035. Always holds: what `toAscii` returns, it returns unchanged.
 */
export { type ToAsciiOptions, toAscii, toUnicode } from './idna.ts';
