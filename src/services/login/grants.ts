import type { Logger } from '#base/logger';
import type { Grant } from '#services/auth';

/** Sessions and what they logged in with: those whose log-in stands no longer are ended. */
export interface Grants {
  /** counts what may have changed: a log-in that began before is looked at again */
  readonly changes: number;
  /**
   * Keeps a session in view.
   *
   * @param begun `changes` before its log-in
   * @param end ends it; called once at most
   * @returns for when the session is over
   */
  hold(grant: Grant, begun: number, end: () => void): () => void;
  /** Accounts may have changed: asks about every session. */
  changed(): void;
  close(): void;
}

/** grants in one question */
const askedAtOnce = 1_000;
const retryMs = 500;

/** @param options.standing asks the `auth` role, for each grant; rejects while it cannot be asked, and is asked again then */
export const createGrants = (options: {
  standing(grants: readonly Grant[]): Promise<readonly boolean[]>;
  schedule(work: () => void, ms: number): () => void;
  logger: Logger;
}): Grants => {
  const held = new Map<symbol, { grant: Grant; end: () => void }>();
  let changes = 0;
  let asking = false;
  let again = false;
  let closed = false;
  let unschedule = (): void => {};

  const ask = async (): Promise<void> => {
    const sessions = [...held];
    let ended = 0;
    for (let from = 0; from < sessions.length; from += askedAtOnce) {
      const some = sessions.slice(from, from + askedAtOnce);
      const stand = await options.standing(some.map(([, { grant }]) => grant));
      for (const [at, [id, { end }]] of some.entries()) {
        if (stand[at] !== false || !held.delete(id)) continue;
        ended += 1;
        end();
      }
    }
    if (ended > 0) options.logger.info('sessions ended with their log-in', { count: ended });
  };

  const run = async (): Promise<void> => {
    asking = true;
    try {
      do {
        again = false;
        await ask();
      } while (again && !closed);
    } catch (error) {
      options.logger.warn('log-ins of sessions could not be looked at', { error: String(error) });
      if (!closed) unschedule = options.schedule(changed, retryMs);
    } finally {
      asking = false;
    }
  };

  const changed = (): void => {
    changes += 1;
    if (closed || held.size === 0) return;
    if (asking) again = true;
    else void run();
  };

  return {
    get changes() {
      return changes;
    },
    hold: (grant, begun, end) => {
      const id = Symbol('session');
      held.set(id, { grant, end });
      if (begun !== changes) changed();
      return () => void held.delete(id);
    },
    changed,
    close: () => {
      closed = true;
      unschedule();
    },
  };
};
