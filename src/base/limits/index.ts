/**
 * Quantities as people write them, so that every limit and every wait is read and shown in one way.
 *
 * Always holds: a parsed quantity is a whole number below 2^53; `parse(format(x))` is `x`.
 */
export { formatDuration, formatSize, GiB, KiB, MiB, parseDuration, parseSize } from './quantity.ts';
