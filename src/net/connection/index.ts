/**
 * What every listener needs of an accepted socket, whatever protocol it speaks.
 *
 * `createSessionServer` is the base of every line protocol's listener: PROXY headers, admission, refusals, an end in order.
 * `openConnection` gives octets in and out, TLS at the start or later, one deadline and an end that loses no reply;
 * `createSessionGate` counts sessions by address; `createDeadlines` is the one timer; `createCounters` counts by name.
 * Always: `closed` comes exactly once; nothing is called after it; no octet sent in clear is read as if it came by TLS.
 */
export {
  type CloseCause,
  type Connection,
  type ConnectionEvents,
  type ConnectionOptions,
  type ConnectionPeer,
  openConnection,
  type ServerTls,
  type TlsFacts,
} from './connection.ts';
export { type Counters, createCounters } from './counters.ts';
export { createDeadlines, type Deadlines, type Expiring } from './deadlines.ts';
export { limitNames, withLimitLog } from './limits.ts';
export { type Networks, networksOf, plainAddress } from './networks.ts';
export { type ProxyOutcome, readProxied } from './proxied.ts';
export {
  type Admission,
  addressKey,
  createSessionGate,
  type SessionGate,
  type SessionGateSettings,
  sessionGateDefaults,
} from './session-gate.ts';
export {
  type AcceptedFrom,
  createSessionServer,
  type SessionDriver,
  type SessionRefusal,
  type SessionServer,
  type SessionServerBasics,
} from './session-server.ts';
