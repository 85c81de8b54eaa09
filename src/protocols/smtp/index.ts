/**
 * The receiving side of SMTP: a pure engine, and the port to the service that takes the mail.
 *
 * RFC 5321, PIPELINING (2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), ENHANCEDSTATUSCODES (2034, 3463),
 * STARTTLS (3207). Always: only CRLF.CRLF ends a message; a bare CR or LF is never accepted; what came in clear behind
 * STARTTLS is never read as a command; `body` octets are parts of the chunks that were fed.
 */
export { isAddressLiteral } from './address-literal.ts';
export { type BareOctet, DataReader } from './data-reader.ts';
export type {
  AcceptedRecipient,
  DeliveryOutcome,
  InboundDelivery,
  InboundService,
  InboundTls,
  InboundTransaction,
  RecipientVerdict,
  Refusal,
} from './inbound.ts';
export { type Path, readPath } from './path.ts';
export {
  type AbortReason,
  createSmtpSession,
  refuseSession,
  type SmtpAnswer,
  type SmtpEffect,
  type SmtpPeer,
  type SmtpPhase,
  type SmtpSession,
} from './session.ts';
export { type SmtpCounter, type SmtpSettings, smtpCounters, smtpDefaults } from './settings.ts';
