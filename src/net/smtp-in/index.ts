/**
 * Mail comes in: the socket side of SMTP (RFC 5321) and LMTP (RFC 2033) reception, plain with STARTTLS or with TLS from the start.
 *
 * It feeds a session of `#protocols/smtp` and does what it says, keeps its time (RFC 5321 §4.5.3.2), and waits for the
 * service and for the peer. Always: one `write` of a delivery at a time; `abort` or `finish`, never both, once each.
 */
export { createSmtpServer, type SmtpServer, type SmtpServerOptions } from './server.ts';
export { type SmtpServerSettings, smtpServerCounters, smtpServerDefaults } from './settings.ts';
