/**
 * `fengni serve`: the supervisor. It opens every listening socket once, gives up root, starts one process a role and starts it again
 * when it ends; it parses nothing that a stranger sent and opens no mail.
 */
export { requireDataFolder } from './data-folder.ts';
export { isNearlyFull } from './disk-watch.ts';
export { bindPath } from './listening-sockets.ts';
export { type Served, type ServeOptions, serve } from './serve.ts';
