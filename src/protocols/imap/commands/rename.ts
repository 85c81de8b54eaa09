import { newMailboxName } from '../mailbox-name.ts';
import { no, ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

/** @source RFC 9051 §6.3.6 */
export const rename: Command = {
  name: 'RENAME',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const from = mailboxArgument(session, args);
    const given = mailboxArgument(session, args);
    args.end();
    if (from.kind === 'refused') return no('There is no such mailbox', 'NONEXISTENT');
    if (given.kind === 'refused') return refusal(given);
    const to = newMailboxName(given.name);
    if (to.kind === 'refused') return refusal(to);
    if (to.name === from.name || to.name.startsWith(`${from.name}/`)) {
      return no('A mailbox cannot move into itself', 'CANNOT');
    }
    const outcome = await session.account?.rename(from.name, to.name);
    return outcome === undefined || outcome.kind === 'done' ? ok('Renamed') : refusal(outcome);
  },
};
