import type { Logger } from '#base/logger';
import type { LogEvent, MailIndex } from '#store/index';
import type { TraceEvent, TraceStore } from '#store/trace';
import { messageEvent, recipientOf, type TracedEmail, tracedEmails } from './message-events.ts';

/** Keeps `trace.db` what the index is: nobody who hands in mail waits for it. */
export interface TraceFeed {
  /** To be called with what was just applied to the index. */
  applied(events: readonly LogEvent[], appliedSeq: number): void;
  /** fulfilled when it knows what the index knew at the call, or it failed and is made up for at the next start */
  settle(): Promise<void>;
  /** What was missed is left for the next start: the index is not read any more. */
  stopReading(): Promise<void>;
  /** Writes what waits; the index may be closed. */
  stop(): void;
}

/** how long mail waits to be searchable at most */
const everyMs = 500;
/** copies that are written at a time: mail that arrives meanwhile waits for no more than these */
const writtenTogether = 100;
const pageSize = 200;
/** between two pages of what was missed: mail goes first */
const pauseMs = 5;

export const createTraceFeed = (options: {
  store: TraceStore;
  index: MailIndex;
  logger: Logger;
  everyMs?: number;
}): TraceFeed => {
  const { store, index, logger } = options;
  /** copies in the order of the log; the message with the first of its copies, as it came in the same group */
  let waiting: Waiting[] = [];
  let timer: NodeJS.Timeout | null = null;
  let turn: NodeJS.Immediate | null = null;
  let isReadable = true;
  let stopped = false;
  /** as the index was told last */
  let known = index.appliedSeq();
  let failed = false;
  /** the store lacks what is in the index: until it was read there, events are not taken */
  let isBehind = true;
  let reading: Promise<void> | null = null;

  const guarded = (work: () => void): void => {
    if (failed) return;
    try {
      work();
    } catch (error) {
      failed = true;
      waiting = [];
      logger.error(
        'trace.db cannot be written; messages are not found by "fengni trace" until the next start',
        {
          error: error instanceof Error ? error.message : String(error),
        },
      );
    }
  };

  /** Some of what waits goes in, and the rest in another turn; or all of it. */
  const flush = (most: number, appliedSeq = known): void => {
    if (timer !== null) clearTimeout(timer);
    if (turn !== null) clearImmediate(turn);
    timer = turn = null;
    if (isBehind || failed) return;
    // The more waits, the more goes at a time: what waits stays within a few groups.
    const taken = waiting.slice(0, Math.max(most, waiting.length >> 2));
    waiting = waiting.slice(taken.length);
    const events = taken.flatMap(({ email, message }) =>
      message === null ? [] : [messageEvent({ ...email, message, envelope: message.envelope })],
    );
    const copies = taken.map(({ messageSeq, email }) => ({ messageSeq, recipient: recipientOf(email) }));
    // Until all is in, the store says that it is behind.
    guarded(() => store.put(events, copies, waiting.length === 0 ? appliedSeq : 0));
    if (waiting.length > 0) turn = setImmediate(() => flush(writtenTogether));
  };

  const catchUp = async (): Promise<void> => {
    const begun = store.appliedSeq();
    const goal = index.appliedSeq();
    try {
      if (begun > goal) {
        logger.warn('trace.db knows more than the index and is made again', { applied: begun, index: goal });
        store.clear();
      } else if (begun < goal && begun > 0) await withoutErased();
      let after = store.appliedSeq();
      let rows = 0;
      while (isReadable) {
        const upTo = index.appliedSeq();
        const seqs = index.emailSeqs(after, pageSize);
        const emails = tracedEmails(index, seqs);
        const last = seqs.at(-1);
        const isLast = seqs.length < pageSize;
        guarded(() => putEmails(store, emails, isLast ? upTo : (last ?? upTo)));
        if (failed) return;
        rows += emails.length;
        if (isLast) break;
        after = last ?? after;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      if (!isReadable) return;
      isBehind = false;
      if (rows > pageSize) logger.info('trace.db has caught up with the index', { copies: rows });
    } catch (error) {
      guarded(() => {
        throw error;
      });
    }
  };

  /** Whatever the index no longer has, or has as another message, goes: it was erased while nobody told us. */
  const withoutErased = async (): Promise<void> => {
    for (let after = 0; isReadable; ) {
      const page = store.page(after, pageSize);
      const gone: number[] = [];
      const goneCopies: { messageSeq: number; emailSeq: number }[] = [];
      for (const { seq, id, emailSeqs } of page) {
        if (index.message(seq)?.id !== id) gone.push(seq);
        else {
          const there = index.threadIds(emailSeqs);
          for (const emailSeq of emailSeqs)
            if (!there.has(emailSeq)) goneCopies.push({ messageSeq: seq, emailSeq });
        }
      }
      if (gone.length + goneCopies.length > 0) store.remove(gone, goneCopies);
      after = page.at(-1)?.seq ?? after;
      if (page.length < pageSize) return;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };

  const startReading = (): Promise<void> => {
    reading ??= catchUp().finally(() => {
      reading = null;
    });
    return reading;
  };

  void startReading();

  return {
    applied: (events, appliedSeq) => {
      if (failed || stopped) return;
      known = appliedSeq;
      const erased = events.flatMap((event) => (event.type === 'erased' ? event.keys : []));
      if (!isBehind) {
        const messages = new Map<number, Waiting['message']>();
        for (const event of events) {
          if (event.type === 'message')
            messages.set(event.seq, { ...event, envelope: event.parsed.envelope });
          else if (event.type === 'deliver') {
            const { messageSeq } = event;
            const email = { ...event, emailSeq: event.seq };
            waiting.push({ messageSeq, email, message: messages.get(messageSeq) ?? null });
            messages.delete(messageSeq);
          }
        }
        // Those who are answered now come first.
        if (waiting.length >= writtenTogether) turn ??= setImmediate(() => flush(writtenTogether));
        else if (waiting.length > 0 && timer === null) {
          timer = setTimeout(() => flush(writtenTogether), options.everyMs ?? everyMs);
          timer.unref();
        }
      }
      if (erased.length === 0) return;
      // What waits may be among it; and that it is known comes last: a start that finds the store behind looks for what was erased.
      guarded(() => {
        flush(Number.POSITIVE_INFINITY, 0);
        store.erase(erased);
        if (!isBehind) store.put([], [], known);
      });
    },
    settle: async () => {
      await reading;
      flush(Number.POSITIVE_INFINITY);
    },
    stopReading: async () => {
      isReadable = false;
      await reading;
    },
    stop: () => {
      flush(Number.POSITIVE_INFINITY);
      stopped = true;
    },
  };
};

interface Waiting {
  messageSeq: number;
  email: Omit<TracedEmail, 'message' | 'envelope'>;
  message: (TracedEmail['message'] & { envelope: Uint8Array }) | null;
}

/** Takes copies as the index has them, with their messages. */
export const putEmails = (
  store: Pick<TraceStore, 'put'>,
  emails: readonly TracedEmail[],
  appliedSeq: number,
): void => {
  const events = new Map<number, TraceEvent>();
  for (const email of emails) {
    if (!events.has(email.message.seq)) events.set(email.message.seq, messageEvent(email));
  }
  store.put(
    [...events.values()],
    emails.map((email) => ({ messageSeq: email.message.seq, recipient: recipientOf(email) })),
    appliedSeq,
  );
};
