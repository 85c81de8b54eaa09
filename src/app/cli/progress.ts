import type { Clock } from '#base/clock';
import type { OutputStream } from './command.ts';

export interface Progress {
  /** `done` of `total` is now this many */
  set(done: number): void;
  /** ends the bar's line, or prints the last plain line */
  end(): void;
}

const barCells = 30;
const barIntervalMs = 100;
const lineIntervalMs = 5_000;

/**
 * Tells how far a long piece of work is: a bar on a terminal, a plain line every five seconds elsewhere.
 *
 * @param options.total units of the whole, above 0
 * @param options.unit word after the numbers, such as `messages`
 */
export const progress = (
  stream: OutputStream,
  options: { label: string; total: number; unit: string; clock: Clock },
): Progress => {
  const { label, total, unit, clock } = options;
  const isTerminal = stream.isTTY === true;
  const intervalMs = isTerminal ? barIntervalMs : lineIntervalMs;
  let shownAtMs = isTerminal ? Number.NEGATIVE_INFINITY : clock.monotonicMs();
  let done = 0;
  let shownDone = -1;
  const show = (): void => {
    shownAtMs = clock.monotonicMs();
    shownDone = done;
    const part = Math.min(1, Math.max(0, done / total));
    const numbers = `${Math.floor(part * 100)}% (${done}/${total} ${unit})`;
    if (!isTerminal) {
      stream.write(`${label}: ${numbers}\n`);
      return;
    }
    const full = Math.floor(part * barCells);
    // \x1b[K: the rest of an earlier, longer line goes.
    stream.write(`\r${label} [${'#'.repeat(full)}${'.'.repeat(barCells - full)}] ${numbers}\x1b[K`);
  };
  return {
    set: (count) => {
      done = count;
      if (clock.monotonicMs() - shownAtMs >= intervalMs) show();
    },
    end: () => {
      if (shownDone !== done) show();
      if (isTerminal) stream.write('\n');
    },
  };
};
