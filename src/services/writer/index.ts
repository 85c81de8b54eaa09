/**
 * The writer: the only one that writes log, ledger and projections. Every change of anything is a decision in its queue.
 *
 * Always holds: one order of events for everybody; nothing is answered, shown or signed before its group is durable; after the sync the
 * answer is yes; numbers are given here and stand absolute in frames; after any failure of the disk the process ends and recovers.
 */
export { type AccountRow, createAddresses } from './addresses.ts';
export type { CommitQueue } from './commit-queue.ts';
export { addAccount, addAlias, addDomain, changeAccount, removeAlias } from './decide-directory.ts';
export { addHold, type HoldRow, isHeld, purgeAccount, releaseHold } from './decide-erase.ts';
export { nameFault } from './decide-mailboxes.ts';
export { recoverableDays } from './erase.ts';
export type { SealerLook, SealerPort, SealStatus } from './heads.ts';
export { addressOf, chunkTable, eventOf, type ParseElsewhere, type ReplayReaders } from './replay.ts';
export { generationStart, openWriter, type Writer, type WriterOptions } from './writer.ts';
