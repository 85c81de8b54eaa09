/**
 * Who may log in: passwords checked with argon2id, in the `auth` role, the only one that opens `secrets.db`.
 *
 * RFC 8265 (OpaqueString), RFC 9106 (argon2id), SCRAM-SHA-256 for app passwords (RFC 5802, 7677); hashes of other servers until their
 * first log-in. Always true: a password is neither kept nor logged; an unknown user costs what a
 * known one costs; a success is remembered for ten minutes as an HMAC under a key that dies with the process and with any change of
 * the account; an address with ten wrong passwords waits; a user's known address is served before strangers; every table and queue
 * has a limit.
 */
export { appPasswordsMax } from './app-password.ts';
export {
  type Attempt,
  type Auth,
  type AuthLimits,
  type AuthOptions,
  type AuthStatus,
  addressKey,
  authLimits,
  createAuth,
  type Grant,
  type Proof,
  type ProofVerdict,
  type Verdict,
} from './auth.ts';
export {
  type Argon2Cost,
  argon2Cost,
  generatePassword,
  passwordBytesMax,
  preparePassword,
} from './password.ts';
export { requireVerifier } from './verifier.ts';
