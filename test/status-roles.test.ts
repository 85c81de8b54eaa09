import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, rolesOf } from './support/processes.ts';
import { startServer } from './support/server.ts';
import { sendMail } from './support/smtp-send.ts';

// What `fengni status` says of a role that is gone or hangs, on a local start, where the sealer is a role like the others.

interface Told {
  good: boolean;
  roles: Record<string, number>;
  writer: { sealer: string; sealedLeafCount: number; leafCount: number } | null;
  faults: { code: string }[];
}

const patientMs = 120_000;

test('status names a sealer that hangs and a role that keeps dying; mail flows, and when they are back all is good', async (t) => {
  const server = await startServer();
  const told = async (): Promise<Told> =>
    JSON.parse((await server.fengni(['status', '--json'])).stdout) as Told;
  const send = async (): Promise<void> => {
    const octets = 'Subject: x\r\n\r\nx\r\n';
    assert.match(await sendMail({ port: server.ports.smtp, to: server.address, octets }), /^250/);
  };
  const codes = async (): Promise<string[]> => (await told()).faults.map(({ code }) => code);
  await send();
  await eventually('all is good', async () => (await told()).good, patientMs);

  await t.test('a sealer that hangs (SIGSTOP)', async () => {
    const pid = (await told()).roles['sealer'] ?? 0;
    assert.ok(pid > 0);
    process.kill(pid, 'SIGSTOP');
    try {
      await send();
      await eventually(
        'the status says that the sealer does not answer',
        async () => (await codes()).join() === 'sealer-down-no-answer',
        patientMs,
      );
      const shown = await server.fengni(['status']);
      assert.equal(shown.status, 1);
      await send();
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await eventually(
      'one head covers what came meanwhile',
      async () => {
        const { good, writer } = await told();
        return good && writer?.sealer === 'signing';
      },
      patientMs,
    );
  });

  await t.test('a role that is killed whenever it comes back', async () => {
    let isKilling = true;
    const killing = (async () => {
      while (isKilling) {
        const pid = rolesOf(server.pid).get('web');
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    try {
      await eventually(
        'the status names the role',
        async () => (await codes()).includes('role-missing-web'),
        patientMs,
      );
      const shown = await server.fengni(['status'], { lang: 'zh_CN.UTF-8' });
      assert.equal(shown.status, 1);
      await send();
    } finally {
      isKilling = false;
      await killing;
    }
    await eventually('it is back', async () => (await told()).good, patientMs);
  });
  assert.equal(await server.stop(), 0);
});
