/**
 * The sealer: signs heads of the ledger and cannot sign two histories. Its core, without sockets.
 *
 * C2SP tlog-checkpoint “A log MUST not sign any checkpoint which is inconsistent with any checkpoint it previously
 * signed”. The folder's form is in `docs/formats/ledger.md`.
 */
export {
  type Allowance,
  type AllowanceKind,
  type AllowedStep,
  allowNext,
  encodeAllowance,
  parseAllowance,
} from './allowance.ts';
export { openSealerAgain, type SealerCalls } from './lazy-sealer.ts';
export {
  type NextGeneration,
  type PrepareOutcome,
  Sealer,
  type SealerHead,
  type SealerOptions,
  type SealerOutcome,
  type SealerRefusal,
} from './sealer.ts';
export { markOf, parseState, type SealerState, sameFolder } from './sealer-state.ts';
