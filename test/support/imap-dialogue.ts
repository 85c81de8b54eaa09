import fs from 'node:fs';
import { ImapTestClient } from './imap-client.ts';

/**
 * Plays the dialogues of Apache James (`C:` is sent, `S:` is expected, a regular expression a line) against a server.
 *
 * Taken from a dialogue are tags, conditions, response codes and untagged data; not the words after OK, NO, BAD and BYE, not
 * the order of untagged replies, not HIGHESTMODSEQ, MAILBOXID and CLOSED. James separates levels by a full stop.
 */

export interface DialogueServer {
  readonly port: number;
  readonly ca: string;
  readonly user: string;
  readonly password: string;
  /** milliseconds to wait for an expected reply */
  readonly patienceMs: number;
}

interface Exchange {
  readonly session: number;
  readonly line: number;
  readonly sent: readonly string[];
  /** expected replies, each as a pattern over its lines */
  readonly expected: readonly string[];
  readonly reconnect: boolean;
}

/** What a dialogue needs that its own set-up does not make. */
export interface DialogueOptions {
  readonly state: 'before-login' | 'logged-in' | 'selected';
  /** `\Recent` is not compared: which session gets it is the server's choice (RFC 3501 §2.3.2) */
  readonly withoutRecent: boolean;
}

/** Plays one file. @returns what went wrong, one text each */
export const playDialogue = async (
  file: string,
  { state, withoutRecent }: DialogueOptions,
  server: DialogueServer,
): Promise<string[]> => {
  const exchanges = readDialogue(fs.readFileSync(file, 'latin1'), withoutRecent);
  const clients = new Map<number, ImapTestClient>();
  const faults: string[] = [];
  const open = async (session: number, how: DialogueOptions['state']): Promise<ImapTestClient> => {
    const client = await ImapTestClient.connect({ port: server.port, secure: true, ca: server.ca });
    if (exchanges[0]?.sent.length !== 0) await client.reply();
    if (how !== 'before-login') await client.command('p1', `LOGIN "${server.user}" "${server.password}"`);
    if (how === 'selected') {
      await client.command('p2', 'CREATE selected');
      for (const text of ['Test 01', 'Test 02', 'Test 03', 'Test 04']) {
        const message = selectedMessage(text);
        await client.command('p3', `APPEND selected {${message.length}+}\r\n${message}`);
      }
      await client.command('p4', 'SELECT selected');
    }
    clients.set(session, client);
    return client;
  };
  try {
    for (const exchange of exchanges) {
      let client = clients.get(exchange.session);
      if (exchange.reconnect) {
        client?.close();
        client = await open(exchange.session, 'before-login');
      }
      client ??= await open(exchange.session, state);
      for (const line of counted(exchange.sent)) client.send(`${line}\r\n`);
      const got: string[] = [];
      while (got.length < exchange.expected.length) {
        const reply = await withPatience(client.reply(), server.patienceMs);
        if (reply === null) break;
        if (withoutRecent && / RECENT$/.test(reply)) continue;
        // not in all of the dialogues that select a mailbox
        if (/^\* OK \[(?:CLOSED|HIGHESTMODSEQ|MAILBOXID)\b/.test(reply)) continue;
        const text = reply.replace(/\r\n/g, '\n');
        got.push(withoutRecent ? text.replace(/\\Recent ?/g, '').replace(/ \)/g, ')') : text);
      }
      const rest = [...got];
      for (const pattern of exchange.expected) {
        const expression = new RegExp(`^(?:${pattern})$`, 'i');
        const index = rest.findIndex((reply) => expression.test(reply));
        if (index === -1) {
          faults.push(`line ${exchange.line}: nothing like ${pattern}\n    got ${JSON.stringify(got)}`);
          break;
        }
        rest.splice(index, 1);
      }
      if (faults.length > 0) break;
    }
  } finally {
    for (const client of clients.values()) client.close();
  }
  return faults;
};

/** A literal of some dialogues is an octet shorter than it says: then it says what it is. */
const counted = (sent: readonly string[]): string[] => {
  const at = sent.findIndex((line) => /\{\d+\+\}$/.test(line));
  const octets = sent.slice(at + 1).reduce((sum, line) => sum + line.length + 2, -2);
  return sent.map((line, index) =>
    index === at && line.endsWith(`{${octets + 1}+}`) ? line.replace(/\d+\+\}$/, `${octets}+}`) : line,
  );
};

