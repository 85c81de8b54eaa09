import { systemFlag } from '../mailbox-state.ts';
import { no, ok, refusal } from '../reply.ts';
import type { Command } from './command.ts';

/** @source RFC 9051 §6.4.3, §6.4.9 (UID EXPUNGE); RFC 7162 §3.2.7, §3.2.9 */
export const expunge: Command = {
  name: 'EXPUNGE',
  states: ['selected'],
  tells: 'all',
  uid: true,
  run: async (session, args, _tag, byUid) => {
    let set = null;
    if (byUid) {
      args.space();
      set = args.numberSet();
    }
    args.end();
    const { view } = session;
    if (view === null) return no('No mailbox is selected');
    if (view.readOnly) return no('The mailbox is open for reading only', 'READ-ONLY');
    let uids = view.uidsWith(systemFlag.deleted);
    if (set !== null) {
      const asked = new Set(view.uidsOf(set, true) ?? []);
      uids = uids.filter((uid) => asked.has(uid));
    }
    if (uids.length === 0) return ok('Expunged');
    const outcome = await view.mailbox.expunge(uids);
    if (outcome.kind === 'refused') return refusal(outcome);
    // all of it is told before this reply
    return ok('Expunged', session.features.qresync ? `HIGHESTMODSEQ ${view.state.wholeModSeq}` : null);
  },
};
