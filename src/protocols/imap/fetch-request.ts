import type { Section } from '#message';
import type { Arguments } from './arguments.ts';
import { wireString } from './wire.ts';

export interface SectionRequest {
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
  readonly sections: SectionRequest[];
}

/** More sections at once than any client asks for. */
export const sectionsMax = 256;

export type ParsedFetch =
  | { readonly kind: 'request'; readonly request: FetchRequest }
  /** an item of an extension that is not announced */
  | { readonly kind: 'later'; readonly item: string };

const later = new Set([
  'ANNOTATION',
  'BINARY',
  'BINARY.PEEK',
  'BINARY.SIZE',
  'EMAILID',
  'MODSEQ',
  'PREVIEW',
  'SAVEDATE',
  'THREADID',
]);

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
  if (args.blanks() && args.peek === '(') return { kind: 'later', item: 'modifiers' };
  args.end();
  return { kind: 'request', request };
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

const messageSection = (label: string, text: Section['text'], peek: boolean): SectionRequest => ({
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
  let partial: SectionRequest['partial'] = null;
  if (args.skip('<')) {
    const start = args.number();
    args.expect('.');
    const length = args.number();
    if (length === 0) args.fail('nothing is asked for');
    args.expect('>');
    partial = { start, length };
  }
  const asked: Section = fields === null ? { part, text } : { part, text, fields };
  return { label: `BODY[${label}]`, section: asked, partial, peek };
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
