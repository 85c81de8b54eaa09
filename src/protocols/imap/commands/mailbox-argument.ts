import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import { namesAreUtf8 } from '../features.ts';
import { type MailboxName, mailboxNameFromWire, mailboxNameToWire } from '../mailbox-name.ts';
import { quotedUtf8, wireString } from '../wire.ts';

/** A blank and a mailbox's name. */
export const mailboxArgument = (session: CommandSession, args: Arguments): MailboxName => {
  args.space();
  return mailboxNameFromWire(args.astring(), namesAreUtf8(session.features));
};

/** A mailbox's name as replies have it: always quoted. */
export const mailboxReply = (session: CommandSession, name: string): string =>
  namesAreUtf8(session.features) ? quotedUtf8(name) : wireString(mailboxNameToWire(name));
