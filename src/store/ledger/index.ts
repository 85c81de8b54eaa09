/**
 * The ledger's files: C2SP tlog-tiles and the signed head of one generation, `ledger/g<N>/`.
 *
 * A function of the leaves in the log: it can be deleted and made again, every octet of it is compared with the leaves by
 * `verifyLedger`, and a reader believes no tile that does not lead to a signed root. `docs/formats/ledger.md`.
 */
export { LedgerReader } from './reader.ts';
export { type LedgerFinding, type LedgerReport, verifyLedger } from './verify-ledger.ts';
export { appendedLeavesMax, LedgerWriter, type PlannedTile, TilePlan } from './writer.ts';
