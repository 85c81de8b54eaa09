import assert from 'node:assert/strict';
import { request } from 'node:https';
import { type AddressInfo, createConnection } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { type Clock, systemRandom as random, systemClock } from '#base/clock';
import { createLogger, silentLogger } from '#base/logger';
import { createCounters, createSessionGate, networksOf, sessionGateDefaults } from '#net/connection';
import {
  createLocalAuthority,
  createServerTls,
  issueServerCertificate,
  newTicketKeys,
  readCertificate,
} from '#net/tls';
import { acceptedLanguage } from './home-route.ts';
import {
  createHttpServer,
  createRouter,
  HttpRefusal,
  type HttpServerOptions,
  healthRoutes,
  homeRoute,
  type Route,
  sealRoutes,
  textReply,
} from './index.ts';
import { run, seeds } from './router.fuzz.ts';

const nowMs = Date.now();
const authority = createLocalAuthority({ domains: ['localhost'], nowMs, random });
const pair = issueServerCertificate({ authority, names: ['localhost', '127.0.0.1'], nowMs, random });
const certificates = [readCertificate({ name: 'test', ...pair }, nowMs)];

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  octets: Buffer;
}

const served = async (t: TestContext, routes: Route[], more: Partial<HttpServerOptions> = {}) => {
  const tls = createServerTls({ certificates, ticketKeys: newTicketKeys(random) });
  const http = createHttpServer({ routes, tls, logger: silentLogger, ...more });
  await new Promise<void>((resolve) => http.server.listen(0, '127.0.0.1', resolve));
  t.after(() => http.close(0));
  const port = (http.server.address() as AddressInfo).port;
  const ask = (
    path: string,
    options: {
      method?: string;
      headers?: Record<string, string>;
      body?: string | Buffer;
      chunked?: boolean;
    } = {},
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { method = 'GET', headers = {}, body, chunked = false } = options;
      const asked = request(
        { host: '127.0.0.1', port, path, method, headers, ca: authority.cert, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const octets = Buffer.concat(chunks);
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: octets.toString(),
              octets,
            });
          });
        },
      );
      asked.on('error', reject);
      if (chunked && body !== undefined) {
        asked.write(body);
        asked.end();
      } else asked.end(body);
    });
  /** Octets as they are; what comes back until the server closes. */
  const raw = (octets: string): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect({ host: '127.0.0.1', port, ca: authority.cert }, () => socket.write(octets));
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(text));
    });
  return { http, port, ask, raw };
};

test('routes are found by method and path; of two the first wins; another method is told what there is', () => {
  const named = (path: string, method: Route['method'] = 'GET'): Route => ({
    method,
    path,
    handle: () => textReply(200, path),
  });
  const find = createRouter([
    ...[named('/'), named('/a/b'), named('/a/:x'), named('/a/:x', 'POST'), named('/t/:g/*rest')],
  ]);
  const found = (method: string, path: string) => {
    const result = find(method, path);
    return result.kind === 'route' ? [result.route.path, { ...result.params }] : result;
  };
  assert.deepEqual(found('GET', '/'), ['/', {}]);
  assert.deepEqual(found('HEAD', '/a/b'), ['/a/b', {}]);
  assert.deepEqual(found('GET', '/a/%E5%B0%81'), ['/a/:x', { x: '封' }]);
  assert.deepEqual(found('GET', '/t/1/x/y'), ['/t/:g/*rest', { g: '1', rest: 'x/y' }]);
  assert.deepEqual(found('GET', '/t/1'), { kind: 'not-found' });
  assert.deepEqual(found('GET', '/a/b/c'), { kind: 'not-found' });
  assert.deepEqual(found('DELETE', '/a/b'), { kind: 'wrong-method', allow: 'GET, HEAD, POST' });
  for (const path of [
    '',
    'a',
    '//',
    '/a/',
    '/a//b',
    '/./a',
    '/a/../b',
    '/%2e%2e/b',
    '/a%2fb',
    '/a%5cb',
    '/a%00',
    '/%',
    '/%ff',
  ])
    assert.deepEqual(found('GET', path), { kind: 'bad-path' }, path);
  for (const seed of seeds) run(seed);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (tail) => run(Buffer.concat([Buffer.from('/'), tail]))),
  );
});

