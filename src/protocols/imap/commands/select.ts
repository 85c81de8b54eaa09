import type { Arguments } from '../arguments.ts';
import type { CommandSession } from '../command-session.ts';
import type { MailboxView } from '../mailbox-view.ts';
import { type NumberSet, rangesHold, resolveNumberSet, savedResult } from '../number-set.ts';
import { bad, no, ok, refusal } from '../reply.ts';
import { wireSet } from '../wire.ts';
import { type Command, loggedIn } from './command.ts';
import { mailboxArgument, mailboxReply } from './mailbox-argument.ts';

/** What a client knows of the mailbox from before. @source RFC 7162 §3.2.5 */
interface Known {
  readonly uidValidity: number;
  readonly modSeq: number;
  readonly uids: NumberSet | null;
  readonly matching: { readonly seqs: NumberSet; readonly uids: NumberSet } | null;
}

const command = (name: string, readOnly: boolean): Command => ({
  name,
  states: loggedIn,
  tells: 'nothing',
  run: async (session, args) => {
    const given = mailboxArgument(session, args);
    let known: Known | null = null;
    let condstore = false;
    if (args.blanks() && args.peek === '(') {
      args.wordList((word) => {
        if (word === 'CONDSTORE') condstore = true;
        else if (word === 'QRESYNC' && known === null) known = knownState(args);
        else args.fail('there is no such parameter');
      });
    }
    args.end();
    const { features } = session;
    if (known !== null && !features.qresync) return bad('ENABLE QRESYNC comes first');
    if (condstore) features.condstore = true;
    // RFC 9051 §6.3.2: the mailbox before is closed, also where the next cannot be selected
    if (session.view !== null) {
      session.unselect();
      session.send('* OK [CLOSED] The mailbox before is closed\r\n');
    }
    if (given.kind === 'refused') return refusal(given);
    const outcome = await session.account?.select(given.name, readOnly);
    if (outcome === undefined) return no('There is no such mailbox', 'NONEXISTENT');
    if (outcome.kind === 'refused') return refusal(outcome);
    const view = session.select(outcome.mailbox, readOnly);
    const { toldModSeq } = view;
    await view.claimRecent(0);
    view.recentWasTold();
    const { state } = view;
    session.send(`${view.flagsReply()}* ${view.count} EXISTS\r\n`);
    if (!features.rev2) {
      session.send(`* ${view.recentCount} RECENT\r\n`);
      const unseen = view.firstUnseen();
      if (unseen !== -1) session.send(`* OK [UNSEEN ${unseen + 1}] First unseen message\r\n`);
    } else session.send(`* LIST () "/" ${mailboxReply(session, given.name)}\r\n`);
    session.send(
      `* OK [UIDVALIDITY ${state.uidValidity}] UIDs valid\r\n* OK [UIDNEXT ${view.uidNext}] Next UID\r\n` +
        `* OK [HIGHESTMODSEQ ${toldModSeq}] Highest mod-sequence\r\n` +
        `* OK [MAILBOXID (${outcome.mailbox.mailboxId})] Its id\r\n`,
    );
    if (known !== null) await resynchronize(session, view, known);
    return readOnly ? ok('Examined', 'READ-ONLY') : ok('Selected', 'READ-WRITE');
  },
});

/** @source RFC 9051 §6.3.2, RFC 7162 §3.1.8 and §3.2.5 */
export const select = command('SELECT', false);

/** @source RFC 9051 §6.3.3 */
export const examine = command('EXAMINE', true);

/** `QRESYNC (uidvalidity modseq [known-uids [(known-sequence-set known-uid-set)]])` behind its name. */
const knownState = (args: Arguments): Known => {
  args.space();
  args.expect('(');
  const uidValidity = args.number();
  args.space();
  const modSeq = args.modSeq();
  if (modSeq === 0) args.fail('a mod-sequence of 0 knows nothing');
  let uids: NumberSet | null = null;
  let matching: Known['matching'] = null;
  if (args.blanks() && args.peek !== ')') {
    if (args.peek !== '(') {
      uids = knownSet(args);
      args.blanks();
    }
    if (args.skip('(')) {
      const seqs = knownSet(args);
      args.space();
      matching = { seqs, uids: knownSet(args) };
      args.expect(')');
    }
  }
  args.blanks();
  args.expect(')');
  return { uidValidity, modSeq, uids, matching };
};

/** RFC 7162 §7: without `*`, and never the result of a SEARCH. */
const knownSet = (args: Arguments): NumberSet => {
  const set = args.numberSet();
  if (set === savedResult || set.includes(0)) args.fail('a known set has numbers only');
  return set;
};

/** What has gone and what has changed since the client was here. */
const resynchronize = async (session: CommandSession, view: MailboxView, known: Known): Promise<void> => {
  const { state } = view;
  // the numbers mean other messages: the client begins anew
  if (known.uidValidity !== state.uidValidity) return;
  const asked = known.uids === null ? null : resolveNumberSet(known.uids, 0);
  // what lies below the last message that both sides number alike has been told of in an earlier session
  const sure = known.matching === null ? 0 : lastMatch(view, known.matching);
  const vanished = view.mailbox
    .vanishedSince(known.modSeq)
    .filter((uid) => uid > sure && (asked === null || rangesHold(asked, uid)) && view.seqOf(uid) === 0);
  if (vanished.length > 0) session.send(`* VANISHED (EARLIER) ${wireSet(vanished)}\r\n`);
  for (let index = 0; index < view.count; index++) {
    const uid = view.uidAt(index);
    if (asked !== null && !rangesHold(asked, uid)) continue;
    const at = view.stateIndexAt(index);
    const flags = state.flagSets[at];
    if (flags === undefined || (state.modSeqs[at] ?? 0) <= known.modSeq) continue;
    session.send(view.flagsFetch(uid, flags, true));
    await session.breathe();
  }
};

/** The highest uid up to which number and uid go together on both sides; 0 for none. @source RFC 7162 §3.2.5.2 */
const lastMatch = (view: MailboxView, { seqs, uids }: NonNullable<Known['matching']>): number => {
  const seqRanges = resolveNumberSet(seqs, 0);
  const uidRanges = resolveNumberSet(uids, 0);
  let matched = 0;
  let at = 0;
  let uid = uidRanges[0] ?? 0;
  for (let range = 0; range < seqRanges.length; range += 2) {
    const last = seqRanges[range + 1] ?? 0;
    for (let seq = seqRanges[range] ?? 0; seq <= last; seq++) {
      if (seq > view.count || view.uidAt(seq - 1) !== uid) return matched;
      matched = uid;
      if (uid < (uidRanges[at + 1] ?? 0)) uid++;
      else {
        at += 2;
        const next = uidRanges[at];
        if (next === undefined) return matched;
        uid = next;
      }
    }
  }
  return matched;
};
