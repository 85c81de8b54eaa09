import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import {
  type RoleFault,
  type RoleMessage,
  type RoleName,
  roleArguments,
  type StartMessage,
  type SupervisorMessage,
} from '#app/roles';
import { systemClock } from '#base/clock';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { say } from '#base/text';
import type { Gathered } from '#net/metrics';
import { createGatherer } from './gather-metrics.ts';
import { createWatchdog, type Watched } from './watchdog.ts';

/** What a role is started with; `sockets` are descriptors of this process, in the order in which `start` names them. */
export interface RolePlan {
  role: RoleName;
  descriptors: readonly number[];
  /** @param first the number that the first descriptor has in the role */
  message(first: number): Omit<StartMessage, 'kind' | 'role' | 'afterDeath'>;
}

export interface SupervisorOptions {
  /** in the order in which they start */
  roles: readonly RoleName[];
  plan(role: RoleName): RolePlan;
  /** what a disk without room does shows in many ways: said as what it is, where it is that */
  asDiskFull(fault: FengniError): FengniError;
  folders: { data: string; compileCache(role: RoleName): string | null };
  logger: Logger;
  /** what the supervisor's own process adds to what roles count */
  ownMetrics(): Omit<Gathered, 'roles'>;
  /** a role says that starting again would not help, or does not come up at the start */
  onFatal(fault: FengniError): void;
}

export interface Supervisor {
  /** fulfilled when every role is ready */
  start(): Promise<void>;
  /** Starts a role that ends by itself, unless it runs. */
  summon(role: 'parser' | 'pickup'): void;
  /** for SIGHUP: every running role gets it */
  tell(message: SupervisorMessage): void;
  /** process ids by role, for `run/ports.json`'s neighbour and tests */
  processes(): { role: RoleName; pid: number }[];
  stop(): Promise<void>;
}

/** roles that are started when there is work, and end by themselves */
const summoned: ReadonlySet<RoleName> = new Set(['parser', 'pickup']);
/** 0 stdin, 1 stdout, 2 stderr, 3 the channel, then what the role inherits */
const firstInherited = 4;
const restartDelayMs = [0, 100, 300, 1_000, 3_000, 5_000];
/** a role that lived this long starts again at once */
const healthyMs = 10_000;
const stopGraceMs = 10_000;
/** so long a role is told at its start that one before it ended by itself */
const rememberedDeathMs = 24 * 3_600_000;
/** a role that ends this often before it was ready once will not come up */
const startFailuresMax = 3;

/** roles in which what strangers send is parsed */
const readsStrangers: ReadonlySet<RoleName> = new Set<RoleName>(['mx', 'access', 'web']);

interface Child {
  role: RoleName;
  process: ChildProcess;
  startedMs: number;
  ready: boolean;
  exited: Promise<void>;
  watched: Watched;
}

