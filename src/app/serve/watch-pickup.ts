import fs from 'node:fs';
import { pickupFolder } from '#store/pickup';

/** how soon mail that was left for the server is seen */
const lookMs = 1_000;
/** when the last try took none of it */
const againMs = 15_000;

export interface PickupWatch {
  /** as last seen */
  counts(): { waiting: number; held: number };
  stop(): void;
}

/** Looks once a second whether local programs left mail for the server, and says so; again later where nothing came of it. */
export const watchPickup = (folder: string, found: () => void): PickupWatch => {
  let before = 0;
  let notBeforeMs = 0;
  let isLooking = false;
  let counts = { waiting: 0, held: 0 };
  const see = (names: readonly string[]): void => {
    const all = new Set(names);
    // One that was refused for good has its reason beside it and waits for a person.
    const count = names.filter(
      (name) => name.endsWith('.mail') && !all.has(name.replace(/mail$/, 'why')),
    ).length;
    counts = { waiting: count, held: names.filter((name) => name.endsWith('.mail')).length - count };
    if (count === 0) {
      before = 0;
      notBeforeMs = 0;
      return;
    }
    const nowMs = performance.now();
    const isTaken = count < before;
    if (nowMs < notBeforeMs && !isTaken && count <= before) return;
    before = count;
    notBeforeMs = nowMs + againMs;
    found();
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    fs.readdir(pickupFolder(folder), (error, names) => {
      isLooking = false;
      if (error === null) see(names);
    });
  }, lookMs);
  return { counts: () => counts, stop: () => clearInterval(timer) };
};
