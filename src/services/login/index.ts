/**
 * Log-in by address and password or proof, for every protocol: the address's key, then the `auth` role; and the end of sessions whose
 * log-in stands no longer.
 *
 * Always holds: a name that is no address costs what a wrong password costs; what cannot be checked is never “wrong”; a session whose
 * account is disabled, or whose password was changed, is ended, also when that happened during its log-in.
 */
export { createGrants, type Grants } from './grants.ts';
export {
  type AuthRole,
  createLogin,
  type Login,
  type LoginOutcome,
  type ProofOutcome,
  type ScramLogin,
} from './login.ts';
