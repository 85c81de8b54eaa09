/**
 * Lines of the protocols whose commands are lines: SMTP and POP3.
 *
 * A line ends in CRLF and in nothing else (RFC 5321 §2.3.8); the same lines come out in every chunking.
 */
export { commandText } from './command-text.ts';
export { type LineLimits, type LineRead, LineReader } from './line-reader.ts';
