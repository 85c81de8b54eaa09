import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type Ran, run } from './clients.ts';
import { original } from './mail-load.ts';
import { oddMessages } from './odd-messages.ts';
import { startServer, type TestServer } from './server.ts';
import { sendMail } from './smtp-send.ts';

// What tests of programs that fetch mail have in common: a server, what it was sent, and folders that the programs write to.

export let server: TestServer;
/** by id: what was sent */
export const sent = new Map<string, { name: string; octets: string }>();

/** Starts the server and sends it the odd messages. */
export const begin = async (): Promise<void> => {
  server = await startServer();
  for (const { name, octets, smtpUtf8 } of oddMessages(server.address))
    if (smtpUtf8 !== true) await send(name, octets);
};

export const send = async (name: string, octets: string): Promise<void> => {
  const reply = await sendMail({ port: server.ports.smtp, to: server.address, octets });
  const [, id] = /^250 .* id=([a-z2-7]{26}) /.exec(reply) ?? assert.fail(`${name}: ${reply}`);
  sent.set(id ?? '', { name, octets });
};

export const makeFolder = (name: string): string => {
  const folder = path.join(server.folder, name);
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
};

export const writeSecret = (file: string, text: string): void => {
  fs.writeFileSync(file, text, { mode: 0o600 });
};

export const makeMaildir = (name: string): string => {
  const folder = makeFolder(name);
  for (const each of ['cur', 'new', 'tmp']) makeFolder(path.join(name, each));
  return folder;
};

/** Messages of a Maildir as they lie there. */
export const maildir = (folder: string): string[] =>
  ['cur', 'new'].flatMap((each) =>
    fs
      .readdirSync(path.join(folder, each))
      .map((name) => fs.readFileSync(path.join(folder, each, name), 'latin1')),
  );

const lf = (text: string): string => text.replaceAll('\r\n', '\n');

/** What mbsync and mutt add to the header of a copy that they keep. */
const withoutOwnFields = (text: string): string =>
  text.replace(/^X-TUID: \S+\r?\n/m, '').replace(/^Content-Length: \d+\r?\nLines: \d+\r?\n/m, '');

/** A header that does not end in an empty line: mbsync leaves such a message alone. */
export const openHeaders = ['header alone, no empty line', 'no header, no empty line'];

/** Each message that was sent is there once, octet for octet but for line ends, behind our prefix. */
export const assertAllThere = (
  messages: readonly string[],
  options: { changed?: readonly string[]; notTaken?: readonly string[] } = {},
): void => {
  const { changed = [], notTaken = [] } = options;
  const seen = new Set<string>();
  for (const message of messages) {
    const own = withoutOwnFields(message);
    const found = original(own.includes('\r\n') ? own : own.replaceAll('\n', '\r\n'));
    assert.ok(found !== null, `no seal: ${JSON.stringify(message.slice(0, 200))}`);
    const known = sent.get(found.id);
    assert.ok(known !== undefined, `nobody sent ${found.id}`);
    assert.ok(!seen.has(found.id), `${known.name} twice`);
    seen.add(found.id);
    if (changed.includes(known.name)) continue;
    assert.equal(lf(found.octets).length, lf(known.octets).length, known.name);
    assert.ok(lf(found.octets) === lf(known.octets), `${known.name} was changed`);
  }
  const missing = [...sent].flatMap(([id, { name }]) => (seen.has(id) ? [] : [name]));
  assert.deepEqual(missing, notTaken, 'not fetched');
};

/** How mbsync keeps INBOX and a Maildir in step. */
export const mbsyncConfig = (of: {
  inbox: string;
  user: string;
  password: string;
  server: Pick<TestServer, 'ports' | 'caFile'>;
}): string => `IMAPAccount here
Host localhost
Port ${of.server.ports.imaps}
User ${of.user}
Pass "${of.password}"
SSLType IMAPS
CertificateFile ${of.server.caFile}

IMAPStore far
Account here

MaildirStore near
Inbox ${of.inbox}
Path ${path.dirname(of.inbox)}/

Channel inbox
Far :far:INBOX
Near :near:INBOX
Sync All
Create None
Expunge Both
SyncState ${path.dirname(of.inbox)}/
`;

/** What curl gets for a command of IMAP. @param mailbox selected first; left out, none is */
export const askImap = async (command: string, mailbox = ''): Promise<string> => {
  const { stdout } = await run('curl', [
    '--silent',
    '--cacert',
    server.caFile,
    '--user',
    `${server.address}:${server.password}`,
    '--request',
    command,
    `imaps://localhost:${server.ports.imaps}/${mailbox}`,
  ]);
  return stdout;
};

export const assertGood = ({ status, stdout, stderr }: Ran, expected: readonly number[] = [0]): void => {
  assert.ok(status !== null && expected.includes(status), `status ${status}: ${stdout}${stderr}`);
};

export const assertNoBad = (): void => {
  assert.doesNotMatch(server.log(), /"event":"role failed"/);
};
