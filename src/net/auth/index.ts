/**
 * The `auth` role over `run/auth`: its methods, and the same as other roles see it.
 *
 * Always: a password goes in and never comes out, but for an app password, to who made it.
 */
export { type AuthRoleClient, createAuthRoleClient } from './client.ts';
export { authMethods } from './server.ts';
