/**
 * The receiving side of SMTP and LMTP: a pure engine, and the port to the service that takes the mail.
 *
 * RFC 5321, LMTP (2033), PIPELINING (2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), CHUNKING and BINARYMIME (3030), DSN
 * (3461), REQUIRETLS (8689), LIMITS (9422), ENHANCEDSTATUSCODES (2034, 3463), STARTTLS (3207), and Postfix's XCLIENT and XFORWARD
 * from trusted relays. Always: only CRLF.CRLF ends a message after DATA, only its number of octets a chunk after BDAT; a bare CR or
 * LF is never accepted but under BODY=BINARYMIME; what came in clear behind STARTTLS is never read as a command; `body` octets are
 * parts of the chunks that were fed.
 */
export { isAddressLiteral } from './address-literal.ts';
export { type BareOctet, DataReader } from './data-reader.ts';
export { parseEnvid, parseNotify, parseOrcpt, parseRet, type RecipientDsn } from './dsn.ts';
export {
  type AcceptedRecipient,
  type DeliveryOutcome,
  type InboundDelivery,
  type InboundService,
  type InboundTls,
  type InboundTransaction,
  type RecipientVerdict,
  type Refusal,
  type RefusedAttempt,
  type RefusedMessage,
  refusal,
  type SenderVerdict,
  storeIsAway,
  type TransactionPeer,
  type Via,
  type WithProtocol,
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
export { decodeXtext, encodeXtext, isXtext } from './xtext.ts';
