import assert from 'node:assert/strict';
import { fromLatin1, latin1 } from '#base/bytes';
import { Arguments, ImapSyntaxError } from './arguments.ts';
import { CommandReader, type ReaderEvent } from './command-reader.ts';
import { parseFetch } from './fetch-request.ts';
import { encodeModifiedUtf7, mailboxNameFromWire, matchesPattern, newMailboxName } from './mailbox-name.ts';
import { resolveNumberSet } from './number-set.ts';
import { parseSearch } from './search-key.ts';
import { wireString } from './wire.ts';

const text = [
  'a LOGIN {4}\r\nfred {6+}\r\nsecret\r\nb NOOP\r\n',
  'a LOGIN "fr\\"ed" pass\r\nb AUTHENTICATE PLAIN AGZyZWQAc2VjcmV0\r\n',
  'a APPEND "&g0l6P3ux-" (\\Seen $Junk) "17-Jul-1996 02:44:25 -0700" ~{3+}\r\na\0b\r\n',
  'a FETCH 1:*,3 (FLAGS UID BODY.PEEK[HEADER.FIELDS.NOT (Date "X-\\"Y")]<0.10> BODY[1.2.MIME] RFC822.SIZE)\r\n',
  'a UID FETCH 4294967295:1 full\r\nb FETCH * BODY[TEXT]\r\n',
  'a SEARCH CHARSET UTF-8 OR (NOT SEEN 1:3) (UID 5,7:* KEYWORD x) SINCE 1-Feb-1994 LARGER 10\r\n',
  'a UID FETCH $ (BINARY.PEEK[1.2]<0.5> BINARY.SIZE[] PREVIEW (LAZY) EMAILID THREADID SAVEDATE MODSEQ) (CHANGEDSINCE 0 VANISHED)\r\n',
  'a SEARCH RETURN (SAVE MIN) MODSEQ "/flags/x" all 9223372036854775807 HEADER X "" OR BODY a TEXT {1+}\r\nb SENTON 1-Jan-1970\r\n',
  'a SELECT x (QRESYNC (1 2 3:4 (5 6)) CONDSTORE)\r\nb LIST (SUBSCRIBED) "" (a b) RETURN (STATUS (SIZE))\r\n',
  'a STORE 2,4:7 -FLAGS.SILENT (\\Deleted \\Seen $Forwarded)\r\n',
  'a LIST "" %/*\r\nb LSUB foo "&AOQA5A-%"\r\nc CREATE a/b/c/\r\n',
  'a ID ("name" "x" "version" NIL)\r\nb STATUS INBOX (MESSAGES UNSEEN)\r\n',
  'a COPY 1 {3}\r\nfoo\r\na IDLE\r\nDONE\r\n\r\n\n{\r\n{9999999999999999}\r\n',
];

export const seeds: Uint8Array[] = text.map(fromLatin1);

const limits = { lineBytesMax: 512, literalBytesMax: 64 };

/**
 * The grammar over any octets: the same commands in every chunking, bounded memory, and nothing but a syntax error from arguments.
 */
export const run = (data: Uint8Array): void => {
  const whole = read(data, data.length || 1);
  for (const size of [1, 1 + (data[0] ?? 0) / 8])
    assert.deepEqual(read(data, size).map(plain), whole.map(plain));
  for (const event of whole) if (event.text !== undefined) tryArguments(event.text, event.literals ?? []);
};

const plain = ({ literals, ...told }: Told): object => ({ ...told, literals: literals?.map(latin1) });

interface Told {
  kind: ReaderEvent['kind'];
  more?: string;
  text?: string;
  literals?: Uint8Array[];
}

const read = (data: Uint8Array, size: number): Told[] => {
  const reader = new CommandReader(limits);
  const told: Told[] = [];
  let streamed = '';
  const step = Math.max(1, Math.floor(size));
  for (let at = 0; at < data.length; at += step) {
    reader.push(data.subarray(at, at + step));
    for (let event: ReaderEvent = reader.next(); event.kind !== 'need'; event = reader.next()) {
      switch (event.kind) {
        case 'command':
          told.push({ kind: 'command', text: event.text, literals: [...event.literals] });
          break;
        case 'octets':
          streamed += latin1(event.octets);
          break;
        case 'streamed':
          told.push({ kind: 'streamed', more: streamed });
          streamed = '';
          break;
        case 'literal':
          told.push({
            kind: 'literal',
            more: `${event.text} ${event.sizeBytes} ${event.waits} ${event.binary}`,
          });
          if (!reader.fitsLimit(event.sizeBytes)) reader.refuseLiteral();
          else if (/append/i.test(event.text)) reader.streamLiteral();
          else reader.keepLiteral();
          break;
        case 'broken':
          told.push({ kind: 'broken', more: event.reason });
          break;
        case 'flood':
          told.push({ kind: 'flood', more: '' });
          return told;
        default:
          told.push({ kind: event.kind, more: '' });
      }
    }
    assert.ok(reader.bufferedBytes <= limits.lineBytesMax + step, 'what waits is bounded');
  }
  return told;
};

const tryArguments = (commandText: string, literals: readonly Uint8Array[]): void => {
  const attempt = (parse: (args: Arguments) => void): void => {
    try {
      const args = new Arguments(commandText, literals);
      args.tag();
      args.space();
      args.word();
      args.space();
      parse(args);
    } catch (error) {
      if (!(error instanceof ImapSyntaxError)) throw error;
    }
  };
  attempt((args) => {
    const set = args.numberSet();
    const ranges = resolveNumberSet(set, 100);
    for (let at = 1; at < ranges.length; at++) assert.ok((ranges[at] ?? 0) >= (ranges[at - 1] ?? 0));
    args.space();
    parseFetch(args);
  });
  attempt(
    (args) =>
      void parseSearch(
        args,
        () => [],
        (octets) => octets,
      ),
  );
  attempt((args) => void args.wordList(() => void args.blanks()));
  attempt((args) => void args.modSeq());
  attempt((args) => {
    const name = mailboxNameFromWire(args.astring());
    if (name.kind === 'name') {
      const again = mailboxNameFromWire(encodeModifiedUtf7(name.name));
      assert.deepEqual(again, name);
      newMailboxName(name.name);
    }
    args.space();
    args.flagList();
    args.space();
    args.dateTime();
  });
  attempt((args) => {
    const reference = args.astring();
    args.space();
    const pattern = args.listMailbox();
    matchesPattern(reference + pattern, 'INBOX/a/b');
  });
  attempt((args) => {
    const string = args.string();
    const wired = wireString(string);
    assert.ok(wired.startsWith('"') || wired.endsWith(string));
    args.space();
    args.nstring();
    args.end();
  });
};
