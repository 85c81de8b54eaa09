import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { base64, parseCheckpoint, parseVerifierKey, verifyNote } from '#trust/seal';
import { eventually } from './support/processes.ts';
import {
  fengniAs,
  makePlaces,
  needsRoot,
  type Places,
  sealerUser,
  serverUser,
  startAs,
  startSealer,
} from './support/sealer-process.ts';
import { ServeProcess } from './support/serve-process.ts';
import { sendMail } from './support/smtp-send.ts';

// The writer is taken over: its user, all its code, its files and the sealer's socket are an attacker's (support/sealer-attacker.ts). Nobody
// gets a second head of the same size, a smaller tree or a fork signed in one generation, nor another generation by himself.

const attacker = path.resolve(import.meta.dirname, 'support/sealer-attacker.ts');

interface Haul {
  got: Record<string, unknown>;
  notes: string[];
  size: number;
  root: string;
}

/** A server that ran and signed a few heads; it has ended, and its writer's rights are somebody else's. */
const takenOver = async (places: Places): Promise<void> => {
  const serve = new ServeProcess({
    data: places.data,
    uid: serverUser.uid,
    toml: `[sealer]\nsocket = "${places.socket}"`,
  });
  const { smtp = 0 } = await serve.ready();
  for (let number = 0; number < 4; number++)
    await sendMail({ port: smtp, to: 'admin@fengni.test', octets: `Subject: ${number}\r\n\r\nx\r\n` });
  assert.equal((await serve.stop()).status, 0);
};

const attack = async ({ socket, data, state }: Places, act: string): Promise<Haul> => {
  const { status, stdout, stderr } = await startAs(serverUser, [
    process.execPath,
    attacker,
    socket,
    data,
    state,
    act,
  ]).ended;
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Haul;
};

/** Whatever was signed, over all attempts: one root for a size of a generation, each by the generation's key. */
const assertOneHistory = (notes: readonly string[], keys: string): Map<string, string> => {
  const roots = new Map<string, string>();
  const known = keys
    .trimEnd()
    .split('\n')
    .map((line) => parseVerifierKey(line.split(' ')[0] ?? ''));
  for (const note of notes) {
    const signed = parseCheckpoint(Buffer.from(note, 'latin1'));
    const place = `${signed.origin} ${signed.size}`;
    assert.equal(roots.get(place) ?? base64(signed.root), base64(signed.root), `two heads of ${place}`);
    roots.set(place, base64(signed.root));
    const key = known.find(({ name }) => name === signed.origin);
    if (key !== undefined) assert.equal(verifyNote(signed.note, key).kind, 'signed');
  }
  return roots;
};

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;

test('with the writer’s rights and all its code nobody gets a second history signed', async (t) => {
  if (!needsRoot(t)) return;
  const places = makePlaces();
  const sealer = startSealer(places);
  await sealer.ready;
  await takenOver(places);
  const keys = fs.readFileSync(path.join(places.data, 'ledger/keys'), 'utf8');
  const { got, notes, size, root } = await attack(places, 'before');

  const { frames, 'wrong requests': wrong, races, ...rest } = got;
  assert.deepEqual(rest, {
    'the same size, other leaves': 'fork',
    'the same size, another last leaf': 'fork',
    'a smaller tree': 'shrink',
    'no leaves': 'shrink',
    'a fork at an older size': 'root-mismatch',
    'a fork at the first leaf': 'root-mismatch',
    'a root that the entries do not give': 'root-mismatch',
    ...Object.fromEntries(
      [
        'a link to the sealer’s key',
        'a link to zeros without end',
        'a link to a good bundle',
        'a FIFO',
        'a folder',
        'a gigabyte',
        'an empty file',
        'nothing',
      ].flatMap((name) => [
        [name, 'entries-unreadable'],
        [`${name}: answered in time`, true],
      ]),
    ),
    'five thousand names': 'entries-unreadable',
    'a folder for a checkpoint': 'signed',
    'prepare, loss true': 'not-allowed',
    'handover, loss true': 'not-allowed',
    'handover to another log, loss true': 'other-origin',
    'prepare, loss false': 'not-allowed',
    'handover, loss false': 'not-allowed',
    'handover to another log, loss false': 'other-origin',
    'create again': 'generation-used',
    'create the next': 'generation-used',
    'the same head again': 'signed',
    replayed: 1,
    'behind 300 silent connections': 'signed',
    'beside one that reads nothing': 'signed',
    'at the end': 'signed',
  });
  assert.deepEqual(frames, {
    'a length of nothing': 'closed',
    'four gigabytes': 'closed',
    'a larger frame than any request': 'closed',
    'no JSON': 'closed',
    'an answer': 'closed',
    'a kind that is none': 'closed',
    'half a frame': 'open',
    'deep JSON': 'closed',
    noise: 'closed',
  });
  for (const [name, outcome] of Object.entries(wrong as object))
    assert.match(outcome, /^(?:ipc-handler-failed|ipc-method-unknown)$/, name);
  // Leaves behind the head are the writer's to write: one continuation was signed, the others are forks of it.
  for (const outcome of races as string[])
    assert.match(outcome, /^(?:signed|fork|shrink|root-mismatch|entries-unreadable)$/);
  const roots = assertOneHistory(notes, keys);
  assert.equal(roots.get(`mail.fengni.test/fengni/s0/g1 ${size}`) ?? root, root, 'the head from before');
  t.diagnostic(
    `races ended in ${(races as string[]).join(', ')}; ${notes.length} notes, ${roots.size} heads`,
  );

  const rss = residentMiB(sealer.child.pid ?? 0);
  t.diagnostic(`resident memory of the sealer: ${rss.toFixed(0)} MiB`);
  assert(rss < 250, `${rss} MiB`);
  sealer.child.kill('SIGTERM');
  const { status, stderr } = await sealer.ended;
  assert.equal(status, 0);
  assert.doesNotMatch(stderr, /PRIVATE/, 'no key in the log');
});

