import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '#base/clock';
import type { Logger } from '#base/logger';
import {
  type Counters,
  createDeadlines,
  type Networks,
  type ProxyOutcome,
  plainAddress,
  readProxied,
  type SessionGate,
} from '#net/connection';
import type { ServerTls } from '#net/tls';
import { createRouter, HttpRefusal, type HttpReply, type Method, type Route, textReply } from './router.ts';

export interface HttpLimits {
  /** request line and header fields together */
  headerBytesMax: number;
  headerFieldsMax: number;
  /** until the header is complete, and until the request is */
  headerMs: number;
  requestMs: number;
  /** between two requests of one connection */
  keepAliveMs: number;
  /** without an octet either way, inside a reply */
  idleMs: number;
  requestsPerConnectionMax: number;
}

export const httpLimits: HttpLimits = {
  headerBytesMax: 16 * 1024,
  headerFieldsMax: 100,
  headerMs: 15_000,
  requestMs: 120_000,
  keepAliveMs: 15_000,
  idleMs: 60_000,
  requestsPerConnectionMax: 1_000,
};

export interface HttpServerOptions {
  routes: readonly Route[];
  /** null for HTTP in clear: for a port that this machine alone reaches */
  tls: ServerTls | null;
  logger: Logger;
  limits?: Partial<HttpLimits>;
  /** counts and refuses connections by address; the same one may serve other listeners */
  gate?: SessionGate;
  counters?: Counters;
  /** proxies, whose connections must begin with a PROXY header, which is believed */
  proxies?: Networks;
}

export interface HttpServer {
  /** to be told to listen, on a port or on an inherited descriptor */
  readonly server: Server | PlainServer;
  /** Takes nothing new, lets running requests end; after `graceMs` without mercy. */
  close(graceMs?: number): Promise<void>;
}

/** connections whose PROXY header has not come yet */
const proxyHeadersMax = 1_000;

