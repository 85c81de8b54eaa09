/**
 * Mail is fetched: the socket side of POP3 (RFC 1939), plain with STLS or with TLS from the start.
 *
 * It feeds a session of `#protocols/pop3` and does what it says, streams messages as fast as the client takes them, and
 * keeps the time. Always: a maildrop that was opened is closed once; a message that can't be read to its end gets no
 * final dot.
 */
export { createPop3Server, type Pop3Server, type Pop3ServerOptions } from './server.ts';
export { type Pop3ServerSettings, pop3ServerCounters, pop3ServerDefaults } from './settings.ts';
