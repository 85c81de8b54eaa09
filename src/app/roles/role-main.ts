import { systemClock } from '#base/clock';
import { FengniError, fengniError } from '#base/errors';
import { createLogger, type Logger } from '#base/logger';
import { createProcessSampler, type Gathered, type RoleSample } from '#net/metrics';
import type { RoleMessage, StartMessage, SupervisorMessage, TlsMaterial } from './messages.ts';

/** What a role's file gives back once it is ready. */
export interface RunningRole {
  /** finish what runs, take nothing new; bounded by the caller */
  stop(): Promise<void>;
  /** roles with TLS take new certificates */
  tls?(material: TlsMaterial): void;
  /** roles that serve peers hear of their sessions in other roles */
  sessions?(elsewhere: Readonly<Record<string, number>>): void;
  /** and of those that were opened there just now */
  opened?(elsewhere: Readonly<Record<string, number>>): void;
  /** what it counts, for `/metrics`; a look at numbers that are there */
  metrics?(): Partial<Omit<RoleSample, 'process'>>;
  /** the role that serves `/metrics` hears what was gathered for it */
  gathered?(gathered: Gathered): void;
  /** roles that begin new mail hear when the disk is nearly full, and when it is no longer */
  disk?(isNearlyFull: boolean): void;
}

export interface RoleContext {
  start: StartMessage;
  logger: Logger;
  /** a fault after which starting again would not help */
  fatal(error: unknown): void;
  /** tells the supervisor */
  tell(message: RoleMessage): void;
}

const roles = {
  sealer: () => import('./sealer.ts'),
  auth: () => import('./auth.ts'),
  writer: () => import('./writer.ts'),
  parser: () => import('./parser.ts'),
  mx: () => import('./mx.ts'),
  access: () => import('./access.ts'),
  web: () => import('./web.ts'),
  pickup: () => import('./pickup.ts'),
} as const satisfies Record<string, () => Promise<{ run(context: RoleContext): Promise<RunningRole> }>>;

/** the time that sessions have to end in order */
const stopMs = 8_000;

const tell = (message: RoleMessage): void => {
  if (process.connected) process.send?.(message);
};

const tellFault = (kind: 'fatal' | 'failed', error: unknown): void => {
  const { code, subject, remedy, exitStatus } =
    diskFull(error) ??
    fengniError(error, 'role-failed', {
      subject: error instanceof Error ? error.message : String(error),
      remedy: 'see the lines of the log above; if they tell no cause, report them',
    });
  tell({ kind, fault: { code, subject, remedy, exitStatus } });
};

/** SQLITE_FULL. @source https://sqlite.org/rescode.html#full */
const sqliteFull = 13;

/** That the disk is full, whoever met it: it lies under what became impossible by it. */
const diskFull = (error: unknown): FengniError | null => {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof FengniError && at.code === 'disk-full') return at;
    const { errcode, code, message } = at as Error & { errcode?: number; code?: string };
    if (errcode === sqliteFull || code === 'ENOSPC')
      return new FengniError('disk-full', {
        subject: error instanceof FengniError ? error.subject : message,
        remedy: 'make room on the disk of the data folder and start again; nothing acknowledged is lost',
      });
  }
  return null;
};

const main = (): void => {
  // Ctrl-C reaches the whole group, and systemd may signal every process: the supervisor decides when a role ends.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
  let running: RunningRole | null = null;
  let logger: Logger | null = null;
  let ending = false;
  const sampler = createProcessSampler();

  const end = async (ms: number): Promise<void> => {
    if (ending) return;
    ending = true;
    const timer = setTimeout(() => process.exit(0), ms);
    try {
      await running?.stop();
    } catch (error) {
      logger?.error('stop failed', { error: error instanceof Error ? error.message : String(error) });
    }
    clearTimeout(timer);
    process.exit(0);
  };

  // The supervisor is gone, however it ended: nobody would start us again or answer for our sockets.
  process.on('disconnect', () => void end(500));
  process.on('message', (message: SupervisorMessage) => {
    if (message.kind === 'stop') void end(stopMs);
    else if (message.kind === 'alive') tell({ kind: 'alive' });
    else if (message.kind === 'tls') running?.tls?.(message.tls);
    else if (message.kind === 'disk') running?.disk?.(message.isNearlyFull);
    else if (message.kind === 'gathered') running?.gathered?.(message.gathered);
    else if (message.kind === 'metrics') {
      const sample = { counters: {}, sessions: {}, ...running?.metrics?.(), process: sampler.sample() };
      tell({ kind: 'metrics', ask: message.ask, sample });
    } else if (message.kind === 'sessions') running?.sessions?.(message.elsewhere);
    else if (message.kind === 'opened') running?.opened?.(message.elsewhere);
    else
      start(message).catch((error: unknown) => {
        logger?.error('role could not start', { error: describe(error) });
        tellFault(error instanceof FengniError && !error.retryable ? 'fatal' : 'failed', error);
        // The channel needs a moment to take the message.
        setImmediate(() => process.exit(1));
      });
  });

  const start = async (message: StartMessage): Promise<void> => {
    process.title = `fengni: ${message.role}`;
    const log = createLogger({
      clock: systemClock,
      level: 'info',
      form: message.logForm,
      write: (line) => void process.stderr.write(line),
      fields: { role: message.role },
    });
    logger = log;
    const crash = (error: unknown): void => {
      log.error('role failed', { error: describe(error) });
      process.exit(1);
    };
    process.on('uncaughtException', crash);
    process.on('unhandledRejection', crash);
    const { run } = await roles[message.role]();
    running = await run({
      start: message,
      logger: log,
      tell,
      fatal: (error) => tellFault('fatal', error),
    });
    tell({ kind: 'ready' });
  };
};

const describe = (error: unknown): string =>
  error instanceof FengniError
    ? `${error.code}: ${error.subject}`
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

main();
