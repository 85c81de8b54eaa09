/**
 * An account's mailboxes as IMAP sessions see them (`#protocols/imap`, store.ts).
 *
 * Reads come from the index and the gate to message octets, changes go to the writer. Each selected mailbox is in memory once for all
 * sessions of the process and follows the writer's notices. Always: nothing is in that memory that is not durable.
 */
export type { MailboxesOptions } from './context.ts';
export { createImapLogin } from './imap-login.ts';
