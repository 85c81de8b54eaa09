import path from 'node:path';
import { systemClock, systemRandom } from '#base/clock';
import { FengniError } from '#base/errors';
import { createAuthRoleClient } from '#net/auth';
import { createCounters, withLimitLog } from '#net/connection';
import { createImapListener, imapServerDefaults } from '#net/imap';
import { createMailstoreClient, createStandingConnection } from '#net/mailstore';
import { createPop3Server, pop3ServerDefaults } from '#net/pop3';
import { openAccessGate } from '#services/access';
import { createGrants, createLogin } from '#services/login';
import { createImapLogin } from '#services/mailboxes';
import { createPop3Login } from '#services/maildrop';
import { openPoison } from '#services/poison';
import { nodeIo } from '#store/durable';
import type { MailIndex } from '#store/index';
import { emptySpool, openSpool } from '#store/large';
import { openSqliteIndex } from '#store/sqlite';
import { firstStatus } from './first-status.ts';
import { serveSockets } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';
import { createSharedGate } from './shared-gate.ts';
import { roleTls } from './tls.ts';

const shard = 0;
/** how long a command waits for a writer that is starting again */
const writerWaitMs = 10_000;

/** Mail read: IMAP and POP3. It reads index, segments and keys; it writes nothing but ciphertext into `spool/`, and what may kill it into
 * `poison/append/`; the writer does. */
export const run = async ({ start, logger, tell }: RoleContext): Promise<RunningRole> => {
  const { config, dataFolder } = start;
  const socket = (name: string): string => path.join(dataFolder, 'run', name);
  const writer = createMailstoreClient({ path: socket('writer'), waitMs: writerWaitMs, watches: true });
  // The writer recovers the projections before it answers: then they can be opened.
  await firstStatus(writer);
  const reportDamage = (error: FengniError, subject: string): void => {
    // It stands in the log; the status says how often, when the writer is there.
    writer.damaged({ code: error.code, subject }).catch(() => {});
  };
  const index = watched(openSqliteIndex(path.join(dataFolder, 'index.db'), { readOnly: true }), (error) => {
    logger.error('damaged row not served', { code: error.code, subject: error.subject });
    reportDamage(error, path.basename(error.subject));
  });
  const gate = openAccessGate({
    io: nodeIo,
    folder: dataFolder,
    shard,
    index,
    damaged: (error, email) => {
      const { id } = email.message;
      logger.error('damaged message not served', { id, code: error.code, subject: error.subject });
      reportDamage(error, id);
    },
  });
  writer.onErased(gate.forget);
  const authConnection = createStandingConnection({ path: socket('auth'), waitMs: 5_000 });
  const auth = createAuthRoleClient(authConnection);
  const grants = createGrants({
    standing: auth.standing,
    schedule: (work, ms) => {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    logger,
  });
  let hasAppPasswords = false;
  const lookForAppPasswords = async (): Promise<void> => {
    try {
      hasAppPasswords = await auth.hasAppPasswords();
    } catch (error) {
      logger.warn('app passwords could not be looked for', { error: String(error) });
    }
  };
  await lookForAppPasswords();
  const unwatchAccounts = writer.onAddresses(() => {
    grants.changed();
    void lookForAppPasswords();
  });
  const login = createLogin({ auth, grants, hasAppPasswords: () => hasAppPasswords, logger });
  const tls = roleTls(start.tls);
  const sessions = createSharedGate({ start, tell });
  const counters = withLimitLog(createCounters(), logger, systemClock);
  const pop3 = createPop3Server({
    settings: { ...pop3ServerDefaults, hostname: config.server.hostname, stls: tls !== null },
    login: createPop3Login({ login, index, gate, writer, logger }),
    tls: tls?.connection('pop3') ?? null,
    gate: sessions,
    counters,
    clock: systemClock,
    random: systemRandom,
    log: logger,
  });
  await emptySpool(nodeIo, dataFolder, (owner) => owner === 'access');
  let isDiskNearlyFull = start.isDiskNearlyFull;
  const imapLogin = createImapLogin({
    login,
    index,
    gate,
    writer,
    clock: systemClock,
    random: systemRandom,
    logger,
    large: { spool: openSpool({ io: nodeIo, folder: dataFolder, owner: 'access' }) },
    poison: await openPoison({
      io: nodeIo,
      folder: path.join(dataFolder, 'poison/append'),
      logger,
      afterDeath: start.afterDeath,
    }),
    isDiskNearlyFull: () => isDiskNearlyFull,
  });
  const imap = createImapListener({
    settings: {
      ...imapServerDefaults,
      sessionsPerAccountMax: config.limits.imapSessionsPerAccount,
      appendBytesMax: config.smtp.sizeBytesMax,
    },
    login: imapLogin,
    tls: tls?.connection('imap') ?? null,
    gate: sessions,
    counters,
    clock: systemClock,
    random: systemRandom,
    log: logger,
    move: true,
  });
  const listening = await serveSockets(start.sockets, logger, (accepted, from, how) => {
    const security = from.tls === 'implicit' ? 'implicit' : 'none';
    if (from.service === 'pop3' || from.service === 'pop3s') pop3.accept(accepted, security, how);
    else imap.accept(accepted, security, how);
  });
  return {
    stop: async () => {
      listening.close();
      await Promise.all([pop3.drain(3_000), imap.drain(3_000)]);
      unwatchAccounts();
      grants.close();
      imapLogin.close();
      writer.close();
      authConnection.close();
      sessions.close();
      await gate.close();
      index.close();
    },
    tls: (material) => tls?.update(material),
    metrics: () => ({
      counters: counters.snapshot(),
      sessions: { imap: imap.sessions, pop3: pop3.sessions },
    }),
    sessions: (elsewhere) => sessions.hear(elsewhere),
    opened: (elsewhere) => sessions.hearOpened(elsewhere),
    disk: (isNearlyFull) => {
      isDiskNearlyFull = isNearlyFull;
    },
  };
};

/** The same index; each answer that is refused because a row is not the one that was written is told too. */
const watched = (index: MailIndex, damaged: (error: FengniError) => void): MailIndex =>
  Object.fromEntries(
    Object.entries(index).map(([name, answer]: [string, (...args: unknown[]) => unknown]) => [
      name,
      (...args: unknown[]) => {
        try {
          return answer(...args);
        } catch (error) {
          if (error instanceof FengniError && error.code === 'index-row-damaged') damaged(error);
          throw error;
        }
      },
    ]),
  ) as unknown as MailIndex;
