/**
 * TLS for our own servers: certificates read, checked and, for a local start, made; options for sockets; change while running.
 *
 * TLS 1.2 and 1.3 with forward secrecy (RFC 9325), X.509 (RFC 5280), ALPN (RFC 7301), SNI (RFC 6066 §3), session tickets with keys
 * shared by the roles. Always true: a certificate that cannot be used never replaces one that can; a protocol that is not ours is
 * refused; a session is resumed in its own protocol only. Only `loadCertificates` touches files, and the supervisor alone calls it:
 * roles are handed texts.
 */
export { type Certificate, type CertificateText, isForName, readCertificate } from './certificate.ts';
export { type LoadedCertificates, type LoadOptions, loadCertificates, renewBeforeMs } from './load.ts';
export {
  authorityPermits,
  type CertificatePair,
  createLocalAuthority,
  issueServerCertificate,
  serverCertificateDays,
} from './local-authority.ts';
export {
  type AlpnName,
  createServerTls,
  newTicketKeys,
  type ServerTls,
  ticketKeyBytes,
} from './server-tls.ts';
