/**
 * The sealer's two ends: what answers on its socket, and the writer's side of it.
 *
 * It is a role of the server in a local start, a service of its own under its own user in production; nothing else differs. Whoever may
 * connect is no friend: the sealer signs only what continues what it signed.
 */
export { hostileFolderIo } from './hostile-folder-io.ts';
export { ledgerIo } from './ledger-io.ts';
export { permitNext } from './permit-next.ts';
export { createRemoteSealer, openLocalSealer, type SealerClient } from './sealer-port.ts';
export { startSealerService } from './sealer-service.ts';
export { connectionsMax, openSealerOver, serveSealer } from './serve-sealer.ts';
