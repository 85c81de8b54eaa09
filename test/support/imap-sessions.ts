import assert from 'node:assert/strict';
import { fromLatin1 } from '#base/bytes';
import { MemoryAccount, type MemoryAccountOptions, MemoryLogin } from './imap-memory-store.ts';
import { createImapServer, ImapPipe } from './imap-pipe.ts';

export const mail = (subject: string, body = 'text\r\n'): Uint8Array =>
  fromLatin1(`From: a@example.org\r\nSubject: ${subject}\r\n\r\n${body}`);

/** Sessions of one account on a store of memory, logged in; with `mailbox` it is selected in each. */
export const startSessions = async (
  count: number,
  options: {
    mailbox?: string;
    account?: MemoryAccountOptions;
    messages?: number;
    enable?: string;
    appendBytesMax?: number;
  } = {},
) => {
  const login = new MemoryLogin();
  const account = new MemoryAccount(options.account);
  login.accounts.set('fred', { password: 'secret', account });
  for (let index = 1; index <= (options.messages ?? 0); index++) account.add('INBOX', mail(`m${index}`));
  const counted: string[] = [];
  const server = createImapServer(login, {
    counted,
    ...(options.appendBytesMax === undefined ? {} : { appendBytesMax: options.appendBytesMax }),
  });
  const pipes: ImapPipe[] = [];
  for (let index = 0; index < count; index++) {
    const pipe = new ImapPipe(server);
    pipe.take();
    assert.match((await pipe.command('LOGIN fred secret')).tagged, /^OK \[CAPABILITY /);
    if (options.enable !== undefined) await pipe.command(`ENABLE ${options.enable}`);
    if (options.mailbox !== undefined) await pipe.command(`SELECT ${options.mailbox}`);
    pipes.push(pipe);
  }
  const [first, second = first] = pipes;
  assert.ok(first !== undefined && second !== undefined);
  return { login, account, server, counted, first, second, pipes };
};
