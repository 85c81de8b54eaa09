import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { eventually } from './support/processes.ts';
import {
  fengniAs,
  makePlaces,
  needsRoot,
  type RunningProcess,
  sealerUser,
  serverUser,
  startSealer,
} from './support/sealer-process.ts';
import { makeFolder, ServeProcess } from './support/serve-process.ts';
import { sendMail } from './support/smtp-send.ts';

// Each fault is planted, and `fengni status` says which it is and what to do: for people in both languages, for programs by a code.
// docs/operate/incident.md shows these sentences.

interface Told {
  good: boolean;
  writer: { sealer: string; sealerReason: string | null; sealedLeafCount: number; generation: number } | null;
  faults: { code: string; todo: string }[];
}

test('status tells the fault and what to do: sealer down, without memory, copied, put back; disk; log damaged, rolled back', async (t) => {
  if (!needsRoot(t)) return;
  const places = makePlaces();
  const { data, state, socket } = places;
  const configs = makeFolder();
  const config = path.join(configs, 'fengni.toml');
  fs.writeFileSync(config, `[sealer]\nsocket = "${socket}"\n`);
  const small = path.join(configs, 'small-disk.toml');
  fs.writeFileSync(small, `[sealer]\nsocket = "${socket}"\n[limits]\nfree_min = "1024GiB"\n`);
  const run = (args: readonly string[], lang?: string) =>
    fengniAs(serverUser, [...args, '--data', data], lang);
  const command = (...args: string[]) => run([...args, '--config', config]);

  let sealer: RunningProcess = startSealer(places);
  const restart = async (from = places): Promise<void> => {
    sealer.child.kill('SIGKILL');
    await sealer.ended;
    sealer = startSealer(from);
    await sealer.ready;
  };
  await sealer.ready;
  const serve = new ServeProcess({ data, uid: serverUser.uid, toml: `[sealer]\nsocket = "${socket}"` });
  const { smtp = 0 } = await serve.ready();
  const send = async (): Promise<void> => {
    const octets = 'Subject: x\r\n\r\nx\r\n';
    assert.match(await sendMail({ port: smtp, to: 'admin@fengni.test', octets }), /^250/, 'mail flows');
  };
  const told = async (file = config): Promise<Told> => {
    const { stdout } = await run(['status', '--json', '--config', file]);
    return JSON.parse(stdout) as Told;
  };
  /** The code comes, the sentences in both languages, and mail flows all the while. */
  const assertFault = async (
    code: string,
    english: RegExp,
    chinese: RegExp,
    file = config,
  ): Promise<void> => {
    await send();
    await eventually(
      code,
      async () => (await told(file)).faults.some((fault) => fault.code === code),
      60_000,
    );
    assert.equal((await told(file)).good, false);
    for (const [lang, words] of [
      ['C.UTF-8', english],
      ['zh_CN.UTF-8', chinese],
    ] as const) {
      const shown = await run(['status', '--config', file], lang);
      assert.equal(shown.status, 1);
      assert.match(shown.stdout, words);
      t.diagnostic(`${code}\n${shown.stdout.replace(/process \d+|进程 \d+/, 'process').trimEnd()}`);
    }
  };

  await send();
  await eventually('a head', async () => ((await told()).writer?.sealedLeafCount ?? 0) > 3);
  assert.deepEqual([(await told()).good, (await told()).faults], [true, []]);
  await assertFault('disk-nearly-full', /NEARLY FULL: \d+ MiB free.*452/, /将满：剩余 \d+ MiB/, small);

  sealer.child.kill('SIGKILL');
  await sealer.ended;
  await assertFault(
    'sealer-down-ipc-unreachable',
    /DOWN[\s\S]*one step catches up/,
    /停止[\s\S]*一步即可补上/,
  );

  const memory = fs.readFileSync(path.join(state, 'state'));
  fs.rmSync(path.join(state, 'state'));
  await restart();
  await assertFault(
    'sealer-refuses-sealer-state-lost',
    /REFUSES: sealer-state-lost[\s\S]*never put an older copy back/,
    /拒绝签名[\s\S]*切勿放回旧的副本/,
  );
  fs.writeFileSync(path.join(state, 'state'), memory, { mode: 0o600 });
  fs.chownSync(path.join(state, 'state'), sealerUser.uid, sealerUser.gid);

  const copy = `${state}-copy`;
  fs.cpSync(state, copy, { recursive: true });
  for (const name of ['', ...fs.readdirSync(copy)])
    fs.chownSync(path.join(copy, name), sealerUser.uid, sealerUser.gid);
  fs.chmodSync(copy, 0o700);
  await restart({ ...places, state: copy });
  await assertFault('sealer-refuses-copied', /REFUSES: copied[\s\S]*start the original/, /副本什么也不签/);

  // The right folder again: one step catches up, and all is well.
  await restart();
  await send();
  await eventually('it signs again', async () => (await told()).good, 60_000);
  sealer.child.kill('SIGKILL');
  await sealer.ended;
  const since = fs.readFileSync(path.join(state, 'state'));
  fs.writeFileSync(path.join(state, 'state'), memory);
  await restart();
  await assertFault(
    'sealer-refuses-rolled-back',
    /REFUSES: rolled-back[\s\S]*find out who did it/,
    /拒绝签名：rolled-back[\s\S]*请查明是谁所为/,
  );

  // A server that does not run: why it would not start.
  assert.equal((await serve.stop()).status, 0);
  fs.writeFileSync(path.join(state, 'state'), since);
  await restart();
  const stopped = await command('status');
  assert.deepEqual([stopped.status, stopped.stdout], [3, '']);
  assert.match(stopped.stderr, /No server runs on this data folder/);
  const segment = path.join(data, 'segments', fs.readdirSync(path.join(data, 'segments'))[0] ?? '');
  const whole = fs.readFileSync(segment);
  const damaged = Buffer.from(whole);
  damaged[700] = (damaged[700] ?? 0) ^ 1;
  for (const [octets, words] of [
    [damaged, /The log was changed or damaged[\s\S]*What to do: /],
    [
      whole.subarray(0, 2_048),
      /older than what was signed|The log was changed or damaged[\s\S]*What to do: /,
    ],
  ] as const) {
    fs.writeFileSync(segment, octets);
    const { status, stderr } = await command('status');
    assert.equal(status, 3);
    assert.match(stderr, words);
    t.diagnostic(stderr.trimEnd());
  }
  fs.writeFileSync(segment, whole);
  assert.match((await command('status')).stderr, /No server runs on this data folder/, 'nothing was written');

  // The memory is put back for good: a new generation, which only the sealer's side permits.
  sealer.child.kill('SIGKILL');
  await sealer.ended;
  fs.writeFileSync(path.join(state, 'state'), memory);
  sealer = startSealer(places);
  await sealer.ready;
  const before = fs.readdirSync(path.join(data, 'segments'));
  const denied = await command('log', 'new-generation');
  assert.equal(denied.status, 3);
  assert.match(
    denied.stderr,
    /no permission to begin another generation[\s\S]*What to do: on the sealer's side, as its user/,
  );
  assert.deepEqual(fs.readdirSync(path.join(data, 'segments')), before);
  const allowed = await fengniAs(sealerUser, ['sealer', 'allow', 'new-generation', '--state', state]);
  assert.match(allowed.stdout, /^Permitted once, until .*fengni log new-generation\n$/);
  const begun = await command('log', 'new-generation');
  assert.equal(begun.status, 0, begun.stderr);
  assert.match((await command('log', 'key')).stdout, /g1\+\S+ seq 1-\d+\n\S+g2\+\S+ seq \d+-\n$/);
  const verified = await command('verify');
  assert.equal(verified.status, 0, verified.stdout);
  sealer.child.kill('SIGTERM');
  await sealer.ended;
});
