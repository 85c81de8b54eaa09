/**
 * `secrets.db`: password verifiers and the keys of app passwords, opened by the `auth` role alone (`docs/formats`: it is the one database that is no projection).
 *
 * Always true: a change is durable when its call returns and stays listed in `unconfirmed` until its ROW frame is; what was replaced
 * or removed is overwritten on disk; the file is 0600 from its first instant; a second process is refused.
 */
export {
  type AppPassword,
  type AppPasswordKeys,
  type Change,
  type ChangeKind,
  openSecrets,
  type Secrets,
  type Verifier,
} from './secrets.ts';
