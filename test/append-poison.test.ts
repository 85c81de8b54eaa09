import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { LineClient } from './support/line-client.ts';
import { eventually, rolesOf } from './support/processes.ts';
import { startServer } from './support/server.ts';

// The access role is really killed, in the middle of its parser, by what a client appends.

/** Whatever hashes a text with this id in it dies: the keys of a thread are hashed when a message is parsed (src/services/mailstore). */
const deadlyId = 'deadly@example.org';
const deadly = `
  import crypto from 'node:crypto';
  import { syncBuiltinESMExports } from 'node:module';
  const { hash } = crypto;
  crypto.hash = (algorithm, data, ...more) => {
    if (typeof data === 'string' && data.includes('${deadlyId}')) process.kill(process.pid, 'SIGKILL');
    return hash(algorithm, data, ...more);
  };
  syncBuiltinESMExports();`;
const imported = (code: string): string => `--import=data:text/javascript,${encodeURIComponent(code)}`;
/** Roles get no NODE_OPTIONS of whoever starts the server: the supervisor's `spawn` gives it to the one that reads segments. */
const hook = `
  import childProcess from 'node:child_process';
  import { syncBuiltinESMExports } from 'node:module';
  const { spawn } = childProcess;
  childProcess.spawn = (file, args, options) => {
    const isAccess = args.some((arg) => /^--allow-fs-read=.*[/]segments/.test(arg));
    return spawn(file, isAccess ? [${JSON.stringify(imported(deadly))}, ...args] : args, options);
  };
  syncBuiltinESMExports();`;

test('a message that kills the access role when it is appended is refused after its second death under its name, others are stored', async () => {
  const server = await startServer({
    env: { NODE_OPTIONS: imported(hook) },
  });
  const poison = path.join(server.data, 'poison/append');
  const access = (): number => rolesOf(server.pid).get('access') ?? 0;
  /** the tagged line, or `gone` where the connection ends before it */
  const append = async (subject: string, id: string): Promise<string> => {
    const message = `Message-ID: <${id}>\r\nSubject: ${subject}\r\n\r\nx\r\n`;
    const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
    try {
      await client.until(/^\* OK .*\r\n/m);
      await client.ask(`a LOGIN ${server.address} "${server.password}"\r\n`, /^a OK .*\r\n/m);
      client.send(`b APPEND INBOX {${message.length}+}\r\n${message}\r\n`);
      return await client.until(/^b (OK|NO|BAD) .*\r\n/m);
    } catch {
      return 'gone';
    } finally {
      client.destroy();
    }
  };
  const sha256 = createHash('sha256')
    .update(`Message-ID: <${deadlyId}>\r\nSubject: deadly\r\n\r\nx\r\n`)
    .digest('hex');
  const left: string[][] = [];
  for (let death = 0; death < 3; death++) {
    const old = access();
    assert.equal(await append('deadly', deadlyId), 'gone');
    await eventually('another access role', () => access() !== old && access() !== 0, 60_000);
    // It takes in what the one before left before it serves anybody.
    assert.match(await append(`harmless ${death}`, `${death}@example.org`), /^b OK /m);
    left.push(fs.readdirSync(poison));
  }
  assert.deepEqual(left, [[], [`${sha256}.once`], [`${sha256}.eml`]]);
  const old = access();
  assert.match(await append('deadly', deadlyId), /^b NO \[CANNOT\] .*set aside.*\r\n/m);
  assert.equal(access(), old);
  assert.deepEqual(fs.readdirSync(poison), [`${sha256}.eml`]);
  const kept = fs.readFileSync(path.join(poison, `${sha256}.eml`));
  assert.equal(createHash('sha256').update(kept).digest('hex'), sha256);
  assert.match(server.log(), /set aside, it stopped the parser twice/);
});
