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

/** Runs points for one implementation, each case under each condition. */
export const conformance = (implementation: Implementation, points: readonly Point[]): void => {
  for (const { number, title, cases } of points) {
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
    });
  }
};
