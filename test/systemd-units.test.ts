import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { services } from '../src/app/config/services.ts';
import { needPrograms } from './support/debian.ts';

const root = path.resolve(import.meta.dirname, '..');
const units = path.join(root, 'deploy/systemd');
const names = fs.readdirSync(units);
const textOf = (name: string): string => fs.readFileSync(path.join(units, name), 'utf8');
const values = (name: string, key: string): string[] =>
  [...textOf(name).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

test('systemd has nothing to say about the units', () => {
  needPrograms('systemd-analyze');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-units-'));
  try {
    // Where they say /opt/fengni, this checkout is.
    for (const name of names)
      fs.writeFileSync(
        path.join(folder, name),
        textOf(name).replaceAll('/opt/fengni/fengni', path.join(root, 'fengni')),
      );
    const { status, stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', ...names.map((name) => path.join(folder, name))],
      { encoding: 'utf8' },
    );
    assert.deepEqual([status, stdout + stderr], [0, '']);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('each socket unit names a listener, on the standard port, one socket an address family', () => {
  const ports: Record<string, number> = { smtp: 25, imaps: 993, pop3s: 995, https: 443 };
  const sockets = names.filter((name) => name.endsWith('.socket'));
  assert.equal(sockets.length, Object.keys(ports).length);
  for (const name of sockets) {
    const [listener = ''] = values(name, 'FileDescriptorName');
    assert.equal(name, `fengni-${listener}.socket`);
    assert.ok(listener in services && services[listener as keyof typeof services].isBuilt);
    assert.deepEqual(values(name, 'ListenStream'), [`0.0.0.0:${ports[listener]}`, `[::]:${ports[listener]}`]);
    assert.deepEqual(values(name, 'BindIPv6Only'), ['ipv6-only']);
    assert.ok(values('fengni.service', 'Sockets')[0]?.split(' ').includes(name));
    assert.ok(values('fengni.service', 'Also')[0]?.split(' ').includes(name));
  }
});

test('server and sealer have users of their own, no capability, and no right to open a port', () => {
  const users = ['fengni.service', 'fengni-sealer.service'].map((name) => {
    assert.deepEqual(values(name, 'SocketBindDeny'), ['any']);
    assert.deepEqual(values(name, 'CapabilityBoundingSet'), ['']);
    assert.deepEqual(values(name, 'NoNewPrivileges'), ['yes']);
    assert.deepEqual(values(name, 'Group'), ['fengni']);
    return values(name, 'User')[0];
  });
  assert.deepEqual(users, ['fengni', 'fengni-sealer']);
  assert.deepEqual(values('fengni-sealer.service', 'StateDirectoryMode'), ['0700']);
  assert.deepEqual(values('fengni-sealer.service', 'PrivateNetwork'), ['yes']);
});
