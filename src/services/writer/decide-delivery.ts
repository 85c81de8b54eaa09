import type {
  AddedMessage,
  Appended,
  AppendedAll,
  Delivered,
  SealedMessage,
  SealedRecipient,
} from '#services/mailstore';
import { flagBits, idOf } from '#store/index';
import { type Decision, noSuchMailbox, refused } from './decision.ts';
import { type GroupDraft, recipientProof } from './group-draft.ts';
import { keywordsMax, tooManyKeywords } from './keywords.ts';
import { uidlOf } from './uidl.ts';
import type { WorkingState } from './working-state.ts';

/** One original and a copy for each account, in one group: all or none. */
export const deliver = (
  message: SealedMessage,
  recipients: readonly SealedRecipient[],
): Decision<Delivered> => ({
  accounts: recipients.map(({ account }) => account),
  // Junk is found by its role, and its keywords are counted.
  reads: recipients.some(({ isJunk }) => isJunk === true) ? 'rows' : 'counters',
  bytes: bytesInFrame(message) + 2_048 * recipients.length,
  decide: ({ draft, state, index, notify }) => {
    const places = recipients.map((recipient) => ({ recipient, inbox: state.inbox(recipient.account) }));
    // Accounts do not vanish between RCPT and the final dot but by an administrator's hand.
    if (places.length === 0 || places.some(({ inbox }) => inbox === null))
      return refused(null, 'No such mailbox here');
    if (index.messageById(message.id) !== null) return refused(null, 'Message id in use');
    const { seq } = draft.message(message);
    for (const { recipient, inbox } of places) {
      const { account } = recipient;
      const junk = recipient.isJunk === true ? state.junk(account) : null;
      const mailbox = junk ?? (inbox as string);
      const flags = recipient.isJunk === true ? markAsJunk(draft, state, { account, mailbox }) : [];
      const at = draft.nextSeq;
      const modSeq = state.nextModSeq(account, at);
      const uid = state.takeUid(mailbox);
      draft.deliver({
        account,
        messageSeq: seq,
        emailId: idOf('e', at),
        threadId: index.findThread(account, message.parsed.threadKeys) ?? idOf('t', at),
        address: recipient.address,
        prefix: recipient.prefix,
        mailbox,
        uid,
        modSeq,
        dateMs: draft.timeMs,
        flags,
        uidl: uidlOf(state.mailbox(mailbox)?.uidValidity ?? 0, uid),
        recipient: recipientProof(recipient.proof),
        ...(recipient.dsn == null ? {} : { dsn: recipient.dsn }),
      });
      state.touched.add(account);
      notify({ account, mailbox, modSeq, origin: '' });
    }
    return { kind: 'done', id: message.id, seq };
  },
});

/** The keyword of junk (RFC 9051 §2.3.2), named in the mailbox before; none where there is no room for another keyword. */
const markAsJunk = (
  draft: GroupDraft,
  state: WorkingState,
  { account, mailbox }: { account: string; mailbox: string },
): string[] => {
  const mark = ['$Junk'];
  const known = state.row(mailbox)?.keywords ?? [];
  const { key } = state.account(account);
  const uid = state.mailbox(mailbox)?.uidNext;
  if (key === null || uid === undefined || tooManyKeywords(mark, known)) return [];
  // As in `added`: what the mailbox has stays known when the copy's frame is erased.
  if (!known.some((keyword) => keyword.toLowerCase() === '$junk'))
    draft.state(
      { id: account, key },
      {
        mailbox,
        modSeq: state.nextModSeq(account, draft.nextSeq),
        actor: 'server',
        change: { op: 'flags', mode: 'add', flags: mark, uids: String(uid) },
      },
    );
  return mark;
};

/** A client's own message: what was uploaded is what comes back, so it has no prefix. */
export const append = (request: {
  account: string;
  mailbox: string;
  message: SealedMessage;
  flags: readonly string[];
  dateMs: number | null;
  origin: string;
}): Decision<Appended> => {
  const { account, mailbox, origin, ...message } = request;
  const { decide, ...all } = added({ account, mailbox, messages: [message], origin });
  return {
    ...all,
    decide: (context) => {
      const outcome = decide(context);
      if (outcome.kind === 'refused') return outcome;
      const [first] = outcome.messages;
      if (first === undefined) throw new Error('one message was asked for');
      return { kind: 'done', uidValidity: outcome.uidValidity, ...first };
    },
  };
};

