/**
 * The server's side of POP3: a pure engine, the form of messages on the wire, and the ports to log-in and maildrop.
 *
 * RFC 1939 without APOP, CAPA (2449), STLS (2595), AUTH (5034), response codes (2449, 3206), UTF8 (6856, without LANG).
 * Always: no password without TLS; nothing is removed but by QUIT; a damaged message fails alone.
 */
export { ContentEncoder, TopLimit } from './content.ts';
export type {
  Maildrop,
  MaildropMessage,
  OpenedMessage,
  Pop3Credentials,
  Pop3Login,
  Pop3Refusal,
  Pop3ResponseCode,
  Pop3Scram,
  QuitOutcome,
} from './maildrop.ts';
export {
  createPop3Session,
  type Pop3Answer,
  type Pop3Channel,
  type Pop3Effect,
  type Pop3Phase,
  type Pop3Session,
  refusePop3Session,
} from './session.ts';
export { type Pop3Counter, type Pop3Settings, pop3Counters, pop3Defaults } from './settings.ts';
