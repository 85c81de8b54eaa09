/**
 * The roles: one process each, started by the supervisor with the sockets, files and secrets that it needs and no more.
 *
 * Always true: a role binds nothing, it listens on descriptors that it inherits; it runs under Node's permission model with what
 * `permissions.ts` lists; when the supervisor is gone it ends within a second; its work is in `services/` and `net/`, wired here.
 */
export type {
  RoleFault,
  RoleMessage,
  RoleName,
  StartMessage,
  SupervisorMessage,
  TlsMaterial,
} from './messages.ts';
export { roleNames } from './messages.ts';
export { parseByCalls } from './parse-elsewhere.ts';
export { programFolder, roleArguments } from './permissions.ts';
