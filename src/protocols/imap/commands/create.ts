import { newMailboxName } from '../mailbox-name.ts';
import { no, ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

/** @source RFC 9051 §6.3.4 */
export const create: Command = {
  name: 'CREATE',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(args);
    if (args.blanks() && args.peek === '(') return no('CREATE takes no parameters here', 'CANNOT');
    args.end();
    if (given.kind === 'refused') return refusal(given);
    const asked = newMailboxName(given.name);
    if (asked.kind === 'refused') return refusal(asked);
    const outcome = await session.account?.create(asked.name);
    return outcome === undefined || outcome.kind === 'done' ? ok('Created') : refusal(outcome);
  },
};