test('every reply, errors too, has the security headers and is not cached unless its route says so', async (t) => {
  const { ask } = await served(t, healthRoutes({ ready: () => true }));
  for (const path of ['/healthz', '/missing', '/a/../b']) {
    const { headers } = await ask(path);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-powered-by'] ?? headers['server'], undefined);
  }
});

test('health says ok, readiness says whether', async (t) => {
  let ready = false;
  const { ask } = await served(t, healthRoutes({ ready: () => ready }));
  assert.deepEqual([(await ask('/healthz')).status, (await ask('/readyz')).status], [200, 503]);
  ready = true;
  assert.equal((await ask('/readyz')).body, 'ready\n');
  const head = await ask('/readyz', { method: 'HEAD' });
  assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '6']);
  assert.deepEqual([(await ask('/readyz', { method: 'POST' })).headers['allow']], ['GET, HEAD']);
});

test('a body has at most what its route allows, announced or not', async (t) => {
  const echo: Route = {
    method: 'POST',
    path: '/echo',
    bodyBytesMax: 10,
    handle: async ({ body }) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of body) pieces.push(piece);
      return { status: 200, body: Buffer.concat(pieces) };
    },
  };
  const { ask } = await served(t, [
    echo,
    { method: 'POST', path: '/none', handle: () => textReply(200, '') },
  ]);
  for (const chunked of [false, true]) {
    assert.equal((await ask('/echo', { method: 'POST', body: '0123456789', chunked })).body, '0123456789');
    assert.equal((await ask('/echo', { method: 'POST', body: '0123456789a', chunked })).status, 413);
    assert.equal((await ask('/none', { method: 'POST', body: 'x', chunked })).status, 413);
  }
});

test('a handler’s refusal is said, its failure is not', async (t) => {
  const lines: string[] = [];
  const logger = createLogger({
    clock: systemClock,
    level: 'info',
    form: 'json',
    write: (line) => lines.push(line),
  });
  const routes: Route[] = [
    {
      method: 'GET',
      path: '/refused',
      handle: () => {
        throw new HttpRefusal(429, 'Later.', { 'retry-after': '5' });
      },
    },
    {
      method: 'GET',
      path: '/failed',
      handle: () => {
        throw new Error('secret path /var/x');
      },
    },
  ];
  const { ask } = await served(t, routes, { logger });
  const refused = await ask('/refused');
  assert.deepEqual([refused.status, refused.body, refused.headers['retry-after']], [429, 'Later.\n', '5']);
  const failed = await ask('/failed');
  assert.equal(failed.status, 500);
  assert.doesNotMatch(failed.body, /secret/);
  assert.match(lines.join(''), /HTTP request failed.*secret/);
});

test('a reply that fails inside its body ends the connection instead of looking whole', async (t) => {
  const broken: Route = {
    method: 'GET',
    path: '/broken',
    handle: () => ({
      status: 200,
      body: (async function* () {
        yield Buffer.from('first');
        throw new Error('disk');
      })(),
    }),
  };
  const { ask } = await served(t, [broken]);
  await assert.rejects(ask('/broken'));
});

test('header fields beyond the limit, bare LF, smuggling and other protocols are refused (RFC 9112 §6.3, §11.2)', async (t) => {
  const { raw } = await served(t, healthRoutes({ ready: () => true }), { limits: { headerBytesMax: 2_000 } });
  const close = 'Connection: close\r\n';
  assert.match(await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\n${close}\r\n`), /^HTTP\/1\.1 200 /);
  assert.match(
    await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(3_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  );
  for (const wrong of [
    `GET /healthz HTTP/1.1\r\n${close}\r\n`,
    `GET /healthz HTTP/1.1\nHost: x\n${close}\n`,
    `GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'EHLO x\r\n\r\n',
  ])
    assert.match(await raw(wrong), /^HTTP\/1\.1 400 /, wrong);
});

