import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import type { MailstoreOutcome, SealedMessage } from '#services/mailstore';
import type { MailIndex } from '#store/index';
import type { LargeFiles } from '#store/large';
import { type KeyReader, type Log, messageIdOf } from '#store/log';
import { frameTypes, places } from '#store/segments';
import { refused } from './decision.ts';

/** Large bodies on their way from `spool/` into a group, and out again. */
export interface OwnFiles {
  /**
   * Makes the spooled file the message's own, durable, before the message asks for a group: groups of small messages go on meanwhile.
   *
   * A message that is refused after all leaves no file.
   */
  with<T>(message: SealedMessage, submit: () => Promise<MailstoreOutcome<T>>): Promise<MailstoreOutcome<T>>;
  /** what these messages held is erased: their keys are destroyed */
  erased(ids: readonly string[]): void;
  /**
   * Removes files in `large/` that belong to no message: their group never was, or they were erased. Only what neither the index nor any
   * frame of the log names.
   *
   * @param ids of the files that were there before anything new was taken, and that the index does not know
   */
  sweep(ids: readonly string[]): Promise<void>;
  /** fulfilled when nothing is under way; a sweep is given up */
  stop(): Promise<void>;
}

/** Rejections after which it is certain that the message is in no group. */
const nothingStored: ReadonlySet<string> = new Set(['writer-late', 'writer-overloaded', 'writer-stopping']);

export const createOwnFiles = (options: {
  large: LargeFiles;
  log: Log;
  index: MailIndex;
  keys: KeyReader;
  logger: Logger;
  /** the disk does not do what it is asked: the process has to start again */
  failed(error: FengniError): void;
}): OwnFiles => {
  const { large, log, index, keys, logger } = options;
  const running = new Set<Promise<unknown>>();
  let stopping = false;
  const track = <T>(work: Promise<T>): Promise<T> => {
    const settled = work.catch(() => {}).finally(() => running.delete(settled));
    running.add(settled);
    return work;
  };
  const drop = async (ids: readonly string[]): Promise<void> => {
    try {
      await large.drop(ids);
    } catch (error) {
      // The next start removes it.
      logger.warn('large file not removed', { ids: ids.join(' '), error: String(error) });
    }
  };

  const take = async <T>(
    message: SealedMessage,
    spoolName: string,
    submit: () => Promise<MailstoreOutcome<T>>,
  ): Promise<MailstoreOutcome<T>> => {
    const { id } = message;
    let taken: Awaited<ReturnType<LargeFiles['take']>>;
    try {
      taken = await large.take(id, spoolName, message.storedOctetsBytes);
    } catch (error) {
      const fault = diskFault(error);
      options.failed(fault);
      throw fault;
    }
    if (taken.kind === 'in-use') return refused(null, 'Message id in use');
    if (taken.kind === 'missing') return refused(null, 'The message did not arrive whole');
    try {
      const outcome = await submit();
      if (outcome.kind === 'refused') await drop([id]);
      return outcome;
    } catch (error) {
      // Of anything else nobody knows before the next start.
      if (error instanceof FengniError && nothingStored.has(error.code)) await drop([id]);
      throw error;
    }
  };

  /** Ids of `candidates` that frames name, but for those whose key was destroyed. */
  const sweep = async (ids: readonly string[]): Promise<void> => {
    const candidates = new Set(ids);
    for await (const frame of log.scan(1)) {
      if (stopping) return;
      const { record, storage } = frame.head;
      if (record.type !== frameTypes.MSG || storage.place !== places.ownFile || record.key === null) continue;
      const id = messageIdOf(frame);
      if (id === null || !candidates.has(id)) continue;
      if ((await keys.fileKey(record.key)).kind === 'destroyed') continue;
      candidates.delete(id);
      logger.error('a large file belongs to a message that the index does not show', { id });
      if (candidates.size === 0) return;
    }
    const unnamed = [...candidates].filter((id) => index.messageById(id) === null);
    if (unnamed.length === 0) return;
    await large.drop(unnamed);
    logger.info('large files of no message removed', { count: unnamed.length });
  };

  return {
    with: (message, submit) =>
      message.ownFile === null ? submit() : track(take(message, message.ownFile.spoolName, submit)),
    erased: (ids) => {
      if (ids.length > 0) void track(drop(ids));
    },
    sweep: (ids) =>
      track(
        ids.length === 0
          ? Promise.resolve()
          : sweep(ids).catch((error: unknown) => {
              // In doubt nothing is removed; verify tells what is wrong with the log.
              logger.warn('large files of no message not removed', { error: String(error) });
            }),
      ),
    stop: async () => {
      stopping = true;
      while (running.size > 0) await Promise.all(running);
    },
  };
};

const diskFault = (error: unknown): FengniError =>
  new FengniError('log-failed', {
    subject: error instanceof Error ? error.message : String(error),
    remedy: 'the writer starts again and recovers from the log; look at the disk and the log of the system',
    retryable: true,
    cause: error,
  });
