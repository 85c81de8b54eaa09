import { ClientConnection, type ClientOptions, type TlsSession } from './connection.ts';

/** What the two programs that read mail over their lines got. */
export interface Fetched {
  tls: TlsSession;
  /** what came back, or null where the server refuses */
  mail: Buffer | null;
  /** the line with which the server agreed or refused */
  reply: string;
}

export interface Login {
  address: string;
  password: string;
}

/** Sends one mail as a stranger's server does. @returns the reply to the final dot @source RFC 5321 §3.3, RFC 3207, RFC 6152 */
export const sendMail = async (
  options: ClientOptions,
  { from, to, mail }: { from: string; to: string; mail: Buffer },
): Promise<{ tls: TlsSession; reply: string }> => {
  const connection = await ClientConnection.plain(options);
  try {
    const ask = async (command: string, expected: string): Promise<string> => {
      connection.send(`${command}\r\n`);
      return smtpReply(connection, command, expected);
    };
    await smtpReply(connection, '', '220');
    await ask('EHLO mail.letters.example', '250');
    await ask('STARTTLS', '220');
    await connection.startTls();
    await ask('EHLO mail.letters.example', '250');
    await ask(`MAIL FROM:<${from}> BODY=8BITMIME SIZE=${mail.length}`, '250');
    await ask(`RCPT TO:<${to}>`, '250');
    await ask('DATA', '354');
    connection.send(stuffed(mail));
    connection.send('.\r\n');
    const reply = await smtpReply(connection, 'DATA', '250');
    await ask('QUIT', '221');
    return { tls: connection.tls, reply };
  } finally {
    connection.close();
  }
};

/** A reply may have several lines; the last one has a blank behind its code. */
const smtpReply = async (
  connection: ClientConnection,
  command: string,
  expected: string,
): Promise<string> => {
  for (;;) {
    const line = await connection.line();
    if (line[3] === '-') continue;
    if (!line.startsWith(expected)) throw connection.fault(`${command} ${line}`);
    return line;
  }
};

/** RFC 5321 §4.5.2; a line ends in CRLF. */
const stuffed = (mail: Buffer): Buffer =>
  Buffer.from(mail.toString('latin1').replace(/^\./gm, '..'), 'latin1');

/** @param number of the message, from 1 @source RFC 1939 §5, RFC 8314 §3.2 */
export const readByPop3s = async (options: ClientOptions, login: Login, number: number): Promise<Fetched> => {
  const connection = await ClientConnection.secure(options);
  try {
    const ask = async (command: string): Promise<string> => {
      connection.send(`${command}\r\n`);
      return connection.line();
    };
    const must = async (reply: Promise<string>): Promise<void> => {
      const line = await reply;
      if (!line.startsWith('+OK')) throw connection.fault(line);
    };
    await must(connection.line());
    await must(ask(`USER ${login.address}`));
    await must(ask(`PASS ${login.password}`));
    const reply = await ask(`RETR ${number}`);
    let mail: Buffer | null = null;
    if (reply.startsWith('+OK')) {
      const lines: string[] = [];
      for (let line = await connection.line(); line !== '.'; line = await connection.line())
        lines.push(`${line.startsWith('.') ? line.slice(1) : line}\r\n`);
      mail = Buffer.from(lines.join(''), 'latin1');
    }
    await must(ask('QUIT'));
    return { tls: connection.tls, mail, reply };
  } finally {
    connection.close();
  }
};

/** @param number of the message in INBOX, from 1 @source RFC 3501 §6.4.5, RFC 8314 §3.2 */
export const readByImaps = async (options: ClientOptions, login: Login, number: number): Promise<Fetched> => {
  const connection = await ClientConnection.secure(options);
  try {
    let tag = 0;
    const ask = async (command: string): Promise<{ reply: string; literals: Buffer[] }> => {
      const own = `a${++tag}`;
      connection.send(`${own} ${command}\r\n`);
      const literals: Buffer[] = [];
      for (;;) {
        const line = await connection.line();
        if (line.startsWith(`${own} `)) return { reply: line.slice(own.length + 1), literals };
        const literal = /\{(\d{1,9})\}$/.exec(line)?.[1];
        if (literal !== undefined) literals.push(await connection.octets(Number(literal)));
      }
    };
    const must = async (command: string): Promise<void> => {
      const { reply } = await ask(command);
      if (!reply.startsWith('OK')) throw connection.fault(`${command.split(' ')[0]} ${reply}`);
    };
    await connection.line();
    await must(`LOGIN ${login.address} ${login.password}`);
    await must('EXAMINE INBOX');
    const { reply, literals } = await ask(`FETCH ${number} BODY.PEEK[]`);
    await must('LOGOUT');
    return { tls: connection.tls, mail: literals[0] ?? null, reply };
  } finally {
    connection.close();
  }
};
