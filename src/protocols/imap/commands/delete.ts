import { no, ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

/** @source RFC 9051 §6.3.5 */
export const deleteMailbox: Command = {
  name: 'DELETE',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(session, args);
    args.end();
    if (given.kind === 'refused') return no('There is no such mailbox', 'NONEXISTENT');
    if (given.name === 'INBOX') return no('INBOX stays', 'CANNOT');
    const outcome = await session.account?.delete(given.name);
    if (outcome?.kind === 'refused') return refusal(outcome);
    // the client that does it knows; the other sessions are told BYE
    if (session.view?.state.deleted === true) session.unselect();
    return ok('Deleted');
  },
};
