import type { RoleName } from '#app/roles';
import type { Gathered, RoleSample } from '#net/metrics';

/** a role that does not answer by then is marked, not waited for */
const answerMs = 1_000;
/** whoever asks again so soon gets what there is */
const freshMs = 500;

export interface Gatherer {
  gather(): Promise<Gathered>;
  /** a role's answer to the question of this number */
  hear(role: RoleName, ask: number, sample: RoleSample): void;
}

/** Asks all roles at once what they count, at most twice a second, however many want to know. */
export const createGatherer = (options: {
  roles(): readonly { role: RoleName; restarts: number; isThere: boolean }[];
  ask(ask: number): void;
  own(): Omit<Gathered, 'roles'>;
}): Gatherer => {
  let lastAsk = 0;
  let samples = new Map<RoleName, RoleSample>();
  let heard = (): void => {};
  let running: Promise<Gathered> | null = null;
  let last: { gathered: Gathered; atMs: number } | null = null;

  const round = async (): Promise<Gathered> => {
    lastAsk += 1;
    samples = new Map();
    const untilMs = performance.now() + answerMs;
    options.ask(lastAsk);
    while (options.roles().some(({ role, isThere }) => isThere && !samples.has(role))) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) break;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        heard = resolve;
        timer = setTimeout(resolve, leftMs);
      });
      clearTimeout(timer);
    }
    const gathered = {
      ...options.own(),
      roles: options
        .roles()
        .map(({ role, restarts }) => ({ role, restarts, sample: samples.get(role) ?? null })),
    };
    last = { gathered, atMs: performance.now() };
    return gathered;
  };

  return {
    gather: () => {
      if (last !== null && performance.now() - last.atMs < freshMs) return Promise.resolve(last.gathered);
      running ??= round().finally(() => {
        running = null;
      });
      return running;
    },
    hear: (role, ask, sample) => {
      // An answer that comes too late is of another time.
      if (ask !== lastAsk) return;
      samples.set(role, sample);
      heard();
    },
  };
};
