import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import { systemFlagBit } from '../mailbox-state.ts';
import { bad, no, ok, type Reply, refusal } from '../reply.ts';
import type { FlagOperation } from '../store.ts';
import { wireSet } from '../wire.ts';
import type { Begun, Command } from './command.ts';

const begin = (session: CommandSession, args: Arguments, byUid: boolean): Begun | Reply => {
  args.space();
  const set = args.numberSet();
  args.space();
  let unchangedSince: number | undefined;
  if (args.peek === '(') {
    args.wordList((word) => {
      if (word !== 'UNCHANGEDSINCE' || unchangedSince !== undefined) args.fail('there is no such modifier');
      args.space();
      unchangedSince = args.modSeq();
    });
    if (unchangedSince === undefined) args.fail('a modifier is missing');
    args.space();
  }
  const operation: FlagOperation = args.skip('+') ? 'add' : args.skip('-') ? 'remove' : 'replace';
  const item = args.word();
  if (item !== 'FLAGS' && item !== 'FLAGS.SILENT') args.fail('FLAGS is missing');
  args.space();
  const flags = storedFlags(args);
  args.end();
  const { view, features } = session;
  if (view === null) return no('No mailbox is selected');
  const enablesCondstore = unchangedSince !== undefined && !features.condstore;
  if (view.readOnly) {
    if (enablesCondstore) features.condstore = true;
    return no('The mailbox is open for reading only', 'READ-ONLY');
  }
  const asked = view.uidsOf(set, byUid);
  if (asked === null) return bad('There is no message of that number');
  const { state } = view;
  const uids = view.expungesWait ? asked.filter((uid) => state.indexOf(uid) !== -1) : asked;
  const answer = async (modified: readonly number[]): Promise<Reply> => {
    session.send(view.keywordsChanged());
    if (item === 'FLAGS' || features.condstore) {
      const failed = new Set(modified);
      for (const uid of uids) {
        const now = failed.has(uid) ? null : state.flagsOf(uid);
        if (now === null) continue;
        session.send(item === 'FLAGS' ? view.flagsFetch(uid, now, byUid) : view.modSeqFetch(uid, byUid));
        await session.breathe();
      }
    }
    const named = byUid ? modified : modified.map((uid) => view.seqOf(uid));
    const code = modified.length === 0 ? null : `MODIFIED ${wireSet(named)}`;
    if (uids.length < asked.length) return no('Some of the messages are gone', code ?? 'EXPUNGEISSUED');
    return code === null ? ok('Stored') : ok('Stored where nobody else had changed it', code);
  };
  return {
    uids,
    // the answers of those before it are given as they would be without it
    alone: enablesCondstore,
    submit: async () => {
      if (enablesCondstore) features.condstore = true;
      if (uids.length === 0) return () => answer([]);
      const outcome = await view.mailbox.store(uids, operation, flags, view, unchangedSince);
      return async () => (outcome.kind === 'refused' ? refusal(outcome) : answer(outcome.modified));
    },
  };
};

/** @source RFC 9051 §6.4.6, RFC 7162 §3.1.3 */
export const store: Command = {
  name: 'STORE',
  states: ['selected'],
  tells: 'no-expunge',
  uid: true,
  begin,
  run: async (session, args, _tag, byUid) => {
    const begun = begin(session, args, byUid);
    return 'condition' in begun ? begun : (await begun.submit())();
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
