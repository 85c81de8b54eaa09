/**
 * How a command reaches the mail system: through a running server's `run/control`, or, where none runs, by opening the data folder in its
 * own process under the same lock.
 *
 * Always holds: only the folder's owner gets this far; whoever writes holds the lock or asks the one who does; what only reads changes
 * nothing and works beside a server.
 */
export { type Connected, connect, connectOrNull, requireFolderLock } from './connect.ts';
export { type LocalWriter, openLocalWriter } from './local-writer.ts';
export { logFault } from './log-at-rest.ts';
export { type AcceptedLoss, acceptLoss } from './new-generation.ts';
export { dataFolderOwner, requireOwnedFolder } from './owned-folder.ts';
export { openReadOnly, type ReadOnlyData } from './read-only.ts';
export { type RotatedKey, rotateKey } from './rotate-key.ts';
export { type RunningServer, runningServer } from './running-server.ts';