/** Several of them, all or none. @source RFC 3502 */
export const appendAll = (request: {
  account: string;
  mailbox: string;
  messages: readonly AddedMessage[];
  origin: string;
}): Decision<AppendedAll> => {
  const { decide, ...all } = added(request);
  return {
    ...all,
    decide: (context) => {
      const outcome = decide(context);
      if (outcome.kind === 'refused') return outcome;
      const { messages, uidValidity } = outcome;
      return {
        kind: 'done',
        uidValidity,
        uids: messages.map(({ uid }) => uid),
        modSeq: messages.at(-1)?.modSeq ?? 0,
      };
    },
  };
};

const added = ({
  account,
  mailbox,
  messages,
  origin,
}: {
  account: string;
  mailbox: string;
  messages: readonly AddedMessage[];
  origin: string;
}): Decision<{ uidValidity: number; messages: { uid: number; emailId: string; modSeq: number }[] }> => ({
  accounts: [account],
  // New keywords are counted against the mailbox's limit, which needs its row.
  reads: messages.some(({ flags }) => flagBits(flags).keywords.length > 0) ? 'rows' : 'counters',
  bytes: messages.reduce((sum, { message }) => sum + bytesInFrame(message) + 2_048, 0),
  decide: ({ draft, state, index, notify }) => {
    const before = state.mailbox(mailbox);
    if (before === null || before.account !== account) return noSuchMailbox;
    const keywords = state.row(mailbox)?.keywords ?? [];
    if (
      tooManyKeywords(
        messages.flatMap(({ flags }) => flags),
        keywords,
      )
    ) {
      return refused('LIMIT', `No more than ${keywordsMax} keywords in a mailbox`);
    }
    const { key } = state.account(account);
    if (key === null) return noSuchMailbox;
    const known = new Set(keywords.map((keyword) => keyword.toLowerCase()));
    // A thread that began with an earlier one of these is not in the index yet.
    const threads = new Map<string, string>();
    const done = messages.map(({ message, flags, dateMs }) => {
      const fresh = flagBits(flags).keywords.filter((keyword) => !known.has(keyword.toLowerCase()));
      for (const keyword of fresh) known.add(keyword.toLowerCase());
      const { seq } = draft.message(message);
      if (fresh.length > 0) {
        // The copy's own frame may be erased one day; that the mailbox has these keywords, and in which order, stays known.
        draft.state(
          { id: account, key },
          {
            mailbox,
            modSeq: state.nextModSeq(account, draft.nextSeq),
            actor: 'owner',
            change: {
              op: 'flags',
              mode: 'add',
              flags: fresh,
              uids: String(state.mailbox(mailbox)?.uidNext ?? before.uidNext),
            },
          },
        );
      }
      const at = draft.nextSeq;
      const modSeq = state.nextModSeq(account, at);
      const uid = state.takeUid(mailbox);
      const emailId = idOf('e', at);
      const { threadKeys } = message.parsed;
      const earlier = threadKeys.find((each) => threads.has(each));
      const threadId =
        index.findThread(account, threadKeys) ??
        (earlier === undefined ? undefined : threads.get(earlier)) ??
        idOf('t', at);
      for (const each of threadKeys) if (!threads.has(each)) threads.set(each, threadId);
      draft.deliver({
        account,
        messageSeq: seq,
        emailId,
        threadId,
        address: '',
        prefix: new Uint8Array(0),
        mailbox,
        uid,
        modSeq,
        dateMs: dateMs ?? draft.timeMs,
        flags,
        uidl: uidlOf(before.uidValidity, uid),
        recipient: null,
      });
      notify({ account, mailbox, modSeq, origin });
      return { uid, emailId, modSeq };
    });
    state.touched.add(account);
    return { kind: 'done', uidValidity: before.uidValidity, messages: done };
  },
});

/** What lies in a file of its own is no part of the group. */
const bytesInFrame = ({ ownFile, storedOctetsBytes, storedHead }: SealedMessage): number =>
  storedHead.length + (ownFile === null ? storedOctetsBytes : 0);
