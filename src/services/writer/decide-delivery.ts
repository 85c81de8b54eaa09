import type { Appended, Delivered, SealedMessage, SealedRecipient } from '#services/mailstore';
import { flagBits, idOf } from '#store/index';
import { type Decision, noSuchMailbox, refused } from './decision.ts';
import { recipientProof } from './group-draft.ts';
import { keywordsMax, tooManyKeywords } from './keywords.ts';
import { uidlOf } from './uidl.ts';

/** One original and a copy for each account, in one group: all or none. */
export const deliver = (
  message: SealedMessage,
  recipients: readonly SealedRecipient[],
): Decision<Delivered> => ({
  accounts: recipients.map(({ account }) => account),
  reads: 'counters',
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
      const mailbox = inbox as string;
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
        flags: [],
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

/** A client's own message: what was uploaded is what comes back, so it has no prefix. */
export const append = (request: {
  account: string;
  mailbox: string;
  message: SealedMessage;
  flags: readonly string[];
  dateMs: number | null;
  origin: string;
}): Decision<Appended> => ({
  accounts: [request.account],
  // New keywords are counted against the mailbox's limit, which needs its row.
  reads: flagBits(request.flags).keywords.length > 0 ? 'rows' : 'counters',
  bytes: bytesInFrame(request.message) + 2_048,
  decide: ({ draft, state, index, notify }) => {
    const { account, mailbox, message, flags } = request;
    const before = state.mailbox(mailbox);
    if (before === null || before.account !== account) return noSuchMailbox;
    if (tooManyKeywords(flags, index.mailbox(mailbox)?.keywords ?? [])) {
      return refused('LIMIT', `No more than ${keywordsMax} keywords in a mailbox`);
    }
    const known = new Set(index.mailbox(mailbox)?.keywords.map((keyword) => keyword.toLowerCase()));
    const fresh = flagBits(flags).keywords.filter((keyword) => !known.has(keyword.toLowerCase()));
    const { key } = state.account(account);
    if (key === null) return noSuchMailbox;
    const { seq } = draft.message(message);
    if (fresh.length > 0) {
      // The copy's own frame may be erased one day; that the mailbox has these keywords, and in which order, stays known.
      draft.state(
        { id: account, key },
        {
          mailbox,
          modSeq: state.nextModSeq(account, draft.nextSeq),
          actor: 'owner',
          change: { op: 'flags', mode: 'add', flags: fresh, uids: String(before.uidNext) },
        },
      );
    }
    const at = draft.nextSeq;
    const modSeq = state.nextModSeq(account, at);
    const uid = state.takeUid(mailbox);
    const emailId = idOf('e', at);
    draft.deliver({
      account,
      messageSeq: seq,
      emailId,
      threadId: index.findThread(account, message.parsed.threadKeys) ?? idOf('t', at),
      address: '',
      prefix: new Uint8Array(0),
      mailbox,
      uid,
      modSeq,
      dateMs: request.dateMs ?? draft.timeMs,
      flags,
      uidl: uidlOf(before.uidValidity, uid),
      recipient: null,
    });
    state.touched.add(account);
    notify({ account, mailbox, modSeq, origin: request.origin });
    return { kind: 'done', uid, uidValidity: before.uidValidity, emailId, modSeq };
  },
});

/** What lies in a file of its own is no part of the group. */
const bytesInFrame = ({ ownFile, storedOctetsBytes, storedHead }: SealedMessage): number =>
  storedHead.length + (ownFile === null ? storedOctetsBytes : 0);
