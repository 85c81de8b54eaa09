/**
 * Who is here, changed by an administrator: domains, accounts, aliases, passwords.
 *
 * Always holds: a secret is durable in `secrets.db` first, its ROW without the secret follows (FORMATS §1); what a crash left between
 * the two is finished at the next start.
 */
export {
  type Administration,
  type AuthPort,
  createAdministration,
  type ListedAccount,
  type ListedAppPassword,
  type NewPassword,
} from './administration.ts';
