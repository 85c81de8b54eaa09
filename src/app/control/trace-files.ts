import fs from 'node:fs';
import path from 'node:path';
import type { Clock } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { type AttemptLog, createAttemptLog, createTraceFeed, type TraceFeed } from '#services/trace';
import type { LogEvent, MailIndex } from '#store/index';
import { openSqliteTrace } from '#store/sqlite';
import type { TraceStore } from '#store/trace';
import { databaseSuffixes, removeTrace, traceFile } from './projections.ts';

/** `trace.db` and `attempts.db` of a data folder, for the one who writes them. */
export interface TraceFiles {
  attempts: AttemptLog;
  /** to be told what was applied to the index */
  applied(events: readonly LogEvent[], appliedSeq: number): void;
  /** fulfilled when `trace.db` is what the index is now */
  settle: TraceFeed['settle'];
  /** before the writer stops: the index is not read any more */
  stopReading: TraceFeed['stopReading'];
  /** after it: what it erased meanwhile goes here too */
  stop(): void;
}

const pruneEveryMs = 3_600_000;
/** a file full of what is too old is emptied by as many rows a step */
const pruneAgainMs = 1_000;

/**
 * Opens both. `trace.db` is made again when it cannot be used; an `attempts.db` that cannot is set aside and a new one begun: mail does
 * not wait for either.
 */
export const openTraceFiles = (options: {
  dataFolder: string;
  index: MailIndex;
  clock: Clock;
  logger: Logger;
}): TraceFiles => {
  const { dataFolder, index, clock, logger } = options;
  const messages = openMessages(path.join(dataFolder, traceFile), logger);
  const store = openAttempts(path.join(dataFolder, attemptsFile), clock, logger);
  const feed = createTraceFeed({ store: messages, index, logger });
  const log = createAttemptLog({ store, clock, dayCount: () => index.marks().dayCount, logger });
  let isBroken = false;
  /** What is wrong with this file must not stop the writer. */
  const guarded = <T>(work: () => T, otherwise: T): T => {
    try {
      return work();
    } catch (error) {
      if (!isBroken)
        logger.error('attempts.db cannot be used; refused attempts are not kept', {
          error: error instanceof Error ? error.message : String(error),
        });
      isBroken = true;
      return otherwise;
    }
  };
  let timer: NodeJS.Timeout | null = null;
  const prune = (): void => {
    const gone = guarded(() => log.prune(), 0);
    timer = setTimeout(prune, gone > 0 ? pruneAgainMs : pruneEveryMs);
    timer.unref();
  };
  prune();
  return {
    attempts: {
      take: (report) => guarded(() => log.take(report), undefined),
      prune: log.prune,
      forget: (ranges) => log.forget(ranges),
    },
    applied: (events, appliedSeq) => feed.applied(events, appliedSeq),
    settle: feed.settle,
    stopReading: async () => {
      if (timer !== null) clearTimeout(timer);
      await feed.stopReading();
    },
    stop: () => {
      feed.stop();
      messages.close();
      store.close();
    },
  };
};

export const attemptsFile = 'attempts.db';

const openMessages = (file: string, logger: Logger): TraceStore => {
  try {
    const store = openSqliteTrace(file, { readOnly: false });
    store.appliedSeq();
    return store;
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    logger.error('trace.db cannot be used and is made again', { subject: error.subject });
    removeTrace(path.dirname(file));
    return openSqliteTrace(file, { readOnly: false });
  }
};

const openAttempts = (file: string, clock: Clock, logger: Logger): TraceStore => {
  try {
    const store = openSqliteTrace(file, { readOnly: false });
    store.nextSeq();
    return store;
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    const aside = `${file}.damaged-${new Date(clock.nowMs()).toISOString().replace(/\D/g, '').slice(0, 14)}`;
    logger.error('attempts.db cannot be used, is set aside and begun anew', {
      subject: error.subject,
      file: aside,
    });
    for (const suffix of databaseSuffixes)
      if (fs.existsSync(file + suffix)) fs.renameSync(file + suffix, aside + suffix);
    return openSqliteTrace(file, { readOnly: false });
  }
};
