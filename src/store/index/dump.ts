import { hash } from 'node:crypto';
import { latin1 } from '#base/bytes';
import { flagNames } from './flags.ts';
import { idOf } from './frame-content.ts';
import type { EmailRow, MailIndex, MessageTextsRow, PlacementRow } from './port.ts';
import { formatUidSet } from './uid-set.ts';

const pageSize = 1_000;

/**
 * Everything that a mail index answers, line by line, in a fixed order: two indexes that dump the same text are the same.
 *
 * Long octet strings stand as their SHA-256; text is quoted as JSON.
 */
export function* dumpIndex(index: MailIndex): Generator<string> {
  for (const account of index.accounts()) {
    const { modSeq, uidValidity } = index.accountCounters(account);
    const key = index.accountKey(account);
    yield `account ${account} modseq ${modSeq} uidvalidity ${uidValidity} key ${key === null ? '-' : `${key.epoch}/${key.slot}`}`;
    yield `subscriptions ${account} ${JSON.stringify(index.subscriptions(account))}`;
    for (const mailbox of index.mailboxes(account)) {
      yield `mailbox ${mailbox.id} ${JSON.stringify(mailbox.name)} role ${mailbox.role ?? '-'} uidvalidity ${mailbox.uidValidity} uidnext ${mailbox.uidNext} modseq ${mailbox.highestModSeq} subscribed ${mailbox.subscribed} recent ${mailbox.recentBelow} keywords ${JSON.stringify(mailbox.keywords)}`;
      let after = 0;
      for (;;) {
        const page = index.placements(mailbox.id, after, pageSize);
        const emails = new Map(
          index
            .emails([...new Set(page.map(({ emailSeq }) => emailSeq))])
            .map((email) => [email.emailSeq, email]),
        );
        for (const placement of page)
          yield placementLine(placement, mailbox.keywords, emails.get(placement.emailSeq));
        after = page.at(-1)?.uid ?? 0;
        if (page.length < pageSize) break;
      }
      const { vanished } = index.changesSince(mailbox.id, 0);
      if (vanished.length > 0) yield `tombstones ${mailbox.id} ${formatUidSet(vanished)}`;
    }
  }
  let after = 0;
  for (;;) {
    const page = index.messages(after, pageSize);
    for (const message of page) {
      yield `message ${message.seq} ${message.id} ${message.kind} leaf ${message.leafIndex} time ${message.timeMs} sha256 ${message.sha256Hex} size ${message.sizeBytes} key ${message.key.epoch}/${message.key.slot} at ${message.at.segment}+${message.at.offset}`;
      const emails = index.emailsOfMessage(message.seq);
      const texts = index.texts(emails.map(({ emailSeq }) => emailSeq));
      for (const email of emails) yield emailLine(email, texts.get(email.emailSeq));
    }
    after = page.at(-1)?.seq ?? 0;
    if (page.length < pageSize) break;
  }
  for (let last = 0; ; ) {
    const page = index.unplaced(Number.MAX_SAFE_INTEGER, last, pageSize);
    for (const { emailSeq, dayCount, timeMs } of page)
      yield `unplaced ${idOf('e', emailSeq)} day ${dayCount} time ${timeMs}`;
    last = page.at(-1)?.emailSeq ?? 0;
    if (page.length < pageSize) return;
  }
}

const placementLine = (
  placement: PlacementRow,
  keywords: readonly string[],
  email: EmailRow | undefined,
): string => {
  const flags = flagNames(placement.flags, placement.keywords, keywords).join(' ');
  return `placement ${placement.uid} modseq ${placement.modSeq} email ${email?.emailId ?? '?'} thread ${email?.threadId ?? '?'} flags (${flags}) date ${placement.dateMs} saved ${placement.savedMs} size ${placement.sizeBytes} uidl ${placement.uidl}`;
};

const emailLine = (email: EmailRow, texts: MessageTextsRow = noTexts): string =>
  `email ${email.emailId} account ${email.account} thread ${email.threadId} address ${JSON.stringify(email.address)} date ${email.dateMs} prefix ${hash('sha256', email.prefix)} envelope ${JSON.stringify(latin1(texts.envelope))} bodystructure ${JSON.stringify(latin1(texts.bodyStructure))} body ${hash('sha256', texts.body)} structure ${hash('sha256', email.structure)} preview ${JSON.stringify(texts.preview)} key ${email.key.epoch}/${email.key.slot} at ${email.at.segment}+${email.at.offset}`;

const none = new Uint8Array(0);
/** shown where a row is missing */
const noTexts: MessageTextsRow = { envelope: none, bodyStructure: none, body: none, preview: '' };
