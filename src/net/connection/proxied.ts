import type { Socket } from 'node:net';
import { type ProxyEndpoint, proxyHeaderBytesMax, readProxyHeader } from '#net/proxy';
import type { Deadlines, Expiring } from './deadlines.ts';

/** What the header said, or why there is no connection to serve: then the socket is closed already. */
export type ProxyOutcome =
  | {
      readonly kind: 'read';
      readonly source: ProxyEndpoint | null;
      readonly destination: ProxyEndpoint | null;
    }
  | { readonly kind: 'refused'; readonly reason: string };

/** time for a proxy to send its header, which it does before anything else */
const headerMs = 5_000;

/**
 * Reads the PROXY header from a connection that must begin with one; what follows it is put back, so that TLS or the protocol reads it.
 *
 * @param done called once, the socket paused; after `refused` it is destroyed
 */
export const readProxied = (
  socket: Socket,
  deadlines: Deadlines,
  done: (outcome: ProxyOutcome) => void,
): void => {
  let octets: Buffer = Buffer.alloc(0);
  const settle = (outcome: ProxyOutcome): void => {
    deadlines.forget(waiting);
    socket.off('data', onData).off('end', onGone).off('error', onGone).off('close', onGone);
    if (outcome.kind === 'refused') {
      socket.on('error', () => {});
      socket.destroy();
    }
    done(outcome);
  };
  const onData = (chunk: Buffer): void => {
    octets = octets.length === 0 ? chunk : Buffer.concat([octets, chunk]);
    const header = readProxyHeader(octets);
    if (header.kind === 'more' && octets.length < proxyHeaderBytesMax) return;
    if (header.kind !== 'header') {
      settle({ kind: 'refused', reason: header.kind === 'bad' ? header.reason : 'too long' });
      return;
    }
    socket.pause();
    const rest = octets.subarray(header.bytes);
    if (rest.length > 0) socket.unshift(rest);
    settle({ kind: 'read', source: header.source, destination: header.destination });
  };
  const onGone = (): void => settle({ kind: 'refused', reason: 'gone before its header' });
  const waiting: Expiring = {
    deadlineAtMs: deadlines.clock.monotonicMs() + headerMs,
    expire: () => settle({ kind: 'refused', reason: 'no header in time' }),
  };
  deadlines.watch(waiting);
  socket.on('data', onData).on('end', onGone).on('error', onGone).on('close', onGone);
};
