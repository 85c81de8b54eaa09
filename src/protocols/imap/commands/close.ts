import { systemFlag } from '../mailbox-state.ts';
import { ok, refusal } from '../reply.ts';
import type { Command } from './command.ts';

/** Removes what is `\Deleted` without a word, then closes. @source RFC 9051 §6.4.1, RFC 7162 §3.2.8 */
export const close: Command = {
  name: 'CLOSE',
  states: ['selected'],
  tells: 'nothing',
  run: async (session, args) => {
    args.end();
    const { view } = session;
    let code: string | null = null;
    if (view !== null && !view.readOnly) {
      const uids = view.uidsWith(systemFlag.deleted);
      const outcome = uids.length === 0 ? null : await view.mailbox.expunge(uids);
      if (outcome?.kind === 'refused') return refusal(outcome);
      // what others did meanwhile is not told any more: a client that resumes from here misses nothing
      if (outcome !== null && session.features.qresync) code = `HIGHESTMODSEQ ${view.toldModSeq}`;
    }
    session.unselect();
    return ok('Closed', code);
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
