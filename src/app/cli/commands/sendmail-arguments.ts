import { parseEnvid, parseNotify, parseRet } from '#protocols/smtp';

/** What one call of sendmail asks for. */
export interface SendmailRequest {
  mode: 'deliver' | 'smtp' | 'queue' | 'flush' | 'verify' | 'nothing';
  /** addresses on the command line */
  recipients: readonly string[];
  /** `-t` */
  takesRecipients: boolean;
  /** no `-i` */
  dotEnds: boolean;
  /** `-f`; null: the user who runs it */
  mailFrom: string | null;
  /** `-F` */
  fullName: string | null;
  body: '7BIT' | '8BITMIME';
  /** `-N`, as NOTIFY of RFC 3461 */
  notify: string | null;
  /** `-R` */
  ret: 'FULL' | 'HDRS' | null;
  /** `-V` */
  envid: string | null;
  isVerbose: boolean;
  /** `--config` or `-C` */
  config: string | null;
  data: string | null;
  json: boolean;
}

export type ParsedSendmail =
  | { kind: 'request'; request: SendmailRequest }
  | { kind: 'help' }
  /** an option that is none, or whose value is none: as it stands */
  | { kind: 'unknown'; option: string }
  | { kind: 'without-value'; option: string }
  | { kind: 'wrong-value'; option: string; value: string };

/** Options with a value, as Postfix's sendmail(1) has them; the value stands behind the letter or is the next argument. */
const withValue = 'ABCFLNORVXbefhopr';
const withoutValue = 'GIUcimntvx';

/**
 * The command line of sendmail(1) as Postfix takes it: single letters, several behind one dash, values with and without a blank. What
 * belongs to other mail systems (`-oem`, `-odb`, `-L`, `-X`, `-U`, …) is accepted and means nothing.
 *
 * `--config`, `--data`, `--json` and `--help` are those of every command.
 */
export const parseSendmail = (argv: readonly string[]): ParsedSendmail => {
  const request: SendmailRequest = {
    mode: 'deliver',
    recipients: [],
    takesRecipients: false,
    dotEnds: true,
    mailFrom: null,
    fullName: null,
    body: '8BITMIME',
    notify: null,
    ret: null,
    envid: null,
    isVerbose: false,
    config: null,
    data: null,
    json: false,
  };
  let at = 0;
  for (; at < argv.length; at++) {
    const argument = argv[at] ?? '';
    if (argument === '--') {
      at += 1;
      break;
    }
    if (argument.startsWith('--')) {
      const [, name = '', inline] = /^--([a-z]+)(?:=(.*))?$/s.exec(argument) ?? [];
      if (name === 'help') return { kind: 'help' };
      if (name === 'json' && inline === undefined) {
        request.json = true;
        continue;
      }
      if (name !== 'config' && name !== 'data') return { kind: 'unknown', option: argument };
      const value = inline ?? argv[++at];
      if (value === undefined || value === '') return { kind: 'without-value', option: argument };
      request[name] = value;
      continue;
    }
    // "-" alone is an address to getopt(3), and none to anybody.
    if (!argument.startsWith('-') || argument === '-') break;
    for (let index = 1; index < argument.length; index++) {
      const letter = argument[index] ?? '';
      const rest = argument.slice(index + 1);
      const option = `-${letter}`;
      if (letter === 'q') {
        // -q alone is all of it; -qINTERVAL, -qIID, -qRSITE and -qSSITE too, since what waits waits for one thing.
        request.mode = 'flush';
        break;
      }
      // -h NUMBER was a number of hops; -h alone asks for help here, as in every command.
      if (letter === 'h' && rest === '' && !/^\d+$/.test(argv[at + 1] ?? '')) return { kind: 'help' };
      if (withoutValue.includes(letter)) {
        if (letter === 'i') request.dotEnds = false;
        else if (letter === 't') request.takesRecipients = true;
        else if (letter === 'v') request.isVerbose = true;
        else if (letter === 'I') request.mode = 'nothing';
        continue;
      }
      if (!withValue.includes(letter)) return { kind: 'unknown', option };
      const value = rest !== '' ? rest : argv[++at];
      if (value === undefined) return { kind: 'without-value', option };
      const wrong = takeValue(request, letter, value);
      if (wrong !== null) return wrong;
      break;
    }
  }
  return { kind: 'request', request: { ...request, recipients: argv.slice(at) } };
};

const takeValue = (request: SendmailRequest, letter: string, value: string): ParsedSendmail | null => {
  const wrong: ParsedSendmail = { kind: 'wrong-value', option: `-${letter}`, value };
  switch (letter) {
    case 'b': {
      const mode = modes[value[0] ?? ''];
      if (mode === undefined || value.length !== 1) return wrong;
      request.mode = mode;
      return null;
    }
    case 'B':
      if (value.toUpperCase() !== '7BIT' && value.toUpperCase() !== '8BITMIME') return wrong;
      request.body = value.toUpperCase() as '7BIT' | '8BITMIME';
      return null;
    case 'C':
      request.config = value;
      return null;
    case 'F':
      request.fullName = value;
      return null;
    case 'f':
    case 'r':
      request.mailFrom = value.replace(/^<(.*)>$/s, '$1');
      return null;
    case 'N': {
      const notify = parseNotify(value);
      if (notify === null) return wrong;
      request.notify = notify;
      return null;
    }
    case 'R': {
      const ret = parseRet(value);
      if (ret === null) return wrong;
      request.ret = ret;
      return null;
    }
    case 'V':
      if (parseEnvid(value) === null) return wrong;
      request.envid = value;
      return null;
    case 'o':
      if (value === 'i') request.dotEnds = false;
      else if (value === '7') request.body = '7BIT';
      else if (value === '8') request.body = '8BITMIME';
      return null;
    case 'O':
      if (/^IgnoreDots(?:=t.*)?$/i.test(value)) request.dotEnds = false;
      return null;
    default:
      return null;
  }
};

/** `-b`: a daemon (`-bd`, `-bD`, `-bl`) and an address test (`-bt`) are not for this program. */
const modes: Readonly<Record<string, SendmailRequest['mode']>> = {
  m: 'deliver',
  a: 'deliver',
  s: 'smtp',
  p: 'queue',
  v: 'verify',
  i: 'nothing',
  h: 'nothing',
  H: 'nothing',
};
