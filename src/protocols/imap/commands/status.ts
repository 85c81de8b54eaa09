import { bad, no, ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument, mailboxReply } from './mailbox-argument.ts';

/** In the order in which they are told. */
const items = ['MESSAGES', 'RECENT', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN'] as const;
const later = ['APPENDLIMIT', 'DELETED', 'DELETED-STORAGE', 'HIGHESTMODSEQ', 'MAILBOXID', 'SIZE'];

/** @source RFC 9051 §6.3.11, RFC 3501 §6.3.10 */
export const status: Command = {
  name: 'STATUS',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(args);
    args.space();
    args.expect('(');
    args.blanks();
    const asked: string[] = [];
    while (!args.skip(')')) {
      asked.push(args.word());
      if (!args.blanks() && args.peek !== ')') args.fail('a blank is missing');
    }
    args.end();
    const missing = asked.find((item) => later.includes(item));
    if (missing !== undefined) return no(`STATUS ${missing} is not supported`, 'CANNOT');
    if (asked.length === 0 || asked.some((item) => !items.some((known) => known === item))) {
      return bad('There is no such item of STATUS');
    }
    if (given.kind === 'refused') return refusal(given);
    const outcome = await session.account?.status(given.name);
    if (outcome === undefined) return no('There is no such mailbox', 'NONEXISTENT');
    if (outcome.kind === 'refused') return refusal(outcome);
    const values: Record<(typeof items)[number], number> = {
      MESSAGES: outcome.messages,
      RECENT: outcome.recent,
      UIDNEXT: outcome.uidNext,
      UIDVALIDITY: outcome.uidValidity,
      UNSEEN: outcome.unseen,
    };
    const told = items.filter((item) => asked.includes(item)).map((item) => `${item} ${values[item]}`);
    session.send(`* STATUS ${mailboxReply(given.name)} (${told.join(' ')})\r\n`);
    return ok('Status told');
  },
};