test('connections beyond the gate are closed, and counted off when they end', async (t) => {
  const settings = { ...sessionGateDefaults, trusted: [], sessionsPerSecondMax: 3 };
  const gate = createSessionGate(settings, { nowMs: () => 0, monotonicMs: () => 0 });
  const counters = createCounters();
  const { ask } = await served(t, healthRoutes({ ready: () => true }), { gate, counters });
  for (let count = 0; count < 3; count++) assert.equal((await ask('/healthz')).status, 200);
  await assert.rejects(ask('/healthz'));
  assert.equal(counters.value('http-session'), 3);
  assert.equal(counters.value('http-session-refused-too-many-a-second'), 1);
  assert.equal(counters.value('http-reply-2xx'), 3);
  while (gate.sessions > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('a proxy without a PROXY header that can be read is closed without a word and counted', async (t) => {
  const counters = createCounters();
  const proxies = networksOf(['127.0.0.1']);
  const { port, ask } = await served(t, healthRoutes({ ready: () => true }), { counters, proxies });
  await assert.rejects(ask('/healthz'), 'a TLS hello is no PROXY header');
  const socket = createConnection(port, '127.0.0.1', () => socket.write('PROXY TCP4 nonsense\r\n'));
  await new Promise((resolve) =>
    socket
      .resume()
      .on('error', () => {})
      .on('close', resolve),
  );
  assert.equal(socket.bytesRead, 0);
  assert.equal(counters.value('http-proxy-refused'), 2);
  assert.equal(counters.value('http-session'), 0);
});

test('close lets a running request end and takes no new one', async (t) => {
  const begun = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const slow: Route = {
    method: 'GET',
    path: '/slow',
    handle: async ({ signal }) => {
      begun.resolve();
      await finish.promise;
      return textReply(200, signal.aborted ? 'told' : 'not told');
    },
  };
  const { ask, http } = await served(t, [slow]);
  const answer = ask('/slow');
  await begun.promise;
  const closed = http.close();
  await assert.rejects(ask('/slow'));
  finish.resolve();
  const { body, headers } = await answer;
  assert.deepEqual([body, headers['connection']], ['told\n', 'close']);
  await closed;
});

const tile = Buffer.alloc(256 * 32, 7);
const ledger = () => {
  const asked: string[] = [];
  const files = new Map<string, Buffer>([
    ['1 checkpoint', Buffer.from('head 1')],
    ['1 tile/0/000', tile],
    ['1 tile/0/x001/234.p/7', tile.subarray(0, 7 * 32)],
    ['1 tile/1/000.p/2', tile.subarray(0, 5)],
  ]);
  let time = 0;
  const clock: Clock = { nowMs: () => time, monotonicMs: () => time };
  const routes = sealRoutes({
    clock,
    read: async (generation, path) => {
      asked.push(`${generation} ${path}`);
      return files.get(`${generation} ${path}`) ?? null;
    },
    keys: async () => 'key seq 1-\n',
  });
  return { asked, files, routes, pass: (ms: number) => (time += ms) };
};

test('hash tiles are public and, when full, cached for good (C2SP tlog-tiles)', async (t) => {
  const { ask } = await served(t, ledger().routes);
  const full = await ask('/seal/g1/tile/0/000');
  assert.ok(full.octets.equals(tile));
  assert.match(String(full.headers['cache-control']), /immutable/);
  assert.equal(full.headers['content-type'], 'application/octet-stream');
  const partial = await ask('/seal/g1/tile/0/x001/234.p/7');
  assert.equal(partial.octets.length, 7 * 32);
  assert.doesNotMatch(String(partial.headers['cache-control']), /immutable/);
  assert.equal((await ask('/seal/key')).body, 'key seq 1-\n');
  assert.equal((await ask('/seal/g1/tile/0/001')).status, 404);
  assert.equal((await ask('/seal/g1/tile/1/000.p/2')).status, 500);
});

test('entries are refused with a sentence, and nothing but checkpoint and tiles is ever read', async (t) => {
  const { asked, routes } = ledger();
  const { ask } = await served(t, routes);
  const entries = await ask('/seal/g1/tile/entries/000');
  assert.deepEqual([entries.status, /auditors/.test(entries.body)], [403, true]);
  for (const path of [
    ...[
      '/seal/g0/checkpoint',
      '/seal/g01/checkpoint',
      '/seal/1/checkpoint',
      '/seal/g1/checkpoint/',
      '/seal/g1/x',
    ],
    ...['/seal/g1/tile/0/1', '/seal/g1/tile/0/x000/001', '/seal/g1/tile/64/000', '/seal/g1/tile/0/000.p/256'],
    ...['/seal/g1/tile/0/000.p/07', '/seal/g1/../g1/checkpoint', '/seal/g1/tile/0/..%2f..%2fsecrets.db'],
    ...[
      '/seal/g1/%63heckpoint',
      '/seal/g1%2fcheckpoint',
      '/seal/g1/tile/0/000%00',
      '/seal/g1/tile/00/000',
      '/seal/g1',
    ],
  ]) {
    const { status } = await ask(path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
  }
  assert.deepEqual(asked, []);
});

test('the public checkpoint moves once a minute', async (t) => {
  const { files, pass, routes } = ledger();
  const { ask } = await served(t, routes);
  const first = await ask('/seal/g1/checkpoint');
  assert.deepEqual([first.body, first.headers['cache-control']], ['head 1', 'public, max-age=60']);
  files.set('1 checkpoint', Buffer.from('head 2'));
  pass(59_000);
  const second = await ask('/seal/g1/checkpoint');
  assert.deepEqual([second.body, second.headers['cache-control']], ['head 1', 'public, max-age=1']);
  pass(1_000);
  assert.equal((await ask('/seal/g1/checkpoint')).body, 'head 2');
  assert.equal((await ask('/seal/g2/checkpoint')).status, 404);
});

test('the first page is there in Chinese and English, without a link that leads nowhere', async (t) => {
  const home = homeRoute({
    hostname: 'mail.fengni.test<script>',
    services: [{ name: 'IMAP', port: 2993, security: 'TLS' }],
    localAuthority: true,
    generation: async () => 1,
  });
  const { ask } = await served(t, [home, ...ledger().routes]);
  const english = await ask('/');
  assert.match(english.body, /<html lang="en">/);
  assert.match(english.body, /2993/);
  assert.doesNotMatch(english.body, /<script>/);
  const chinese = await ask('/', { headers: { 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' } });
  assert.match(chinese.body, /<html lang="zh-Hans">[\s\S]*邮件客户端/);
  assert.equal(chinese.headers['vary'], 'accept-language');
  assert.match((await ask('/?lang=zh')).body, /zh-Hans/);
  for (const page of [english, chinese])
    for (const [, href = ''] of page.body.matchAll(/href="([^"]+)"/g))
      assert.equal((await ask(href)).status, 200, href);
  assert.match(String(english.headers['content-security-policy']), /style-src 'sha256-/);
});

test('the language is the one that weighs more (RFC 9110 §12.5.4)', () => {
  for (const field of ['zh', 'zh-TW', 'fr, zh;q=0.5', 'en;q=0.8, zh;q=0.8', 'ZH-cn'])
    assert.equal(acceptedLanguage(field), 'zh');
  for (const field of ['', 'en', 'zh;q=0.5, en', 'zh;q=0', 'zha', '*', 'fr'])
    assert.equal(acceptedLanguage(field), 'en');
});
