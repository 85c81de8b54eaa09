import { parseEnvid, parseNotify, parseOrcpt, parseRet, type RecipientDsn } from './dsn.ts';
import type { InboundTransaction } from './inbound.ts';

/** A reply instead of values. */
export interface ParameterFault {
  readonly code: number;
  readonly enhanced: string;
  readonly text: string;
}

export type Parameters = ReadonlyMap<string, { readonly value: string | null; readonly word: string }>;

/** What MAIL parameters may ask for here and now. */
export interface ParameterOffers {
  readonly binarymime: boolean;
  /** REQUIRETLS is offered under TLS only (RFC 8689 §2) */
  readonly underTls: boolean;
}

export type MailParameters = Pick<
  InboundTransaction,
  'smtpUtf8' | 'body' | 'sizeDeclared' | 'requireTls' | 'ret' | 'envid' | 'parameters'
>;

/**
 * The words behind a path, ` NAME` or ` NAME=value`, by their names in upper case; null when they are not that.
 *
 * @source RFC 5321 §4.1.2 (`esmtp-param`)
 */
export const readParameters = (text: string): Parameters | null => {
  const parameters = new Map<string, { value: string | null; word: string }>();
  if (text === '') return parameters;
  for (const word of text.slice(1).split(/ +/)) {
    const [, name = '', value = null] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\s]+))?$/.exec(word) ?? [];
    if (text[0] !== ' ' || name === '' || parameters.has(name.toUpperCase())) return null;
    parameters.set(name.toUpperCase(), { value, word });
  }
  return parameters;
};

const notOffered: ParameterFault = { code: 555, enhanced: '5.5.4', text: 'Parameter not offered' };
const notUnderstood = (name: string): ParameterFault => ({
  code: 501,
  enhanced: '5.5.4',
  text: `Value of ${name} not understood`,
});

/** @source RFC 1870 §3, RFC 6152 §2, RFC 3030 §3, RFC 6531 §3.4, RFC 3461 §4.3 and §4.4, RFC 8689 §2 */
export const readMailParameters = (
  parameters: Parameters,
  offers: ParameterOffers,
): MailParameters | ParameterFault => {
  let smtpUtf8 = false;
  let body: InboundTransaction['body'] = '7BIT';
  let sizeDeclared: number | null = null;
  let requireTls = false;
  let ret: InboundTransaction['ret'] = null;
  let envid: string | null = null;
  for (const [name, { value }] of parameters) {
    const bad = notUnderstood(name);
    switch (name) {
      case 'SMTPUTF8':
        if (value !== null) return bad;
        smtpUtf8 = true;
        break;
      case 'BODY': {
        const upper = value?.toUpperCase();
        if (upper === '7BIT' || upper === '8BITMIME' || (upper === 'BINARYMIME' && offers.binarymime))
          body = upper;
        else return bad;
        break;
      }
      case 'SIZE':
        if (value === null || !/^\d{1,20}$/.test(value)) return bad;
        sizeDeclared = Number(value);
        break;
      case 'RET':
        ret = value === null ? null : parseRet(value);
        if (ret === null) return bad;
        break;
      case 'ENVID':
        envid = value === null ? null : parseEnvid(value);
        if (envid === null) return bad;
        break;
      case 'REQUIRETLS':
        if (value !== null) return bad;
        if (!offers.underTls)
          return { code: 530, enhanced: '5.7.10', text: 'REQUIRETLS needs TLS; STARTTLS first' };
        requireTls = true;
        break;
      default:
        return notOffered;
    }
  }
  const words = [...parameters.values()].map(({ word }) => word);
  return { smtpUtf8, body, sizeDeclared, requireTls, ret, envid, parameters: words };
};

/** @source RFC 3461 §4.1, §4.2; RFC 6533 §3 */
export const readRcptParameters = (
  parameters: Parameters,
  smtpUtf8: boolean,
): { readonly dsn: RecipientDsn | null } | ParameterFault => {
  let notify: string | null = null;
  let orcpt: string | null = null;
  for (const [name, { value }] of parameters) {
    if (name === 'NOTIFY') {
      notify = value === null ? null : parseNotify(value);
      if (notify === null) return notUnderstood(name);
    } else if (name === 'ORCPT') {
      orcpt = value === null ? null : parseOrcpt(value, smtpUtf8);
      if (orcpt === null) return notUnderstood(name);
    } else {
      return notOffered;
    }
  }
  return { dsn: notify === null && orcpt === null ? null : { notify, orcpt } };
};
