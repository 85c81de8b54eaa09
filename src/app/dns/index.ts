/**
 * DNS as the configuration has it, for roles and commands, and what is said about it.
 *
 * Always holds: without `[dns] resolvers` the system's are asked; a file that cannot be read means the one on this machine.
 */

export { dnsCounters } from './dns-counters.ts';
export { logValidation } from './log-validation.ts';
export { openDns, resolversOf } from './open-dns.ts';
