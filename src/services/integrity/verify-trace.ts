import { isDeepStrictEqual } from 'node:util';
import { FengniError } from '#base/errors';
import { messageEvent, recipientOf, type TracedEmail, tracedEmails } from '#services/trace';
import type { MailIndex } from '#store/index';
import type { TraceEvent, TraceStore } from '#store/trace';
import { type Findings, findingOf } from './verify-finding.ts';

/** Opens a store to read; null where the file is not there. @throws {FengniError} `projection-unusable` */
export type OpenTrace = (name: 'trace.db' | 'attempts.db') => TraceStore | null;

const faultsMax = 100;
const pageSize = 500;

/**
 * `trace.db` and `attempts.db`: every row is the one that was written; and what `trace.db` says of a message is what the log says.
 *
 * @param index made anew from the log; null when that could not be done
 * @param live a server writes meanwhile: what is missing or too much may be on its way
 */
export const verifyTrace = (
  open: OpenTrace,
  index: MailIndex | null,
  live: boolean,
  findings: Findings,
): void => {
  for (const file of ['trace.db', 'attempts.db'] as const) {
    let store: TraceStore | null = null;
    try {
      store = open(file);
      if (store === null) continue;
      for (const { row, what } of store.faults(faultsMax))
        findings.add(findingOf(row ? 'row-changed' : 'projection-damaged', what, { file }));
      if (file === 'trace.db' && index !== null) compare(store, index, live, findings);
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      // A damaged row was told already, by its place.
      if (error.code !== 'index-row-damaged')
        findings.add(findingOf('projection-damaged', error.subject, { file }));
    } finally {
      store?.close();
    }
  }
};

const compare = (store: TraceStore, index: MailIndex, live: boolean, findings: Findings): void => {
  const file = 'trace.db';
  const applied = store.appliedSeq();
  for (let after = 0; ; ) {
    const seqs = index.emailSeqs(after, pageSize).filter((seq) => seq <= applied);
    const emails = tracedEmails(index, seqs);
    const stored = new Map(
      store.events([...new Set(emails.map(({ message }) => message.seq))]).map((event) => [event.seq, event]),
    );
    for (const email of emails) {
      const { seq, id } = email.message;
      const event = stored.get(seq);
      const copy = event?.recipients.find(({ emailSeq }) => emailSeq === email.emailSeq);
      if (event === undefined || copy === undefined) {
        if (!live) findings.add(findingOf('row-hidden', `copy ${email.emailSeq}`, { file, seq, id }));
      } else if (!isSame(event, email) || !isDeepStrictEqual(copy, recipientOf(email)))
        findings.add(findingOf('row-changed', `copy ${email.emailSeq}`, { file, seq, id }));
    }
    if (seqs.length < pageSize) break;
    after = seqs.at(-1) ?? after;
  }
  if (live) return;
  for (let after = 0; ; ) {
    const page = store.page(after, pageSize);
    for (const { seq, id, emailSeqs } of page) {
      const there = index.threadIds(emailSeqs);
      if (index.message(seq)?.id !== id) findings.add(findingOf('row-extra', `event ${seq}`, { file, seq }));
      else
        for (const each of emailSeqs)
          if (!there.has(each)) findings.add(findingOf('row-extra', `copy ${each}`, { file, seq }));
    }
    if (page.length < pageSize) return;
    after = page.at(-1)?.seq ?? after;
  }
};

const isSame = (event: TraceEvent, email: TracedEmail): boolean =>
  isDeepStrictEqual({ ...event, recipients: [] }, messageEvent(email));
