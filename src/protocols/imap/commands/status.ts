import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import { bad, no, ok, refusal } from '../reply.ts';
import type { MailboxStatus, Refused } from '../store.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument, mailboxReply } from './mailbox-argument.ts';

type Value = (status: MailboxStatus, session: CommandSession) => string | number;

/** In the order in which they are told. */
const values: Readonly<Record<string, Value>> = {
  MESSAGES: ({ messages }) => messages,
  RECENT: ({ recent }) => recent,
  UIDNEXT: ({ uidNext }) => uidNext,
  UIDVALIDITY: ({ uidValidity }) => uidValidity,
  UNSEEN: ({ unseen }) => unseen,
  DELETED: ({ deleted }) => deleted,
  SIZE: ({ sizeBytes }) => sizeBytes,
  HIGHESTMODSEQ: ({ highestModSeq }) => highestModSeq,
  MAILBOXID: ({ mailboxId }) => `(${mailboxId})`,
  APPENDLIMIT: (_status, { server }) => server.appendBytesMax,
};
const later = ['DELETED-STORAGE'];

export type StatusItems = { readonly kind: 'items'; readonly items: readonly string[] } | Refused;

/**
 * Items in parentheses.
 *
 * @source RFC 9051 §6.3.11, RFC 3501 §6.3.10 (RECENT), RFC 7162 §3.1.7, RFC 7889 §3, RFC 8438 §3, RFC 8474 §4.3
 */
export const statusItems = (session: CommandSession, args: Arguments): StatusItems => {
  const asked: string[] = [];
  args.wordList((word) => asked.push(word));
  const missing = asked.find((item) => later.includes(item));
  if (missing !== undefined) {
    return { kind: 'refused', code: 'CANNOT', text: `STATUS ${missing} is not supported` };
  }
  if (asked.length === 0 || asked.some((item) => !Object.hasOwn(values, item))) {
    args.fail('there is no such item of STATUS');
  }
  if (asked.includes('HIGHESTMODSEQ')) session.features.condstore = true;
  return { kind: 'items', items: Object.keys(values).filter((item) => asked.includes(item)) };
};

export const statusReply = (
  session: CommandSession,
  name: string,
  items: readonly string[],
  status: MailboxStatus,
): string => {
  const told = items.map((item) => `${item} ${values[item]?.(status, session) ?? 0}`);
  return `* STATUS ${mailboxReply(session, name)} (${told.join(' ')})\r\n`;
};

export const status: Command = {
  name: 'STATUS',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(session, args);
    args.space();
    const asked = statusItems(session, args);
    if (asked.kind === 'refused') return refusal(asked);
    args.end();
    if (given.kind === 'refused') return refusal(given);
    if (session.account === null) return bad('Log in first');
    const outcome = await session.account.status(given.name);
    if (outcome.kind === 'refused') return outcome.code === null ? no(outcome.text) : refusal(outcome);
    session.send(statusReply(session, given.name, asked.items, outcome));
    return ok('Status told');
  },
};
