/**
 * The octets of stored messages. Only `services/access` (readers) and `services/integrity` (the scrub) may import this module: the
 * architecture test sees to it, so that nobody else's code path opens a body (DESIGN §7, “One gate”).
 *
 * Always holds: octets are decrypted and compared with the head's table of hashes before they are given out; a range costs its chunks.
 */
export {
  type BodyReaders,
  type CopyPlace,
  type MessageBody,
  openBodyReaders,
  type ReadAhead,
} from './bodies.ts';
