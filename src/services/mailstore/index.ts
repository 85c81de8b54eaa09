/**
 * What roles ask of the writer, and how they hand it a message.
 *
 * The role that receives a message hashes, encrypts and parses it while its octets arrive (`createMessageSealer`); the writer sees
 * ciphertext, commitments and strings, gives the numbers, and answers when the group is durable and applied.
 */
export { createMessageParser, type MessageParser } from './message-parser.ts';
export type {
  AddedMessage,
  Appended,
  AppendedAll,
  Copied,
  Delivered,
  MailstoreChange,
  MailstoreOutcome,
  MailstoreWriter,
  Recipient,
  RecipientVerdict,
  Remade,
  WriterStatus,
} from './port.ts';
export { keepersAskedMax } from './port.ts';
export {
  createMessageSealer,
  type LargeBodies,
  type MessageEvidence,
  type MessageSealer,
  ownFileBytesMin,
  type SealedMessage,
  type SealedRecipient,
} from './sealed-message.ts';