/** Every reply has these; a route's own headers win. @source OWASP, HTTP Security Response Headers */
const commonHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** An HTTP server over a list of routes, with TLS or in clear. */
export const createHttpServer = (options: HttpServerOptions): HttpServer => {
  const limits = { ...httpLimits, ...options.limits };
  const find = createRouter(options.routes);
  const closing = new AbortController();

  const settings = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: 1_000,
    requireHostHeader: true,
    insecureHTTPParser: false,
  };
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch((error: unknown) => {
      options.logger.error('HTTP reply failed', { error: String(error) });
      response.destroy();
    });
  };
  const { tls, counters } = options;
  const server =
    tls === null
      ? createPlainServer(settings, take)
      : createServer({ ...tls.serverOptions(['http/1.1']), ...settings }, take);
  server.maxHeadersCount = limits.headerFieldsMax;
  server.maxRequestsPerSocket = limits.requestsPerConnectionMax;
  server.setTimeout(limits.idleMs);
  if (tls !== null) tls.follow(server as Server, ['http/1.1']);

  /** who is behind a proxy's connection, by the connection's own far end: TLS hides the socket from the request */
  const claimed = new Map<string, string>();
  const farEnd = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  const peerAddress = (socket: Socket): string =>
    claimed.get(farEnd(socket)) ?? plainAddress(socket.remoteAddress ?? '');
  server.on('connection', (socket) => {
    const admission = options.gate?.admit(peerAddress(socket));
    counters?.count(
      admission?.kind === 'refused' ? `http-session-refused-${admission.reason}` : 'http-session',
    );
    if (admission?.kind === 'refused') socket.destroy();
    else if (admission !== undefined) socket.once('close', admission.release);
  });
  // a stranger's handshake that fails is no event of ours
  server.on('tlsClientError', (_error: Error, socket: Socket) => {
    counters?.count('http-tls-handshake-failed');
    socket.destroy();
  });
  server.on('secureConnection', (socket: TLSSocket) =>
    counters?.count(`http-tls-${socket.getProtocol() ?? 'unknown'}`),
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') counters?.count('http-timeout');
    else counters?.count(error.code === 'HPE_HEADER_OVERFLOW' ? 'http-line-too-long' : 'http-bad');
    const status =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? '408 Request Timeout'
          : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  });

  const { proxies } = options;
  if (proxies !== undefined && !proxies.isEmpty) {
    // Whoever listens so far, TLS among them, hears of a proxy's connection when its header has been read.
    const inner = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    const deadlines = createDeadlines({ clock: systemClock });
    server.once('close', () => deadlines.close());
    const reading = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      const begin = (outcome: ProxyOutcome): void => {
        reading.delete(socket);
        if (outcome.kind === 'refused') {
          counters?.count('http-proxy-refused');
          options.logger.debug('http proxy refused', { reason: outcome.reason });
          return;
        }
        const key = farEnd(socket);
        if (outcome.source !== null) {
          claimed.set(key, outcome.source.address);
          socket.once('close', () => claimed.delete(key));
        }
        for (const each of inner) each.call(server, socket);
      };
      if (!proxies.has(socket.remoteAddress ?? '')) begin({ kind: 'read', source: null, destination: null });
      else if (reading.size >= proxyHeadersMax) {
        counters?.count('http-proxy-refused');
        socket.destroy();
      } else {
        reading.add(socket);
        readProxied(socket, deadlines, begin);
      }
    });
  }

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const reply = await replyTo(request, AbortSignal.any([gone.signal, closing.signal]));
    counters?.count(`http-reply-${String(reply.status).charAt(0)}xx`);
    await send(request, response, reply, closing.signal.aborted);
  };

  const replyTo = async (request: IncomingMessage, signal: AbortSignal): Promise<HttpReply> => {
    const target = request.url ?? '';
    const queryAt = target.indexOf('?');
    const path = queryAt < 0 ? target : target.slice(0, queryAt);
    const found = find(request.method ?? '', path);
    if (found.kind === 'bad-path') return textReply(400, 'This is not a path.');
    if (found.kind === 'not-found') return textReply(404, 'There is nothing here.');
    if (found.kind === 'wrong-method')
      return textReply(405, `This takes ${found.allow}.`, { allow: found.allow });
    const { route, params } = found;
    const bodyBytesMax = route.bodyBytesMax ?? 0;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (
      announced > bodyBytesMax ||
      (bodyBytesMax === 0 && request.headers['transfer-encoding'] !== undefined)
    )
      return tooLarge(bodyBytesMax).reply;
    try {
      return await route.handle({
        method: (request.method === 'HEAD' ? 'GET' : request.method) as Method,
        path,
        query: new URLSearchParams(queryAt < 0 ? '' : target.slice(queryAt + 1)),
        headers: request.headers,
        params,
        peerAddress: peerAddress(request.socket),
        signal,
        body: bounded(request, bodyBytesMax),
      });
    } catch (error) {
      if (error instanceof HttpRefusal) return error.reply;
      options.logger.error('HTTP request failed', { path: route.path, error: String(error) });
      return textReply(500, 'This failed here; it is not your fault. The log of the server has the reason.');
    }
  };

  return {
    server,
    close: async (graceMs = 5_000) => {
      closing.abort();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
        server.closeIdleConnections();
      });
      clearTimeout(timer);
    },
  };
};

async function* bounded(request: IncomingMessage, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    yield chunk;
  }
}

const tooLarge = (bytesMax: number): HttpRefusal =>
  new HttpRefusal(
    413,
    bytesMax === 0 ? 'This takes no body.' : `A body has at most ${bytesMax} octets here.`,
  );

const send = async (
  request: IncomingMessage,
  response: ServerResponse,
  reply: HttpReply,
  last: boolean,
): Promise<void> => {
  const headers: Record<string, string> = { ...commonHeaders, ...reply.headers };
  // what is left of a body is not read for the sake of the next request
  if (last || !request.complete) headers['connection'] = 'close';
  const { body } = reply;
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    const octets = typeof body === 'string' ? Buffer.from(body, 'utf8') : (body ?? Buffer.alloc(0));
    if (reply.status !== 204 && reply.status !== 304) headers['content-length'] = String(octets.length);
    response.writeHead(reply.status, headers);
    response.end(request.method === 'HEAD' ? undefined : octets);
    return;
  }
  response.writeHead(reply.status, headers);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  try {
    await pipeline(Readable.from(body), response);
  } catch (error) {
    // the header is out: only the end of the connection can still say that this is not all
    response.destroy();
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
};
