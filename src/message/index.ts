/**
 * Messages: RFC 5322 and MIME as structure over octets, and what IMAP says about them.
 *
 * Always holds: nothing here does I/O or throws on octets from outside; a body is never copied; every cost is linear in
 * the octets and bounded by `messageLimits`.
 *
 * @source RFC 5322, RFC 2045 to 2049, RFC 2183, RFC 2231, RFC 6532, RFC 9051 §6.4.5 and §7.5.2
 */
export { type BaseSubject, baseSubject } from './base-subject.ts';
export {
  type BodyParts,
  bodyParts,
  fileName,
  isTnef,
  mediaType,
  partPlainText,
  partText,
  partTextAndFiles,
  preview,
} from './body-parts.ts';
export { bodyStructure } from './body-structure.ts';
export { charsetOf, decodeCharset } from './charset.ts';
export { type MailDate, parseDate } from './date.ts';
export { type DecodedText, decodeText } from './decode-text.ts';
export { decodeHeaderText, decodeParameter } from './encoded-word.ts';
export { envelope } from './envelope.ts';
export { unflow } from './flowed-text.ts';
export { type CharsetGuess, guessCharset } from './guess-charset.ts';
export { htmlToText } from './html-text.ts';
export { type MessageLimit, messageLimits } from './limits.ts';
export { parseMessageIds } from './message-id.ts';
export { messagePreview, previewLimits } from './message-preview.ts';
export { type MessageText, messageText, textLimits } from './message-text.ts';
export { findParameter, parseDisposition, parseMediaType, unfold } from './mime-header.ts';
export type {
  FieldValue,
  HeaderField,
  MessageStructure,
  MimeHeader,
  OctetText,
  Parameter,
  ParsedMessage,
  ParsedPart,
  StructurePart,
  TransferEncoding,
} from './part.ts';
export { parseReceived, type ReceivedHop, receivedHops, receivedLimits } from './received.ts';
export {
  createMessageScanner,
  type MessageScanner,
  parseHeaderFields,
  parseMessage,
  type ScannerOptions,
} from './scanner.ts';
export {
  clipRanges,
  findPart,
  imapSection,
  type OctetRange,
  parseSection,
  rangesOctets,
  type Section,
} from './section.ts';
export { decodeStructure, encodeStructure, withPrefix } from './structure.ts';
export { type ThreadReferences, threadReferences } from './thread.ts';
export { hasTnefSignature, type TnefFile, tnefFiles } from './tnef.ts';
export { createTransferDecoder, decodeTransfer, type TransferDecoder } from './transfer-encoding.ts';
export { type TextWithFiles, withoutUuencode } from './uu-in-text.ts';
