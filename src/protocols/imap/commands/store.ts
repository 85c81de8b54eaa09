import type { Arguments } from '../arguments.ts';
import { systemFlagBit } from '../mailbox-state.ts';
import { bad, no, ok, refusal } from '../reply.ts';
import type { FlagOperation } from '../store.ts';
import type { Command } from './command.ts';

/** @source RFC 9051 §6.4.6 */
export const store: Command = {
  name: 'STORE',
  states: ['selected'],
  tells: 'no-expunge',
  uid: true,
  run: async (session, args, _tag, byUid) => {
    args.space();
    const set = args.numberSet();
    args.space();
    if (args.peek === '(') return no('STORE takes no modifiers here', 'CANNOT');
    const operation: FlagOperation = args.skip('+') ? 'add' : args.skip('-') ? 'remove' : 'replace';
    const item = args.word();
    if (item !== 'FLAGS' && item !== 'FLAGS.SILENT') args.fail('FLAGS is missing');
    args.space();
    const flags = storedFlags(args);
    args.end();
    const { view } = session;
    if (view === null) return no('No mailbox is selected');
    if (view.readOnly) return no('The mailbox is open for reading only', 'READ-ONLY');
    const asked = view.uidsOf(set, byUid);
    if (asked === null) return bad('There is no message of that number');
    const { state } = view;
    const uids = view.expungesWait ? asked.filter((uid) => state.indexOf(uid) !== -1) : asked;
    if (uids.length > 0) {
      const outcome = await view.mailbox.store(uids, operation, flags, view);
      if (outcome.kind === 'refused') return refusal(outcome);
    }
    session.send(view.keywordsChanged());
    if (item === 'FLAGS') {
      for (const uid of uids) {
        const now = state.flagsOf(uid);
        if (now !== null) session.send(view.flagsFetch(uid, now, byUid));
        await session.breathe();
      }
    }
    return uids.length < asked.length ? no('Some of the messages are gone', 'EXPUNGEISSUED') : ok('Stored');
  },
};

const storedFlags = (args: Arguments): string[] => {
  let flags: string[] = [];
  if (args.peek === '(') flags = args.flagList();
  else {
    do flags.push(args.flag());
    while (args.blanks());
  }
  return permittedFlags(args, flags);
};

/** Without `\Recent`, which is the server's alone. */
export const permittedFlags = (args: Arguments, flags: readonly string[]): string[] => {
  const kept = flags.filter((flag) => flag.toLowerCase() !== '\\recent');
  if (kept.some((flag) => flag.startsWith('\\') && systemFlagBit(flag) === 0)) {
    args.fail('there is no such system flag');
  }
  return kept;
};