/** What James's own set-up puts into the selected mailbox. */
const selectedMessage = (text: string): string =>
  [
    'Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)',
    'From: Fred Foobar <foobar@Blurdybloop.COM>',
    `Subject: ${text}`,
    'To: mooch@owatagu.siam.edu',
    'Message-Id: <B27397-0100000@Blurdybloop.COM>',
    'MIME-Version: 1.0',
    'Content-Type: TEXT/PLAIN; CHARSET=US-ASCII',
    '',
    text,
    '',
  ].join('\r\n');

const withPatience = async (reply: Promise<string | null>, ms: number): Promise<string | null> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  const first = await Promise.race([reply, late]);
  clearTimeout(timer);
  return first;
};

const readDialogue = (text: string, withoutRecent: boolean): Exchange[] => {
  const exchanges: Exchange[] = [];
  let session = 1;
  let reconnect = false;
  let sent: string[] = [];
  let expected: string[] = [];
  let startedAt = 1;
  const flush = (): void => {
    if (sent.length > 0 || expected.length > 0) {
      exchanges.push({
        session,
        line: startedAt,
        sent,
        expected: expected.map((each) => relaxed(each, withoutRecent)).filter((each) => each !== ''),
        reconnect,
      });
      reconnect = false;
    }
    sent = [];
    expected = [];
  };
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*#/.test(line) || line.trim() === '') continue;
    if (line.startsWith('C:')) {
      if (expected.length > 0 || sent.length === 0) {
        if (expected.length > 0) flush();
        startedAt = index + 1;
      }
      sent.push(withSlashes(line.replace(/^C: ?/, '')));
    } else if (line.startsWith('S:')) {
      const pattern = line.replace(/^S: ?/, '').trimEnd();
      const begins = /^(?:\\\*|\\\+|[A-Za-z0-9]+ (?:OK|NO|BAD)\b)/.test(pattern);
      if (begins || expected.length === 0) expected.push(pattern);
      else expected[expected.length - 1] += `\n${pattern}`;
    } else if (line.startsWith('SESSION:')) {
      flush();
      session = Number(line.slice(8));
    } else if (line.startsWith('REINIT')) {
      flush();
      reconnect = true;
    } else if (!/^(?:SUB \{|\}|TIMER|LOG|AWAIT|WAIT)/.test(line)) {
      throw new Error(`line ${index + 1}: ${line}`);
    }
  }
  flush();
  return exchanges;
};

/** A command about mailboxes with `/` between levels. */
const withSlashes = (line: string): string =>
  /^\S+ (?:CREATE|DELETE|RENAME|SUBSCRIBE|UNSUBSCRIBE|LIST|LSUB|SELECT|EXAMINE|STATUS|APPEND|COPY) /i.test(
    line,
  )
    ? line.replace(/\./g, '/')
    : line;

/** The pattern without what is James's own; empty where nothing is left. */
const relaxed = (given: string, withoutRecent: boolean): string => {
  if (withoutRecent && /^\\\* \S+ RECENT$/.test(given)) return '';
  const pattern = withoutRecent ? given.replace(/\\\\Recent ?/g, '').replace(/ \\\)/g, '\\)') : given;
  if (/HIGHESTMODSEQ/.test(pattern)) return '';
  if (pattern === '\\+') return '\\+ .*';
  if (/^\\\* (?:LIST|LSUB|STATUS|NAMESPACE) /.test(pattern)) {
    return pattern.replace(/\\?\.(?![*+])/g, '/').replace(/\\"/g, '"');
  }
  const tagged = /^((?:\\\*|[A-Za-z0-9]+) (?:OK|NO|BAD|BYE)) ?(\(\\\[.*?\\\] \)\?|\\\[.*?\\\])?/s.exec(
    pattern,
  );
  if (tagged === null) return pattern;
  const open = /\\\[([A-Z]+)[^\]]*$/.exec(pattern);
  if (open !== null) return `${tagged[1]} \\[${open[1]}.*`;
  const code = tagged[2] === undefined || tagged[2].endsWith('?') ? '(?: \\[.*?\\])?' : ` ${tagged[2]}`;
  return `${tagged[1]}${code.replace('UIDVALIDITY 1203163935', 'UIDVALIDITY \\d+')}(?: .*)?`;
};
