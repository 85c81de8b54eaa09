import { newMailboxName } from '../mailbox-name.ts';
import { ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

const command = (name: string, subscribed: boolean): Command => ({
  name,
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(session, args);
    args.end();
    if (given.kind === 'refused') return refusal(given);
    const asked = newMailboxName(given.name);
    if (asked.kind === 'refused') return refusal(asked);
    const outcome = await session.account?.subscribe(asked.name, subscribed);
    return outcome === undefined || outcome.kind === 'done' ? ok('Noted') : refusal(outcome);
  },
});

/** @source RFC 9051 §6.3.7 */
export const subscribe = command('SUBSCRIBE', true);

/** @source RFC 9051 §6.3.8 */
export const unsubscribe = command('UNSUBSCRIBE', false);
