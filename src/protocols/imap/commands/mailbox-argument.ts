import type { Arguments } from '../arguments.ts';
import { type MailboxName, mailboxNameFromWire, mailboxNameToWire } from '../mailbox-name.ts';
import { wireString } from '../wire.ts';

/** A blank and a mailbox's name. */
export const mailboxArgument = (args: Arguments): MailboxName => {
  args.space();
  return mailboxNameFromWire(args.astring());
};

/** A mailbox's name as replies have it: always quoted. */
export const mailboxReply = (name: string): string => wireString(mailboxNameToWire(name));
