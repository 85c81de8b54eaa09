/**
 * Mail from outside: who it is for, what we write above it, and the way to the writer (RFC 5321 §4.4 trace, RFC 8601).
 *
 * Always holds: the original is not altered by an octet; the prefix is made once, when the message is complete; nothing is accepted
 * before its group is durable.
 */
export { createInbound, type Inbound, type InboundOptions, type LocalTransaction } from './inbound.ts';
export { type MailFile, readMailFile } from './mail-file.ts';
export { commonPrefix, copyPrefix, prefixBytesMax } from './trace.ts';
