import { newMailboxName } from '../mailbox-name.ts';
import { no, ok, refusal } from '../reply.ts';
import { mailboxRoles } from '../store.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

/** @source RFC 9051 §6.3.4, RFC 6154 §3 (USE), RFC 8474 §4.1 (MAILBOXID) */
export const create: Command = {
  name: 'CREATE',
  states: loggedIn,
  tells: 'all',
  run: async (session, args) => {
    const given = mailboxArgument(session, args);
    const uses: string[] = [];
    if (args.blanks() && args.peek === '(') {
      args.wordList((word) => {
        if (word !== 'USE') args.fail('there is no such parameter of CREATE');
        args.space();
        uses.push(...args.flagList());
      });
    }
    args.end();
    if (given.kind === 'refused') return refusal(given);
    const asked = newMailboxName(given.name);
    if (asked.kind === 'refused') return refusal(asked);
    const roles = uses.map((use) =>
      mailboxRoles.find((role) => `\\${role}`.toLowerCase() === use.toLowerCase()),
    );
    if (roles.length > 1 || roles.includes(undefined)) {
      return no('A mailbox has one use, of those that are known', 'USEATTR');
    }
    const outcome = await session.account?.create(asked.name, roles[0] ?? null);
    if (outcome === undefined) return no('Log in first');
    return outcome.kind === 'done' ? ok('Created', `MAILBOXID (${outcome.mailboxId})`) : refusal(outcome);
  },
};
