/**
 * The server's side of IMAP4rev1 with the extensions of `ImapServer.capabilities`, without sockets and without storage.
 *
 * RFC 3501 and RFC 9051; RFC 2177, 2342, 2971, 3348, 3502, 3516, 3691, 4315, 4731, 4959, 5161, 5182, 5258, 5819, 6154, 6851, 6855,
 * 7162, 7888, 7889, 8438, 8474, 8514, 8970.
 *
 * Always: the commands of a session run one after the other; a session sees of a mailbox what it has been told, under the
 * numbers it has been told; EXPUNGE is never told during FETCH, STORE or SEARCH; a message's octets go out in a counted literal
 * exactly as the store hands them over, or not at all.
 */
export { CommandReader, discardBytesMax, type ReaderEvent, type ReaderLimits } from './command-reader.ts';
export {
  decodeModifiedUtf7,
  encodeModifiedUtf7,
  foldInbox,
  levelBytesMax,
  levelsMax,
  type MailboxName,
  mailboxNameFromWire,
  mailboxNameToWire,
  newMailboxName,
} from './mailbox-name.ts';
export {
  type FlagChange,
  type FlagSet,
  type MailboxListener,
  MailboxState,
  type MessageFacts,
  systemFlag,
  systemFlagBit,
  unreadableKey,
} from './mailbox-state.ts';
export { ImapServer, type ImapServerOptions } from './server.ts';
export { ImapSession } from './session.ts';
export type {
  AccountSession,
  AppendedMessage,
  AppendSink,
  ConnectionFacts,
  Credentials,
  Done,
  FlagOperation,
  FoundBody,
  ImapLogin,
  MailboxInfo,
  MailboxRole,
  MailboxStatus,
  MessageTexts,
  OpenedBody,
  Refused,
  SelectedMailbox,
} from './store.ts';
export { mailboxRoles } from './store.ts';
export type { ImapTransport } from './transport.ts';
