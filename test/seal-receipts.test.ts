import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { equalBytes, latin1, utf8 } from '#base/bytes';
import { parseCheckpoint, parseKeyFile, parseReceipt, receiptBytesMax, verifyReceipt } from '#trust/seal';
import { folder, makeVectors, type Vector } from './vectors/seal/make.ts';

const vectors = JSON.parse(fs.readFileSync(path.join(folder, 'receipts.json'), 'utf8')) as Vector[];
const read = (file: string): Uint8Array =>
  new Uint8Array(fs.readFileSync(path.join(folder, 'receipts', file)));
const script = path.resolve(import.meta.dirname, '../docs/verify_receipt.py');

/** What must come out, in the words both verifiers use. */
const expected = (vector: Vector) => ({
  name: vector.name,
  failure: vector.failure === null ? null : `${vector.failure.check} ${vector.failure.reason}`,
  prefix: vector.prefix,
});

test('the receipt vectors are what their script makes, octet for octet', async () => {
  const made = await makeVectors();
  assert.deepEqual(made.vectors, vectors);
  assert.deepEqual([...made.files.keys()].sort(), fs.readdirSync(path.join(folder, 'receipts')).sort());
  for (const [file, octets] of made.files) assert(equalBytes(octets, read(file)), file);
});

test('every receipt vector is decided as it says, with the reason', () => {
  assert(vectors.length > 120);
  for (const vector of vectors) {
    const { checks, failure, good } = verifyReceipt({
      receipt: read(vector.receipt),
      mail: read(vector.mail),
      keys: parseKeyFile(vector.key),
    });
    const found = {
      name: vector.name,
      failure: failure === null ? null : `${failure.name} ${failure.reason}`,
      prefix: checks.find((check) => check.name === 'prefix')?.result ?? null,
    };
    assert.deepEqual(found, expected(vector));
    assert.equal(good, vector.failure === null);
  }
});

test('the verifier in Python decides every receipt vector alike', () => {
  const driver = [
    'import importlib.util, json, sys, os',
    'spec = importlib.util.spec_from_file_location("verify_receipt", sys.argv[1])',
    'v = importlib.util.module_from_spec(spec); spec.loader.exec_module(v)',
    'read = lambda name: open(os.path.join(sys.argv[2], "receipts", name), "rb").read()',
    'out = []',
    'for vector in json.load(open(os.path.join(sys.argv[2], "receipts.json"))):',
    '    rows = list(v.check(read(vector["receipt"]), read(vector["mail"]), v.parse_keys(vector["key"])))',
    '    bad = [f"{name} {reason}" for name, result, reason, _ in rows if result == "bad"]',
    '    prefix = [result for name, result, _, _ in rows if name == "prefix"]',
    '    out.append({"name": vector["name"], "failure": (bad or [None])[0], "prefix": (prefix or [None])[0]})',
    'print(json.dumps(out))',
  ].join('\n');
  const out = execFileSync('python3', ['-B', '-c', driver, script, folder], { encoding: 'utf8' });
  assert.deepEqual(JSON.parse(out), vectors.map(expected));
});

const byName = (name: string): Vector => vectors.find((vector) => vector.name === name) ?? assert.fail(name);
const runPython = (...args: string[]) => spawnSync('python3', ['-B', script, ...args], { encoding: 'utf8' });
const fileOf = (name: string): string => path.join(folder, 'receipts', name);

test('verify_receipt.py exits 0 for good, 1 with the reason for bad, 2 for usage, 3 for a file it cannot read', () => {
  const good = byName('good');
  const key = good.key;
  const done = runPython(fileOf(good.receipt), fileOf(good.mail), key);
  assert.equal(done.status, 0, done.stdout);
  assert.match(done.stdout, /^GOOD/m);
  const bad = runPython(fileOf(good.receipt), fileOf(byName('a changed octet of the body').mail), key);
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /^BAD: original original-changed$/m);
  assert.equal(runPython(fileOf(good.receipt)).status, 2);
  assert.equal(runPython(fileOf(good.receipt), fileOf(good.mail), key.replace('mail', 'nail')).status, 2);
  assert.equal(runPython(fileOf(good.receipt), fileOf('absent.eml'), key).status, 3);
  assert.equal(runPython(fileOf(good.receipt), fileOf(good.mail), fileOf('absent.key')).status, 3);
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-seal-'));
  try {
    const keyFile = path.join(temporary, 'key');
    fs.writeFileSync(keyFile, `# the log\n${key} seq 1-\n`);
    assert.equal(runPython(fileOf(good.receipt), fileOf(good.mail), keyFile).status, 0);
  } finally {
    fs.rmSync(temporary, { recursive: true });
  }
});

test('OpenSSL accepts the signature of a head over its text, and no other text', () => {
  const good = byName('good');
  const { note } = parseCheckpoint(parseReceipt(read(good.receipt)).proof.checkpoint);
  const [key] = parseKeyFile(good.key);
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-seal-'));
  try {
    const at = (name: string): string => path.join(temporary, name);
    const der = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      key?.publicKey ?? assert.fail(),
    ]);
    fs.writeFileSync(at('key.der'), der);
    fs.writeFileSync(at('signature'), note.signatures[0]?.signature ?? assert.fail());
    const check = (text: string): number | null => {
      fs.writeFileSync(at('text'), text);
      const args = ['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', at('key.der'), '-rawin'];
      return spawnSync('openssl', [...args, '-in', at('text'), '-sigfile', at('signature')]).status;
    };
    assert.equal(check(note.text), 0);
    assert.equal(check(note.text.replace('\n37\n', '\n38\n')), 1);
  } finally {
    fs.rmSync(temporary, { recursive: true });
  }
});

test('no flipped bit of a receipt is accepted', () => {
  const good = byName('good');
  const octets = read(good.receipt);
  const mail = read(good.mail);
  const keys = parseKeyFile(good.key);
  for (let at = 0; at < octets.length; at++) {
    const changed = octets.slice();
    changed[at] = (changed[at] as number) ^ (1 << (at % 8));
    assert(!verifyReceipt({ receipt: changed, mail, keys }).good, `octet ${at}`);
  }
});

test('no flipped bit below the own lines of a mail is accepted', () => {
  const good = byName('good');
  const octets = read(good.mail);
  const receipt = read(good.receipt);
  const keys = parseKeyFile(good.key);
  const from = latin1(octets).indexOf('\nReceived:');
  assert(from > 0);
  for (let at = from; at < octets.length; at++) {
    const changed = octets.slice();
    changed[at] = (changed[at] as number) ^ (1 << (at % 8));
    assert(!verifyReceipt({ receipt, mail: changed, keys }).good, `octet ${at}`);
  }
});

test('a receipt of a deep tree with three witnesses stays within 4,000 octets, and tells nothing of the recipients', () => {
  const good = byName('good');
  const text = Buffer.from(read(good.receipt)).toString('utf8');
  const path24 = `${text.split('\n')[3]}\n`.repeat(24 - 6);
  const witness = `— ${'w'.repeat(40)}.example/witness ${'A'.repeat(104)}\n`;
  const size = utf8(text.replace(/index .*\n/, '$&') + path24 + witness.repeat(3)).length;
  assert(size <= receiptBytesMax, `${size} octets`);
  assert(read(byName('good: aut as digest').receipt).length <= receiptBytesMax);
  assert(read(byName('good: aut as text, full').receipt).length > receiptBytesMax);
  const extra = Buffer.from(/^extra (.*)$/m.exec(text)?.[1] ?? '', 'base64').toString('utf8');
  assert(!extra.includes('@fengni.test') && !extra.includes('@example.org'));
});
