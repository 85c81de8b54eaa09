/** Time and randomness as parameters, so that tests decide both. */
export { type Clock, type Random, systemClock, systemRandom } from './clock.ts';
