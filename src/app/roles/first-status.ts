import { FengniError } from '#base/errors';
import type { MailstoreWriter } from '#services/mailstore';

/** Waits for a writer that recovers, however long that takes; the supervisor decides whether it comes up at all. */
export const firstStatus = async (
  writer: Pick<MailstoreWriter, 'status'>,
): ReturnType<MailstoreWriter['status']> => {
  for (;;) {
    try {
      return await writer.status();
    } catch (error) {
      if (!(error instanceof FengniError && /^ipc-(?:unreachable|closed)$/.test(error.code))) throw error;
    }
  }
};
