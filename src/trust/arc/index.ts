/**
 * ARC: what relays say that they found before they changed a message, each over the word of those before it.
 *
 * RFC 8617. Always holds: `pass` means that every seal and the last message signature hold; it does not mean that any sealer
 * is to be believed. At most `arcSetsMax` sets and 262,144 octets are looked at; a chain beyond fails.
 */
export { type ArcSet, type ArcSets, arcSetsMax, collectArcSets } from './arc-set.ts';
export { type ArcOptions, type ArcResult, type ArcSealer, type ArcWord, beginArc } from './check-arc.ts';
