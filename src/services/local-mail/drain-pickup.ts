import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import type { Inbound } from '#services/inbound';
import type { Pickup } from '#store/pickup';
import { handIn } from './hand-in.ts';

export interface Drained {
  delivered: number;
  /** were in the log already */
  known: number;
  /** refused for good, and kept until a person does something */
  held: number;
  /** not taken now */
  waiting: number;
}

/** octets of a message that are handed on at a time */
const pieceBytes = 64 * 1024;

/**
 * Hands in what waits, the oldest first, and removes what is in the log. At the first message that is not taken now it stops: whoever does
 * not take one does not take the next.
 *
 * It can be killed at any point and run again, also twice at once.
 */
export const drainPickup = async (options: {
  pickup: Pickup;
  inbound: Inbound;
  /** whether the log has a message of this id */
  isKnown(id: string): Promise<boolean>;
  /** also what was refused for good */
  tryHeld: boolean;
  clock: Clock;
  logger: Logger;
}): Promise<Drained> => {
  const { pickup, logger } = options;
  const drained: Drained = { delivered: 0, known: 0, held: 0, waiting: 0 };
  await pickup.sweep();
  const entries = await pickup.list();
  for (const [at, { name, held }] of entries.entries()) {
    if (held !== null && !options.tryHeld) {
      drained.held += 1;
      continue;
    }
    const content = await pickup.read(name);
    if (content.kind === 'gone') continue;
    if (content.kind === 'damaged') {
      // Its octets stay for whoever can still read them.
      logger.error('waiting mail is damaged', { name });
      drained.held += 1;
      await hold(options, name, { code: 554, enhanced: '5.3.0', text: 'The file is damaged' });
      continue;
    }
    const { envelope, octets } = content;
    if (await options.isKnown(envelope.id)) {
      await pickup.remove(name);
      drained.known += 1;
      continue;
    }
    const outcome = await handIn(options.inbound, { ...envelope, pieces: inPieces(octets) });
    if (outcome.kind === 'accepted') {
      await pickup.remove(name);
      drained.delivered += 1;
      logger.info('waiting mail taken', { id: outcome.id });
    } else if (outcome.kind === 'refused') {
      const { code = 550, enhanced = '5.0.0', text = '' } = outcome.refused[0]?.refusal ?? {};
      logger.error('waiting mail is refused and kept', {
        name,
        id: envelope.id,
        reply: `${code} ${enhanced}`,
      });
      drained.held += 1;
      await hold(options, name, { code, enhanced, text });
    } else {
      const { code, enhanced } = outcome.refusal;
      logger.warn('waiting mail is not taken now', { name, reply: `${code} ${enhanced}` });
      drained.waiting = entries.length - at;
      break;
    }
  }
  return drained;
};

const hold = (
  { pickup, clock }: { pickup: Pickup; clock: Clock },
  name: string,
  refusal: { code: number; enhanced: string; text: string },
): Promise<void> => pickup.hold(name, { ...refusal, timeMs: clock.nowMs() });

const inPieces = (octets: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.ceil(octets.length / pieceBytes) }, (_, at) =>
    octets.subarray(at * pieceBytes, (at + 1) * pieceBytes),
  );
