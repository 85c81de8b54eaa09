/**
 * Typed errors. Every fault that leaves a module is a `FengniError`: a stable code, what it concerns, what to do next.
 *
 * Codes are kebab-case and listed in `docs/errors.md`.
 */
export { type ErrorDetails, type ExitStatus, FengniError, fengniError, isDamage } from './fengni-error.ts';
