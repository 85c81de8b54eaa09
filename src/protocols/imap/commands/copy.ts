import { bad, no, ok, refusal } from '../reply.ts';
import { wireSet } from '../wire.ts';
import type { Command } from './command.ts';
import { mailboxArgument } from './mailbox-argument.ts';

const command = (name: string, moves: boolean): Command => ({
  name,
  states: ['selected'],
  tells: 'all',
  uid: true,
  run: async (session, args, _tag, byUid) => {
    args.space();
    const set = args.numberSet();
    const target = mailboxArgument(session, args);
    args.end();
    const { view } = session;
    if (view === null) return no('No mailbox is selected');
    if (moves && !session.server.options.move) return no('MOVE is not supported', 'CANNOT');
    if (moves && view.readOnly) return no('The mailbox is open for reading only', 'READ-ONLY');
    if (target.kind === 'refused') return refusal(target);
    const uids = view.uidsOf(set, byUid);
    if (uids === null) return bad('There is no message of that number');
    const { state } = view;
    if (view.expungesWait && uids.some((uid) => state.indexOf(uid) === -1)) {
      return no('Some of the messages are gone, nothing was done', 'EXPUNGEISSUED');
    }
    if (uids.length === 0) return ok('There was nothing to do');
    const outcome = await view.mailbox.copy(uids, target.name, moves);
    if (outcome.kind === 'refused') return refusal(outcome);
    if (outcome.sourceUids.length === 0) return ok('There was nothing to do');
    const copied = `COPYUID ${outcome.uidValidity} ${wireSet(outcome.sourceUids)} ${wireSet(outcome.targetUids)}`;
    if (!moves) return ok('Copied', copied);
    // RFC 6851 §4.3: before the EXPUNGE replies
    session.send(`* OK [${copied}] Moved\r\n`);
    return ok('Moved');
  },
});

/** @source RFC 9051 §6.4.7 */
export const copy = command('COPY', false);

/** @source RFC 9051 §6.4.8 */
export const move = command('MOVE', true);
