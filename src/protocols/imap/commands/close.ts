import { systemFlag } from '../mailbox-state.ts';
import { ok, refusal } from '../reply.ts';
import type { Command } from './command.ts';

/** Removes what is `\Deleted` without a word, then closes. @source RFC 9051 §6.4.1 */
export const close: Command = {
  name: 'CLOSE',
  states: ['selected'],
  tells: 'nothing',
  run: async (session, args) => {
    args.end();
    const { view } = session;
    if (view !== null && !view.readOnly) {
      const uids = view.uidsWith(systemFlag.deleted);
      const outcome = uids.length === 0 ? null : await view.mailbox.expunge(uids);
      if (outcome?.kind === 'refused') return refusal(outcome);
    }
    session.unselect();
    return ok('Closed');
  },
};

/** @source RFC 9051 §6.4.2 */
export const unselect: Command = {
  name: 'UNSELECT',
  states: ['selected'],
  tells: 'nothing',
  run: (session, args) => {
    args.end();
    session.unselect();
    return ok('Unselected');
  },
};
