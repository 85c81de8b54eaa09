import type { IncomingHttpHeaders } from 'node:http';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface HttpRequest {
  readonly method: Method;
  /** as sent, percent signs and all, without the query */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** what the route's `:name` and `*name` stood for, decoded */
  readonly params: Readonly<Record<string, string>>;
  readonly peerAddress: string;
  /** ends when the peer is gone or the server closes */
  readonly signal: AbortSignal;
  /**
   * The body in pieces, as they come.
   *
   * @throws {HttpRefusal} 413 beyond the route's `bodyBytesMax`
   */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface HttpReply {
  status: number;
  /** names in lower case; they win over the frame's own */
  headers?: Readonly<Record<string, string>>;
  body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Route {
  /** GET answers HEAD too */
  method: Method;
  /** `/seal/key`, `/seal/:generation/*rest`: `:name` is one segment, `*name` the rest, one segment or more */
  path: string;
  /** octets of a request's body; default 0: a body is refused */
  bodyBytesMax?: number;
  handle(request: HttpRequest): HttpReply | Promise<HttpReply>;
}

/** An answer that a handler throws. The text is for the client. */
export class HttpRefusal extends Error {
  readonly reply: HttpReply;

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text);
    this.name = 'HttpRefusal';
    this.reply = textReply(status, text, headers);
  }
}

export const textReply = (
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpReply => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
  body: `${text}\n`,
});

export type Found =
  | { kind: 'route'; route: Route; params: Record<string, string> }
  | { kind: 'bad-path' }
  | { kind: 'not-found' }
  | { kind: 'wrong-method'; allow: string };

export type FindRoute = (method: string, path: string) => Found;

/** Routes of later parts of the system are added to the list; of two that fit, the first wins. */
export const createRouter = (routes: readonly Route[]): FindRoute => {
  const table = routes.map((route) => ({ route, pattern: route.path.slice(1).split('/') }));
  return (method, path) => {
    const segments = segmentsOf(path);
    if (segments === null) return { kind: 'bad-path' };
    const allowed = new Set<string>();
    for (const { route, pattern } of table) {
      const params = match(pattern, segments);
      if (params === null) continue;
      if (route.method === method || (route.method === 'GET' && method === 'HEAD'))
        return { kind: 'route', route, params };
      allowed.add(route.method);
      if (route.method === 'GET') allowed.add('HEAD');
    }
    if (allowed.size === 0) return { kind: 'not-found' };
    return { kind: 'wrong-method', allow: [...allowed].sort().join(', ') };
  };
};

/**
 * The decoded segments of a path; null for one that tries to mean something else to the next reader: dots, empty segments, encoded
 * slashes, controls, bad encodings.
 */
export const segmentsOf = (path: string): string[] | null => {
  if (!path.startsWith('/')) return null;
  if (path === '/') return [''];
  const segments: string[] = [];
  for (const raw of path.slice(1).split('/')) {
    let segment: string;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return null;
    }
    if (segment === '' || segment === '.' || segment === '..' || /[/\\\p{Cc}]/u.test(segment)) return null;
    segments.push(segment);
  }
  return segments;
};

const match = (pattern: readonly string[], segments: readonly string[]): Record<string, string> | null => {
  const params: Record<string, string> = Object.create(null);
  for (const [at, part] of pattern.entries()) {
    const segment = segments[at];
    if (segment === undefined) return null;
    if (part.startsWith('*')) {
      params[part.slice(1)] = segments.slice(at).join('/');
      return params;
    }
    if (part.startsWith(':')) params[part.slice(1)] = segment;
    else if (part !== segment) return null;
  }
  return pattern.length === segments.length ? params : null;
};
