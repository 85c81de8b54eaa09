/**
 * Messages that kill what parses them: found, refused and kept for whoever mends the parser (docs/decisions/0008).
 *
 * Always holds: in ordinary times nothing is written; a message that was being parsed at two deaths of its process is parsed no more.
 */
export { openPoison, type Poison, type PoisonOptions, type SuspectFile } from './poison.ts';
