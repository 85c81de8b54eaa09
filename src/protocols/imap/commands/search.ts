import { no, ok } from '../reply.ts';
import { parseSearch } from '../search-key.ts';
import type { Command } from './command.ts';

/** @source RFC 9051 §6.4.4, RFC 3501 §6.4.4 */
export const search: Command = {
  name: 'SEARCH',
  states: ['selected'],
  tells: 'no-expunge',
  uid: true,
  run: (session, args, _tag, byUid) => {
    const { view } = session;
    if (view === null) return no('No mailbox is selected');
    args.space();
    if (args.optionalWord('RETURN')) return no('SEARCH RETURN is not supported', 'CANNOT');
    if (args.optionalWord('CHARSET')) {
      args.space();
      const charset = args.astring().toUpperCase();
      if (charset !== 'UTF-8' && charset !== 'US-ASCII') {
        return no('The charset is not known', 'BADCHARSET (US-ASCII UTF-8)');
      }
      args.space();
    }
    const parsed = parseSearch(args, (set, uids) => view.knownRangesOf(set, uids));
    if (parsed.kind === 'later') return no(`SEARCH ${parsed.key} is not supported`, 'CANNOT');
    args.end();
    const found: number[] = [];
    const { state } = view;
    for (let index = 0; index < view.count; index++) {
      const at = view.stateIndexAt(index);
      const flags = state.flagSets[at];
      // a message that is gone, though not yet told, matches nothing
      if (flags === undefined) continue;
      const uid = view.uidAt(index);
      const matches = parsed.search.matches({
        index,
        uid,
        flags,
        recent: view.isRecent(uid),
        sizeBytes: state.sizes[at] ?? 0,
        internalDateMs: state.dates[at] ?? 0,
      });
      if (matches) found.push(byUid ? uid : index + 1);
    }
    session.send(found.length === 0 ? '* SEARCH\r\n' : `* SEARCH ${found.join(' ')}\r\n`);
    return ok('Searched');
  },
};
