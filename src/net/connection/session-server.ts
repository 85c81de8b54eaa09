import type { Socket } from 'node:net';
import type { Clock } from '#base/clock';
import type { Logger } from '#base/logger';
import { type Connection, type ConnectionEvents, openConnection, type ServerTls } from './connection.ts';
import type { Counters } from './counters.ts';
import { createDeadlines } from './deadlines.ts';
import { type Networks, plainAddress } from './networks.ts';
import { readProxied } from './proxied.ts';
import type { Admission, SessionGate } from './session-gate.ts';

/** One connection as its protocol sees it. */
export interface SessionDriver extends ConnectionEvents {
  /** the connection that the events are of; comes before the first of them */
  attach(connection: Connection): void;
  /** Ends in order: after what is under way. */
  shutDown(): void;
}

export type SessionRefusal = 'draining' | Extract<Admission, { kind: 'refused' }>['reason'];

/** What listeners of every protocol are given. */
export interface SessionServerBasics {
  /** null where there is no certificate */
  tls: ServerTls | null;
  /** counts sessions; one gate may serve several listeners */
  gate: SessionGate;
  counters: Counters;
  clock: Clock;
  log: Logger;
  /** how late a time-out may be acted on */
  sweepEveryMs?: number;
}

export interface SessionServerOptions extends SessionServerBasics {
  /** in the names of counters and of log lines */
  name: 'smtp' | 'pop3' | 'imap';
  /** names that are served (RFC 7301) */
  alpn: readonly string[];
  /** what a connection from an address is told that is not served, whole lines */
  refusal(reason: SessionRefusal, address: string): string;
  driver(): SessionDriver;
}

/** The listener that a connection came by. */
export interface AcceptedFrom {
  /** proxies, whose connections must begin with a PROXY header, which is believed */
  proxies?: Networks;
  /** a Unix socket: its peers have no address */
  isUnix?: boolean;
}

export interface SessionServer {
  /** Serves a connection; `implicit` begins with a TLS handshake. */
  accept(socket: Socket, security?: 'none' | 'implicit', from?: AcceptedFrom): void;
  /** sessions that are open */
  readonly sessions: number;
  /** Ends in order: no new session, what is under way is finished. What is still open after `graceMs` is closed. */
  drain(graceMs: number): Promise<void>;
  /** Acts on the time-outs that are due; a timer does it otherwise. */
  sweep(): void;
}

/** connections whose PROXY header has not come yet */
const headersMax = 1_000;
/** the name that sessions of a Unix socket are counted under */
const unixName = 'unix';

/**
 * What the listeners of all line protocols share: PROXY headers, admission, refusals, the set of open sessions, an end in order.
 *
 * Always: a connection is counted under the address that it is served as; a refused one is told so unless it expects TLS.
 */
export const createSessionServer = (options: SessionServerOptions): SessionServer => {
  const { name, gate, counters, log } = options;
  const octetsName = `${name}-octets`;
  const deadlines = createDeadlines({
    clock: options.clock,
    ...(options.sweepEveryMs === undefined ? {} : { everyMs: options.sweepEveryMs }),
  });
  const open = new Map<SessionDriver, Connection>();
  const reading = new Set<Socket>();
  let draining = false;
  let allClosed = (): void => {};

  const refuse = (
    socket: Socket,
    security: 'none' | 'implicit',
    reason: SessionRefusal,
    address: string,
  ): void => {
    socket.on('error', () => {});
    socket.setTimeout(5_000, () => socket.destroy());
    // With TLS from the start a refusal is not worth a handshake.
    if (security === 'implicit') socket.destroy();
    else socket.end(options.refusal(reason, address)).resume();
  };

  const dropped = (reason: string, peer: string): void => {
    counters.count(`${name}-proxy-refused`);
    log.debug(`${name} proxy refused`, { peer, reason });
  };

  const behindProxy = (socket: Socket, security: 'none' | 'implicit', address: string): void => {
    if (reading.size >= headersMax) {
      dropped('too many without a header', address);
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    reading.add(socket);
    readProxied(socket, deadlines, (outcome) => {
      reading.delete(socket);
      if (outcome.kind === 'refused') dropped(outcome.reason, address);
      else if (outcome.source === null) serve(socket, security, { address, port: socket.remotePort ?? 0 });
      else serve(socket, security, outcome.source, address);
    });
  };

  /** @param proxy the address of the proxy whose word `peer` is */
  const serve = (
    socket: Socket,
    security: 'none' | 'implicit',
    peer: { address: string; port: number },
    proxy?: string,
  ): void => {
    if (draining) {
      refuse(socket, security, 'draining', peer.address);
      return;
    }
    const admission = gate.admit(peer.address === '' ? unixName : peer.address);
    if (admission.kind === 'refused') {
      const { reason } = admission;
      counters.count(`${name}-session-refused-${reason}`);
      log.debug(`${name} session refused`, { peer: peer.address, reason });
      refuse(socket, security, reason, peer.address);
      return;
    }
    counters.count(`${name}-session`);
    const driver = options.driver();
    const shaken = ({ version }: { version: string }): void => counters.count(`${name}-tls-${version}`);
    const events: ConnectionEvents = {
      opened: () => {
        if (connection.tls !== null) shaken(connection.tls);
        driver.opened();
      },
      octets: (chunk) => {
        counters.count(octetsName, chunk.length);
        driver.octets(chunk);
      },
      secured: (tls) => {
        shaken(tls);
        driver.secured(tls);
      },
      ended: () => driver.ended(),
      drained: () => driver.drained(),
      expired: (nowMs) => driver.expired(nowMs),
      closed: (cause) => {
        if (cause === 'handshake-failed') counters.count(`${name}-tls-handshake-failed`);
        driver.closed(cause);
        admission.release();
        open.delete(driver);
        if (open.size === 0) allClosed();
      },
    };
    const { tls, alpn } = options;
    const connection = openConnection({
      socket,
      events,
      deadlines,
      security,
      tls,
      alpn,
      peer: { ...peer, proxy: proxy ?? null },
    });
    open.set(driver, connection);
    driver.attach(connection);
  };

  return {
    get sessions() {
      return open.size;
    },
    sweep: () => deadlines.sweep(),
    accept: (socket, security = 'none', { proxies, isUnix = false } = {}) => {
      const { remoteAddress } = socket;
      if (isUnix) {
        serve(socket, security, { address: '', port: 0 });
        return;
      }
      if (remoteAddress === undefined) {
        // The peer was gone before we came to it.
        socket.on('error', () => {});
        socket.destroy();
        return;
      }
      const address = plainAddress(remoteAddress);
      if (proxies?.has(address) === true) behindProxy(socket, security, address);
      else serve(socket, security, { address, port: socket.remotePort ?? 0 });
    },
    drain: async (graceMs) => {
      draining = true;
      const closed = new Promise<void>((resolve) => {
        allClosed = resolve;
      });
      for (const socket of [...reading]) socket.destroy();
      if (open.size === 0) allClosed();
      for (const driver of [...open.keys()]) driver.shutDown();
      const timer = setTimeout(() => {
        for (const connection of [...open.values()]) connection.destroy();
      }, graceMs);
      await closed;
      clearTimeout(timer);
      deadlines.close();
    },
  };
};
