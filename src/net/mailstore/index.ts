/**
 * `MailstoreWriter` between processes: the writer serves it, the other roles and the command line call it.
 *
 * Always true: a message's octets travel as attachments and are not copied; a call whose connection ends fails with the retryable
 * `ipc-closed`; a client connects again by itself and tells its listeners that they may have missed something.
 */
export { createMailstoreClient, type MailstoreClient } from './client.ts';
export { deliverMethod, mailstoreMethods } from './server.ts';
export { createStandingConnection, type StandingConnection } from './standing-connection.ts';
