/**
 * Mail that programs on this machine hand in, as `sendmail` takes it: made into a message, handed in, or kept until somebody takes it.
 *
 * Always holds: all of its recipients get it or none does; it comes once, however often it is handed in under its salt; what is kept
 * stays until it is in the log.
 *
 * @source RFC 5322 §3.6; sendmail(1) of Postfix
 */
export { type Composed, type ComposeOptions, composeMessage } from './compose-message.ts';
export { deliverOnce } from './deliver-once.ts';
export { type Drained, drainPickup } from './drain-pickup.ts';
export {
  checkRecipients,
  type HandedIn,
  handIn,
  type LocalMail,
  localTransaction,
  mailParameters,
  type RefusedRecipient,
} from './hand-in.ts';
export { createLineReader, type LineReader } from './input-lines.ts';