/** Starts a process a role, starts it again when it ends, and ends them all in order. */
export const createSupervisor = (options: SupervisorOptions): Supervisor => {
  const { logger } = options;
  const children = new Map<RoleName, Child>();
  const failures = new Map<RoleName, number>();
  const startFailures = new Map<RoleName, number>();
  const lastWords = new Map<RoleName, FengniError>();
  const diedAtMs = new Map<RoleName, number>();
  /** sessions by role and by what they are counted under */
  const sessions = new Map<RoleName, Readonly<Record<string, number>>>();
  const restarts = new Map<RoleName, number>();
  const gatherer = createGatherer({
    roles: () =>
      options.roles.map((role) => ({ role, restarts: restarts.get(role) ?? 0, isThere: children.has(role) })),
    ask: (ask) => {
      for (const { ready, process } of children.values())
        if (ready && process.connected) process.send({ kind: 'metrics', ask } satisfies SupervisorMessage);
    },
    own: options.ownMetrics,
  });
  const watchdog = createWatchdog({ clock: systemClock });
  const watchedOf = (role: RoleName, child: ChildProcess): Watched => ({
    ask: () => {
      if (child.connected) child.send({ kind: 'alive' } satisfies SupervisorMessage);
    },
    kill: (silentMs) => {
      logger.error('role does not answer, ending it', { role, silentMs: Math.round(silentMs) });
      child.kill('SIGKILL');
    },
  });
  let started = false;
  let stopping = false;
  let waiting: { role: RoleName; resolve(): void } | null = null;

  const launch = (role: RoleName): Child => {
    const plan = options.plan(role);
    const compileCache = options.folders.compileCache(role);
    const child = spawn(
      process.execPath,
      [
        ...roleArguments(role, { data: options.folders.data, compileCache }),
        path.join(import.meta.dirname, '../roles/role-main.ts'),
      ],
      {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc', ...plan.descriptors],
        env: roleEnvironment(compileCache),
        cwd: '/',
      },
    );
    const entry: Child = {
      role,
      process: child,
      startedMs: performance.now(),
      ready: false,
      watched: watchedOf(role, child),
      exited: new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.once('error', () => child.pid === undefined && resolve());
      }),
    };
    children.set(role, entry);
    child.on('message', (message: RoleMessage) => hear(entry, message));
    child.on('error', (error) => {
      logger.error('role could not be started', { role, error: error.message });
      // There is no process (no memory, too many of them), so none that could end.
      if (child.pid === undefined) ended(entry, null, null);
    });
    child.on('exit', (status, signal) => ended(entry, status, signal));
    const afterDeath =
      performance.now() - (diedAtMs.get(role) ?? Number.NEGATIVE_INFINITY) < rememberedDeathMs;
    const start: StartMessage = { kind: 'start', role, afterDeath, ...plan.message(firstInherited) };
    child.send(start, (error) => {
      if (error !== null) logger.warn('role did not take its start', { role, error: error.message });
    });
    return entry;
  };

  const hear = (child: Child, message: RoleMessage): void => {
    if (message.kind === 'ready') {
      child.ready = true;
      if (readsStrangers.has(child.role)) watchdog.watch(child.watched);
      logger.info('role ready', { role: child.role, pid: child.process.pid ?? 0 });
      if (waiting?.role === child.role) waiting.resolve();
    } else if (message.kind === 'alive') {
      watchdog.heard(child.watched);
    } else if (message.kind === 'metrics') {
      gatherer.hear(child.role, message.ask, message.sample);
    } else if (message.kind === 'metrics-wanted') {
      void gatherer.gather().then((gathered) => {
        if (child.process.connected)
          child.process.send({ kind: 'gathered', gathered } satisfies SupervisorMessage);
      });
    } else if (message.kind === 'sessions') {
      sessions.set(child.role, message.counts);
      tellOfSessions();
    } else if (message.kind === 'opened') {
      for (const { role, process } of children.values())
        if (role !== child.role && process.connected)
          process.send({ kind: 'opened', elsewhere: message.counts } satisfies SupervisorMessage);
    } else if (message.kind === 'parser-wanted') {
      if (!children.has('parser')) launch('parser');
    } else {
      const fault = options.asDiskFull(faultOf(message.fault));
      lastWords.set(child.role, fault);
      // A disk that fills up while mail flows is waited for; one that is full at the start is told to whoever starts.
      const isWaitedFor = started && fault.code === 'disk-full';
      if (message.kind === 'fatal' && !isWaitedFor) options.onFatal(fault);
    }
  };

  /** Each role that serves peers hears what they have open in the others. */
  const tellOfSessions = (): void => {
    for (const { role, process } of children.values()) {
      if (!process.connected) continue;
      const elsewhere: Record<string, number> = Object.create(null);
      for (const [other, counts] of sessions) {
        if (other === role) continue;
        for (const [key, count] of Object.entries(counts)) elsewhere[key] = (elsewhere[key] ?? 0) + count;
      }
      process.send({ kind: 'sessions', elsewhere } satisfies SupervisorMessage);
    }
  };

  const ended = (child: Child, status: number | null, signal: NodeJS.Signals | null): void => {
    if (children.get(child.role) === child) children.delete(child.role);
    watchdog.forget(child.watched);
    if (sessions.delete(child.role)) tellOfSessions();
    if (stopping || summoned.has(child.role)) return;
    diedAtMs.set(child.role, performance.now());
    if (!started && !child.ready) {
      const times = (startFailures.get(child.role) ?? 0) + 1;
      startFailures.set(child.role, times);
      if (times >= startFailuresMax) {
        options.onFatal(lastWords.get(child.role) ?? options.asDiskFull(neverStarted(child.role)));
        return;
      }
    }
    restarts.set(child.role, (restarts.get(child.role) ?? 0) + 1);
    const lived = performance.now() - child.startedMs;
    const count = lived > healthyMs && child.ready ? 0 : (failures.get(child.role) ?? -1) + 1;
    failures.set(child.role, count);
    const delayMs = restartDelayMs[Math.min(count, restartDelayMs.length - 1)] ?? 5_000;
    logger.warn('role ended, starting it again', {
      role: child.role,
      status: status ?? -1,
      signal: signal ?? '',
      delayMs,
    });
    setTimeout(() => {
      if (!stopping && !children.has(child.role)) launch(child.role);
    }, delayMs);
  };

  const readiness = (role: RoleName): Promise<void> =>
    new Promise((resolve) => {
      waiting = { role, resolve };
      if (children.get(role)?.ready === true) resolve();
    });

  return {
    start: async () => {
      // All are launched at once, since loading a program costs more than starting it; each waits for those it needs.
      for (const role of options.roles) launch(role);
      for (const role of options.roles) await readiness(role);
      started = true;
    },
    summon: (role) => {
      if (!stopping && !children.has(role)) launch(role);
    },
    tell: (message) => {
      for (const child of children.values()) if (child.process.connected) child.process.send(message);
    },
    processes: () => [...children.values()].map(({ role, process }) => ({ role, pid: process.pid ?? 0 })),
    stop: async () => {
      stopping = true;
      watchdog.stop();
      const end = async (roles: readonly RoleName[]): Promise<void> => {
        const ending = roles.flatMap((role) => children.get(role) ?? []);
        for (const child of ending) {
          if (child.process.connected) child.process.send({ kind: 'stop' } satisfies SupervisorMessage);
          else child.process.kill('SIGKILL');
        }
        const timer = setTimeout(() => {
          for (const child of ending) child.process.kill('SIGKILL');
        }, stopGraceMs);
        await Promise.all(ending.map(({ exited }) => exited));
        clearTimeout(timer);
      };
      await end(['mx', 'access', 'web', 'parser', 'pickup']);
      await end(['writer']);
      await end(['auth', 'sealer']);
    },
  };
};

/** A role gets no more of the environment than the program itself needs. */
const roleEnvironment = (compileCache: string | null): NodeJS.ProcessEnv => {
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|TZ|LANG|LC_\w+)$/.test(name));
  return {
    ...Object.fromEntries(kept),
    ...(compileCache === null ? {} : { NODE_COMPILE_CACHE: compileCache }),
  };
};

const neverStarted = (role: RoleName): FengniError =>
  new FengniError('role-failed', { subject: role, remedy: say('en', 'remedy.role-failed') });

const faultOf = (fault: RoleFault): FengniError =>
  new FengniError(fault.code, { subject: fault.subject, remedy: fault.remedy, exitStatus: fault.exitStatus });
