import { AddressBudget, envelopeText } from './envelope.ts';
import { imapNstring, imapString, withEncodedWords } from './imap-string.ts';
import type { MimeHeader, OctetText, Parameter, ParsedMessage, ParsedPart } from './part.ts';

/**
 * The body structure of a message as IMAP has it, parentheses included: octets that FETCH puts after `BODYSTRUCTURE ` or,
 * without the extension data, after `BODY `.
 *
 * Types and names are in the letters received. A text part without a charset is given `us-ascii`, the default that
 * RFC 2046 §4.1.2 states. An encoding that is not said is `7bit`.
 *
 * @source RFC 9051 §7.5.2 `BODYSTRUCTURE`
 */
export const bodyStructure = (
  parsed: ParsedMessage,
  form: 'extensible' | 'basic' = 'extensible',
): Uint8Array => {
  const out: OctetText[] = [];
  writePart(out, parsed.root, form === 'extensible', new AddressBudget());
  return Buffer.from(out.join(''), 'latin1');
};

const writePart = (
  out: OctetText[],
  part: ParsedPart,
  isExtensible: boolean,
  budget: AddressBudget,
): void => {
  const { mime } = part;
  out.push('(');
  if (part.kind === 'multipart') {
    for (const child of part.children) writePart(out, child, isExtensible, budget);
    out.push(' ', imapString(mime.subtype));
    if (isExtensible) out.push(' ', parameterList(mime.parameters), ' ', dispositionToLocation(mime));
    out.push(')');
    return;
  }
  const isText = mime.type.toLowerCase() === 'text';
  out.push(
    `${imapString(mime.type)} ${imapString(mime.subtype)} `,
    isText ? parameterList(withCharset(mime.parameters)) : parameterList(mime.parameters),
    ` ${imapNstring(mime.id)} `,
    imapNstring(mime.description === null ? null : withEncodedWords(mime.description)),
    ` ${imapString(mime.transferEncoding ?? '7bit')} ${part.end - part.bodyStart}`,
  );
  const enclosed = part.kind === 'message' ? part.children[0] : undefined;
  if (enclosed !== undefined) {
    out.push(' ', envelopeText(enclosed.values, budget), ' ');
    writePart(out, enclosed, isExtensible, budget);
  }
  if (isText || enclosed !== undefined) out.push(` ${part.lines ?? 0}`);
  if (isExtensible) out.push(` ${imapNstring(mime.md5)} `, dispositionToLocation(mime));
  out.push(')');
};

const withCharset = (parameters: readonly Parameter[]): readonly Parameter[] =>
  parameters.some(({ name }) => /^charset\*?$/i.test(name))
    ? parameters
    : [...parameters, { name: 'charset', value: 'us-ascii' }];

const parameterList = (parameters: readonly Parameter[]): OctetText =>
  parameters.length === 0
    ? 'NIL'
    : `(${parameters.map(({ name, value }) => `${imapString(name)} ${imapString(value)}`).join(' ')})`;

const dispositionToLocation = ({ disposition, languages, location }: MimeHeader): OctetText => {
  const shown =
    disposition === null
      ? 'NIL'
      : `(${imapString(disposition.type)} ${parameterList(disposition.parameters)})`;
  const language = languages.length === 0 ? 'NIL' : `(${languages.map(imapString).join(' ')})`;
  return `${shown} ${language} ${imapNstring(location)}`;
};
