import { point1 } from './point-01.ts';
import { point2 } from './point-02.ts';
import type { Point } from './suite.ts';

/** The suite that every store passes, in its order. */
export const points: readonly Point[] = [point1, point2];
