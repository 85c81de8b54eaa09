import { describe, test } from 'node:test';
import type { Implementation } from './implementations.ts';
import { type Condition, conditions, World, type WorldOptions } from './world.ts';

/** One sentence of a point, or a part of it. */
export interface Case {
  /** what holds */
  title: string;
  options?: WorldOptions;
  /** the conditions that it runs under; all where it is left out */
  conditions?: readonly Condition[];
  /**
   * Does things. What it returns is called when the world has gone through the condition, and looks whether all holds still; it may do
   * things too.
   */
  run(world: World): Promise<() => void | Promise<void>>;
}

/** What a later issue makes run: counted as not run, never as passed. */
export interface Later {
  title: string;
  /** which issue, and what is missing */
  later: string;
}

/** One of the fifteen points of what every store has to pass. */
export interface Point {
  number: number;
  title: string;
  cases: readonly (Case | Later)[];
}

const after: Readonly<Record<Condition, string>> = {
  plain: 'as it is',
  crash: 'after a crash',
  rebuild: 'after a rebuild',
  restore: 'after the restore of a copy',
};

/** The fifth condition: every case of a point will run after it too. */
const compaction = 'not run: compaction comes with the issue on backups';
/** `FENGNI_POINTS=2,5` runs these alone. */
const only = process.env['FENGNI_POINTS']?.split(',').map(Number);

/**
 * Runs points for one implementation, each case under each condition. A new implementation of the ports of `#store/index` passes what
 * keeps its projections (`Implementation`); the world does everything else with it.
 */
export const conformance = (implementation: Implementation, points: readonly Point[]): void => {
  for (const { number, title, cases } of points) {
    if (only?.includes(number) === false) continue;
    describe(`(${number}) ${title}, ${implementation.name}`, () => {
      for (const each of cases) {
        if ('later' in each) {
          test(`(${number}) ${each.title}, ${implementation.name}`, (t) => t.skip(`not run: ${each.later}`));
          continue;
        }
        for (const condition of each.conditions ?? conditions) {
          test(`(${number}) ${each.title}, ${implementation.name}, ${after[condition]}`, async () => {
            const world = await World.begin(implementation, each.options);
            try {
              const check = await each.run(world);
              await world.pass(condition);
              await check();
            } finally {
              await world.end();
            }
          });
        }
      }
      test(`(${number}) all of it, ${implementation.name}, after compaction`, (t) => t.skip(compaction));
    });
  }
};
