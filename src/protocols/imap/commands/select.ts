import { no, ok, refusal } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

const command = (name: string, readOnly: boolean): Command => ({
  name,
  states: loggedIn,
  tells: 'nothing',
  run: async (session, args) => {
    const given = mailboxArgument(args);
    if (args.blanks() && args.peek === '(') return no(`${name} takes no parameters here`, 'CANNOT');
    args.end();
    // RFC 9051 §6.3.2: the mailbox before is closed, also where the next cannot be selected
    session.unselect();
    if (given.kind === 'refused') return refusal(given);
    const outcome = await session.account?.select(given.name, readOnly);
    if (outcome === undefined) return no('There is no such mailbox', 'NONEXISTENT');
    if (outcome.kind === 'refused') return refusal(outcome);
    const view = session.select(outcome.mailbox, readOnly);
    await view.claimRecent(0);
    view.recentWasTold();
    const { state } = view;
    session.send(`${view.flagsReply()}* ${view.count} EXISTS\r\n* ${view.recentCount} RECENT\r\n`);
    const unseen = view.firstUnseen();
    if (unseen !== -1) session.send(`* OK [UNSEEN ${unseen + 1}] First unseen message\r\n`);
    session.send(
      `* OK [UIDVALIDITY ${state.uidValidity}] UIDs valid\r\n* OK [UIDNEXT ${view.uidNext}] Next UID\r\n`,
    );
    return readOnly ? ok('Examined', 'READ-ONLY') : ok('Selected', 'READ-WRITE');
  },
});

/** @source RFC 9051 §6.3.2 */
export const select = command('SELECT', false);

/** @source RFC 9051 §6.3.3 */
export const examine = command('EXAMINE', true);
