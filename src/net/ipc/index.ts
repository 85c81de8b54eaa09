/**
 * Messages between our own processes over Unix sockets: calls with answers, notices without, both with octets attached.
 *
 * Always true: a call ends with its answer or with a `FengniError`; what was sent in one turn of the event loop leaves in one write;
 * attachments are neither encoded nor, when large, copied; whatever a peer sends, the worst it gets is a closed connection; every
 * queue has a limit. Both ends are of one build, so the format may change with it.
 */
export { connectIpc, type IpcAnswer, type IpcClient, type IpcTarget, type NoticeHandler } from './client.ts';
export { type ConnectionLimits, queuedBytesMaxDefault } from './connection.ts';
export { type Attachment, messageBytesMaxDefault } from './frame.ts';
export {
  type IpcHandler,
  type IpcPeer,
  type IpcReply,
  type IpcServer,
  type IpcServerOptions,
  serveIpc,
} from './server.ts';
export { listenOnPath, openSocketPath, type SocketPath, socketPathBytesMax } from './socket-path.ts';
