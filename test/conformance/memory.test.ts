import { memory } from './implementations.ts';
import { points } from './points.ts';
import { conformance } from './suite.ts';

conformance(memory, points);
