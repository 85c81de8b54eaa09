import type { Section } from '#message';
import type { Arguments } from './arguments.ts';
import { wireString } from './wire.ts';

export interface SectionRequest {
  /** octets as they are, octets without their transfer encoding, or how many those are (RFC 3516) */
  readonly form: 'body' | 'binary' | 'binary-size';
  /** as the reply names it, without the partial's origin */
  readonly label: string;
  readonly section: Section;
  readonly partial: { readonly start: number; readonly length: number } | null;
  /** does not set `\Seen` */
  readonly peek: boolean;
}

/** What FETCH asks for. */
export interface FetchRequest {
  flags: boolean;
  uid: boolean;
  internalDate: boolean;
  size: boolean;
  envelope: boolean;
  body: boolean;
  bodyStructure: boolean;
  modSeq: boolean;
  emailId: boolean;
  threadId: boolean;
  saveDate: boolean;
  preview: boolean;
  /** only messages whose MODSEQ is higher (RFC 7162 §3.1.4.1) */
  changedSince: number | null;
  /** with what went since then (RFC 7162 §3.2.6) */
  vanished: boolean;
  readonly sections: SectionRequest[];
}

/** More sections at once than any client asks for. */
export const sectionsMax = 256;

export type ParsedFetch =
  | { readonly kind: 'request'; readonly request: FetchRequest }
  /** an item of an extension that is not announced */
  | { readonly kind: 'later'; readonly item: string };

const later = new Set(['ANNOTATION']);

/** Reads the items of FETCH to the end. @source RFC 9051 §6.4.5, RFC 3501 §6.4.5 */
export const parseFetch = (args: Arguments): ParsedFetch => {
  const request: FetchRequest = {
    flags: false,
    uid: false,
    internalDate: false,
    size: false,
    envelope: false,
    body: false,
    bodyStructure: false,
    modSeq: false,
    emailId: false,
    threadId: false,
    saveDate: false,
    preview: false,
    changedSince: null,
    vanished: false,
    sections: [],
  };
  let unsupported: string | null = null;
  const item = (single: boolean): void => {
    const name = args.name() ?? args.fail('an item of FETCH is missing');
    if (later.has(name)) {
      unsupported ??= name;
      args.rest();
      return;
    }
    addItem(args, request, name, single);
    if (request.sections.length > sectionsMax) args.fail('too many sections');
  };
  if (args.skip('(')) {
    args.blanks();
    let items = 0;
    while (unsupported === null && !args.skip(')')) {
      item(false);
      items++;
      if (unsupported === null && !args.blanks() && args.peek !== ')') args.fail('a blank is missing');
    }
    if (items === 0) args.fail('nothing is asked for');
  } else item(true);
  if (unsupported !== null) return { kind: 'later', item: unsupported };
  if (args.blanks() && args.peek === '(') modifiers(args, request);
  args.end();
  return { kind: 'request', request };
};

const modifiers = (args: Arguments, request: FetchRequest): void => {
  args.wordList((word) => {
    if (word === 'CHANGEDSINCE' && request.changedSince === null) {
      args.space();
      request.changedSince = args.modSeq();
      request.modSeq = true;
    } else if (word === 'VANISHED' && !request.vanished) request.vanished = true;
    else args.fail('there is no such modifier of FETCH');
  });
  if (request.vanished && request.changedSince === null) args.fail('VANISHED needs CHANGEDSINCE');
};

const addItem = (args: Arguments, request: FetchRequest, name: string, single: boolean): void => {
  switch (name) {
    case 'FLAGS':
      request.flags = true;
      return;
    case 'UID':
      request.uid = true;
      return;
    case 'INTERNALDATE':
      request.internalDate = true;
      return;
    case 'RFC822.SIZE':
      request.size = true;
      return;
    case 'ENVELOPE':
      request.envelope = true;
      return;
    case 'BODYSTRUCTURE':
      request.bodyStructure = true;
      return;
    case 'MODSEQ':
      request.modSeq = true;
      return;
    case 'EMAILID':
      request.emailId = true;
      return;
    case 'THREADID':
      request.threadId = true;
      return;
    case 'SAVEDATE':
      request.saveDate = true;
      return;
    case 'PREVIEW':
      request.preview = true;
      previewModifiers(args);
      return;
    case 'BINARY':
    case 'BINARY.PEEK':
    case 'BINARY.SIZE':
      request.sections.push(binarySection(args, name));
      return;
    case 'RFC822':
      request.sections.push(messageSection(name, 'all', false));
      return;
    case 'RFC822.HEADER':
      request.sections.push(messageSection(name, 'header', true));
      return;
    case 'RFC822.TEXT':
      request.sections.push(messageSection(name, 'text', false));
      return;
    case 'BODY':
      if (args.peek === '[') request.sections.push(section(args, false));
      else request.body = true;
      return;
    case 'BODY.PEEK':
      request.sections.push(section(args, true));
      return;
    case 'ALL':
    case 'FAST':
    case 'FULL':
      if (!single) break;
      request.flags = true;
      request.internalDate = true;
      request.size = true;
      request.envelope = name !== 'FAST';
      request.body = name === 'FULL';
      return;
  }
  args.fail('there is no such item of FETCH');
};