test('a permission for a rotation gives the attacker that rotation, once, and no second history', async (t) => {
  if (!needsRoot(t)) return;
  const places = makePlaces();
  const sealer = startSealer(places);
  await sealer.ready;
  await takenOver(places);
  const keys = fs.readFileSync(path.join(places.data, 'ledger/keys'), 'utf8');
  const asServer = await fengniAs(serverUser, ['sealer', 'allow', 'rotation', '--state', places.state]);
  assert.equal(asServer.status, 3, 'the server’s user permits nothing');
  const allowed = await fengniAs(sealerUser, ['sealer', 'allow', 'rotation', '--state', places.state]);
  assert.equal(allowed.status, 0, allowed.stderr);
  const next = allowed.stdout.trimEnd().split('\n').at(-1) ?? '';
  const { got, notes } = await attack(places, 'rotation');
  assert.deepEqual(got, {
    'a loss instead': 'not-allowed',
    'another name': 'other-origin',
    'a later one': 'other-generation',
    'without the leaf': 'no-handover-leaf',
    'a fork that ends with the leaf': 'root-mismatch',
    'the leaf without a head': 'no-handover-leaf',
    'the head over the leaf': 'signed',
    'the handover': 'signed',
    'the old generation goes on': 'other-generation',
    'the old generation begins again': 'generation-used',
    'the next one at once': 'not-allowed',
    'a new generation without its genesis': 'no-genesis-leaf',
  });
  assertOneHistory(notes, `${keys}${next}\n`);
  assert.deepEqual(
    fs
      .readdirSync(places.state)
      .filter((name) => !name.startsWith('lock'))
      .sort(),
    ['g2.key', 'state'],
    'the old key is destroyed',
  );
  sealer.child.kill('SIGTERM');
  await sealer.ended;
});

test('killed at any moment while it is asked: the same head again, and no other', async (t) => {
  if (!needsRoot(t)) return;
  const places = makePlaces();
  let sealer = startSealer(places);
  await sealer.ready;
  const serve = new ServeProcess({
    data: places.data,
    uid: serverUser.uid,
    toml: `[sealer]\nsocket = "${places.socket}"`,
  });
  const { smtp = 0 } = await serve.ready();
  const notes = new Set<string>();
  const published = path.join(places.data, 'ledger/g1/checkpoint');
  for (let round = 0; round < 5; round++) {
    const sent = sendMail({ port: smtp, to: 'admin@fengni.test', octets: `Subject: ${round}\r\n\r\nx\r\n` });
    // Heads follow within a second of a message: somewhere in between.
    await new Promise((resolve) => setTimeout(resolve, 150 + round * 60));
    sealer.child.kill('SIGKILL');
    await sealer.ended;
    assert.match(await sent, /^250/, 'mail flows');
    sealer = startSealer(places);
    await sealer.ready;
    const before = notes.size;
    await eventually('a head', () => {
      if (fs.existsSync(published)) notes.add(fs.readFileSync(published, 'latin1'));
      return notes.size > before;
    });
  }
  assertOneHistory([...notes], fs.readFileSync(path.join(places.data, 'ledger/keys'), 'utf8'));
  assert.equal((await serve.stop()).status, 0);
  const verified = await fengniAs(serverUser, ['verify', '--data', places.data]);
  assert.equal(verified.status, 0, verified.stdout);
  sealer.child.kill('SIGTERM');
  await sealer.ended;
});
