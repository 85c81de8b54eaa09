import type { Delivered, MailstoreOutcome, MailstoreWriter } from '#services/mailstore';

/**
 * `deliver` for those who hand a message in again when they did not hear what became of it: it is stored once under its id.
 *
 * For the process of the writer alone, which has every group in its index before it answers; the next process finds it there.
 *
 * @param seqOf the message of an id in the index, or null
 */
export const deliverOnce = (
  deliver: MailstoreWriter['deliver'],
  seqOf: (id: string) => number | null,
): MailstoreWriter['deliver'] => {
  const running = new Map<string, Promise<MailstoreOutcome<Delivered>>>();
  return (message, recipients) => {
    const { id } = message;
    const seq = seqOf(id);
    if (seq !== null) return Promise.resolve({ kind: 'done', id, seq });
    const known = running.get(id);
    if (known !== undefined) return known;
    const delivering = deliver(message, recipients).finally(() => running.delete(id));
    running.set(id, delivering);
    return delivering;
  };
};
