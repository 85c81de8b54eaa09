import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { families } from '#net/exposition';
import { LineClient } from './support/line-client.ts';
import { fetchAll } from './support/mail-load.ts';
import { type MetricFamily, parseMetrics } from './support/metrics-text.ts';
import { eventually, rolesOf } from './support/processes.ts';
import { startServer } from './support/server.ts';
import { sendMail } from './support/smtp-client.ts';

// `/metrics` of a real server: what its processes count, on a port of its own.

const server = await startServer();

const get = (
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; type: string; body: string }> =>
  new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port: server.ports.metrics, path, headers, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'] ?? '',
            body,
          }),
        );
      })
      .on('error', reject);
  });

const scrape = async (): Promise<Map<string, MetricFamily>> => {
  const { status, type, body } = await get('/metrics');
  assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8'], body);
  return parseMetrics(body, 'prometheus');
};

const sampleOf = (
  all: Map<string, MetricFamily>,
  name: string,
  labels: Record<string, string> = {},
): number =>
  all
    .get(name)
    ?.samples.find((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )?.value ?? Number.NaN;

test('a mail that came in and was read is counted in every role that it passed; nothing of a person is in a label', async () => {
  await sendMail(
    { port: server.ports.smtp, ca: server.ca },
    { from: 'alice@client.example', to: [server.address], octets: 'Subject: x\r\n\r\nx\r\n' },
  );
  const client = await LineClient.connect(server.ports.smtp);
  await client.until(/^220 .*\r\n/m);
  await client.ask('EHLO probe.client.example\r\n', /^250 .*\r\n/m);
  await client.ask('MAIL FROM:<a@b.example> SIZE=99999999999\r\n', /^552 .*\r\n/m);
  await client.ask('MAIL FROM:<a@b.example>\r\n', /^250 .*\r\n/m);
  await client.ask('RCPT TO:<stranger@elsewhere.example>\r\n', /^550 .*\r\n/m);
  await fetchAll({
    port: server.ports.pop3s,
    ca: server.ca,
    user: server.address,
    password: server.password,
  });
  await eventually('it is under a signed head', async () => {
    const all = await scrape();
    return sampleOf(all, 'fengni_sealer_head_leaves') > 0 && sampleOf(all, 'fengni_messages_total') === 1;
  });
  const all = await scrape();
  const smtp = { protocol: 'smtp' };
  assert.equal(sampleOf(all, 'fengni_sessions_open', smtp), 1);
  assert.equal(sampleOf(all, 'fengni_sessions_total', smtp), 2);
  assert.equal(sampleOf(all, 'fengni_tls_handshakes_total', { ...smtp, version: 'TLSv1.3' }), 1);
  assert.equal(sampleOf(all, 'fengni_messages_total', { ...smtp, outcome: 'accepted' }), 1);
  assert.equal(sampleOf(all, 'fengni_limits_total', { ...smtp, limit: 'size-declared' }), 1);
  assert.equal(sampleOf(all, 'fengni_refused_total', { ...smtp, what: 'recipient' }), 1);
  assert.equal(sampleOf(all, 'fengni_replies_total', { ...smtp, class: '5xx' }), 2);
  assert.ok(sampleOf(all, 'fengni_received_bytes_total', smtp) > 100);
  assert.equal(sampleOf(all, 'fengni_logins_total', { protocol: 'pop3', outcome: 'granted' }), 1);
  assert.ok(sampleOf(all, 'fengni_writer_groups_total') >= 2);
  assert.ok(sampleOf(all, 'fengni_writer_frames_total') > sampleOf(all, 'fengni_writer_groups_total'));
  const syncs = all.get('fengni_writer_sync_seconds')?.samples.at(-1)?.value ?? 0;
  assert.ok(syncs >= sampleOf(all, 'fengni_writer_groups_total'), String(syncs));
  assert.equal(sampleOf(all, 'fengni_sealer_state', { state: 'signing' }), 1);
  assert.ok(sampleOf(all, 'fengni_sealer_head_age_seconds') < 120);
  assert.ok(sampleOf(all, 'fengni_disk_free_bytes') > 0);
  for (const role of ['sealer', 'auth', 'writer', 'mx', 'access', 'web']) {
    assert.equal(sampleOf(all, 'fengni_role_up', { role }), 1, role);
    assert.ok(sampleOf(all, 'fengni_process_resident_memory_bytes', { role }) > 1_000_000, role);
  }
  for (const [name, { type }] of all) assert.equal(families[name as keyof typeof families]?.type, type, name);
  const { body } = await get('/metrics');
  assert.doesNotMatch(body, /example|alice|admin|127\.0\.0\.1|@/);
  client.destroy();
});

test('OpenMetrics for a scraper that asks for it; nothing else is on this port, and nothing of it on the others', async () => {
  const { type, body } = await get('/metrics', { accept: 'application/openmetrics-text;version=1.0.0' });
  assert.equal(type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  parseMetrics(body, 'openmetrics');
  for (const path of ['/', '/healthz', '/seal/key']) assert.equal((await get(path)).status, 404);
});

test('a role that does not answer is marked and not waited for; one that ended is counted', async () => {
  const access = rolesOf(server.pid).get('access') ?? 0;
  process.kill(access, 'SIGSTOP');
  try {
    await eventually(
      'it is marked',
      async () => sampleOf(await scrape(), 'fengni_role_up', { role: 'access' }) === 0,
    );
    const all = await scrape();
    assert.equal(sampleOf(all, 'fengni_role_up', { role: 'mx' }), 1);
    assert.ok(Number.isNaN(sampleOf(all, 'fengni_sessions_open', { protocol: 'imap' })));
  } finally {
    process.kill(access, 'SIGCONT');
  }
  process.kill(access, 'SIGKILL');
  await eventually('it is there again', async () => {
    const all = await scrape();
    return (
      sampleOf(all, 'fengni_role_up', { role: 'access' }) === 1 &&
      sampleOf(all, 'fengni_role_restarts_total', { role: 'access' }) === 1
    );
  });
});

test('a hundred scrapers at once cost the roles one question', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => get('/metrics')));
  for (const { status, body } of answers) {
    assert.equal(status, 200);
    parseMetrics(body, 'prometheus');
  }
  assert.ok(new Set(answers.map(({ body }) => body)).size <= 10);
});