/** `(LAZY)`: whoever is in a hurry gets it all the same. @source RFC 8970 §3.2 */
const previewModifiers = (args: Arguments): void => {
  if (!args.upcoming(' (')) return;
  args.space();
  args.wordList((word) => {
    if (word !== 'LAZY') args.fail('there is no such modifier of PREVIEW');
  });
};

/** `[part]<origin.length>`: numbers alone. @source RFC 3516 §4.2, RFC 9051 §6.4.5 */
const binarySection = (args: Arguments, name: string): SectionRequest => {
  args.expect('[');
  const part: number[] = [];
  while (!args.skip(']')) {
    if (part.length > 0) args.expect('.');
    const number = args.number();
    if (number === 0 || number > 4_294_967_295 || part.length === 100) args.fail('there is no such part');
    part.push(number);
  }
  const isSize = name === 'BINARY.SIZE';
  return {
    form: isSize ? 'binary-size' : 'binary',
    label: `${isSize ? name : 'BINARY'}[${part.join('.')}]`,
    section: { part, text: 'all' },
    partial: isSize ? null : partialOf(args),
    peek: name !== 'BINARY',
  };
};

const messageSection = (label: string, text: Section['text'], peek: boolean): SectionRequest => ({
  form: 'body',
  label,
  section: { part: [], text },
  partial: null,
  peek,
});

/** `[section]<origin.length>` */
const section = (args: Arguments, peek: boolean): SectionRequest => {
  args.expect('[');
  const part: number[] = [];
  let text: Section['text'] = 'all';
  let fields: string[] | null = null;
  let label = '';
  let named = false;
  while (!args.skip(']')) {
    if (named) args.fail('the section is ill-formed');
    if (label !== '') args.expect('.');
    if (/\d/.test(args.peek)) {
      const number = args.number();
      if (number === 0 || number > 4_294_967_295 || part.length === 100) args.fail('there is no such part');
      part.push(number);
      label += label === '' ? number : `.${number}`;
      continue;
    }
    named = true;
    const name = args.name() ?? args.fail('the section is ill-formed');
    label += label === '' ? name : `.${name}`;
    if (name === 'HEADER') text = 'header';
    else if (name === 'HEADER.FIELDS') text = 'header.fields';
    else if (name === 'HEADER.FIELDS.NOT') text = 'header.fields.not';
    else if (name === 'TEXT') text = 'text';
    else if (name === 'MIME' && part.length > 0) text = 'mime';
    else args.fail('there is no such section');
    if (name.startsWith('HEADER.')) {
      args.space();
      fields = headerList(args);
      label += ` (${fields.map(fieldName).join(' ')})`;
    }
  }
  const asked: Section = fields === null ? { part, text } : { part, text, fields };
  return { form: 'body', label: `BODY[${label}]`, section: asked, partial: partialOf(args), peek };
};

/** `<origin.length>` where it stands. */
const partialOf = (args: Arguments): SectionRequest['partial'] => {
  if (!args.skip('<')) return null;
  const start = args.number();
  args.expect('.');
  const length = args.number();
  if (length === 0) args.fail('nothing is asked for');
  args.expect('>');
  return { start, length };
};

const headerList = (args: Arguments): string[] => {
  args.expect('(');
  const names: string[] = [];
  args.blanks();
  while (!args.skip(')')) {
    names.push(args.astring());
    if (!args.blanks() && args.peek !== ')') args.fail('a blank is missing');
  }
  if (names.length === 0) args.fail('no field is named');
  return names;
};

/** As an atom where it is one. */
const fieldName = (name: string): string =>
  /^[A-Za-z0-9!#$&'+,./:;<=>?@^_`|}~-]+$/.test(name) ? name : wireString(name);
