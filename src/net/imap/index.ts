/**
 * Mail is read: the socket side of IMAP (RFC 9051), plain with STARTTLS or with TLS from the start.
 *
 * It feeds a session of `#protocols/imap`, writes what it says as fast as the client takes it, and keeps the time.
 * Always: a session that ends gives its account and mailbox back once; a client that does not read holds no more than a
 * batch of replies here.
 */
export { createImapListener, type ImapListener, type ImapListenerOptions } from './listener.ts';
export { type ImapServerSettings, imapServerDefaults } from './settings.ts';
