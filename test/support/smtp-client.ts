import { latin1 } from '#base/bytes';
import { LineClient } from './line-client.ts';

/** What the final `250` promises. */
export interface Accepted {
  id: string;
  sha256: string;
}

export interface Mail {
  from: string;
  to: readonly string[];
  /** CRLF line ends, the last one included */
  octets: string | Uint8Array;
}

const reply = /^\d{3} [^\r\n]*\r\n/m;

/**
 * Sends one mail as any program would: EHLO, STARTTLS when a certificate is given, MAIL, RCPT, DATA, QUIT.
 *
 * @throws when a reply is another than the one that lets the mail go on, with the reply
 */
export const sendMail = async (server: { port: number; ca?: string }, mail: Mail): Promise<Accepted> => {
  const client = await LineClient.connect(server.port);
  const say = async (line: string, code: string): Promise<string> => {
    const answer = await client.ask(line === '' ? '' : `${line}\r\n`, reply);
    if (
      !answer
        .split(/\r\n(?=.)/)
        .at(-1)
        ?.startsWith(code)
    )
      throw new Error(`${line}: ${answer}`);
    return answer;
  };
  try {
    await say('', '220');
    await say('EHLO client.example', '250');
    if (server.ca !== undefined) {
      await say('STARTTLS', '220');
      await client.startTls(server.ca);
      await say('EHLO client.example', '250');
    }
    await say(`MAIL FROM:<${mail.from}>`, '250');
    for (const to of mail.to) await say(`RCPT TO:<${to}>`, '250');
    await say('DATA', '354');
    const text = typeof mail.octets === 'string' ? mail.octets : latin1(mail.octets);
    client.send(text.replace(/^\./gm, '..'));
    const accepted = await say('.', '250');
    client.send('QUIT\r\n');
    await client.toEnd();
    const [, id = '', sha256 = ''] = /id=([a-z2-7]{26}) sha256=([0-9a-f]{64})/.exec(accepted) ?? [];
    return { id, sha256 };
  } finally {
    client.destroy();
  }
};

/** Every message of a maildrop over POP3S, as it is stored. */
export const fetchMaildrop = async (
  server: { port: number; ca: string },
  login: { user: string; password: string },
): Promise<string[]> => {
  const client = await LineClient.connect(server.port, { ca: server.ca });
  const ask = async (line: string, end: RegExp = /^(?:\+OK|-ERR)[^\r\n]*\r\n/): Promise<string> => {
    const answer = await client.ask(line === '' ? '' : `${line}\r\n`, end);
    if (!answer.startsWith('+OK')) throw new Error(`${line}: ${answer}`);
    return answer;
  };
  try {
    await ask('');
    await ask(`USER ${login.user}`);
    await ask(`PASS ${login.password}`);
    const count = Number(/^\+OK (\d+)/.exec(await ask('STAT'))?.[1]);
    const messages: string[] = [];
    for (let number = 1; number <= count; number++) {
      const answer = await ask(`RETR ${number}`, /\r\n\.\r\n/);
      messages.push(answer.slice(answer.indexOf('\r\n') + 2, -3).replace(/^\.\./gm, '.'));
    }
    await ask('QUIT');
    return messages;
  } finally {
    client.destroy();
  }
};
