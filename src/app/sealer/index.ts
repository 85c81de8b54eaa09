/**
 * The sealer's two ends: what answers on its socket, and the writer's side of it.
 *
 * It is a role of the server in a local start, a service of its own under its own user in production; nothing else differs. Whoever may
 * connect is no friend: the sealer signs only what continues what it signed.
 */
export { ledgerIo } from './ledger-io.ts';
export { createRemoteSealer, type RemoteSealer } from './sealer-port.ts';
export { startSealerService } from './sealer-service.ts';
export { serveSealer } from './serve-sealer.ts';
