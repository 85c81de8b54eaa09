import { point1 } from './point-01.ts';
import { point2 } from './point-02.ts';
import { point3 } from './point-03.ts';
import { point4 } from './point-04.ts';
import { point5 } from './point-05.ts';
import { point6 } from './point-06.ts';
import { point7 } from './point-07.ts';
import { point8 } from './point-08.ts';
import { point9 } from './point-09.ts';
import { point10 } from './point-10.ts';
import { point11 } from './point-11.ts';
import { point12 } from './point-12.ts';
import { point13 } from './point-13.ts';
import { point14 } from './point-14.ts';
import { point15 } from './point-15.ts';
import type { Point } from './suite.ts';

/** The suite that every store passes, in its order. */
export const points: readonly Point[] = [
  point1,
  point2,
  point3,
  point4,
  point5,
  point6,
  point7,
  point8,
  point9,
  point10,
  point11,
  point12,
  point13,
  point14,
  point15,
];
