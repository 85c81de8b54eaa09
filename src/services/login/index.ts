/**
 * Log-in by address and password, for every protocol: the address's key, then the `auth` role.
 *
 * Always holds: a name that is no address costs what a wrong password costs; what cannot be checked is never “wrong”.
 */
export { createLogin, type Login, type LoginOutcome, type PasswordCheck } from './login.ts';
