import type { Language } from '#base/text';
import type { Route } from './router.ts';

/** A port that mail programs use. */
export interface MailService {
  name: 'IMAP' | 'POP3' | 'SMTP';
  port: number;
  security: 'TLS' | 'STARTTLS';
}

export interface HomeOptions {
  hostname: string;
  services: readonly MailService[];
  /** whether the certificate is of the local authority, which clients must be told to trust */
  localAuthority: boolean;
  /** the newest generation of the ledger that has a head, or null */
  generation: () => Promise<number | null>;
}

/** What is here, for whoever opens the address in a browser. */
export const homeRoute = (options: HomeOptions): Route => ({
  method: 'GET',
  path: '/',
  handle: async ({ query, headers }) => {
    const asked = query.get('lang');
    const language: Language =
      asked === 'zh' || asked === 'en' ? asked : acceptedLanguage(headers['accept-language'] ?? '');
    // The words of two languages cost a start more than the rest of this role: the first visitor loads them.
    const { page, styleHash } = await import('./home-page.ts');
    return {
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-language': language,
        vary: 'accept-language',
        'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
      },
      body: page(language, options, await options.generation()),
    };
  },
});

/** Chinese where it is wanted at least as much as English. @source RFC 9110 §12.5.4 */
export const acceptedLanguage = (field: string): Language => {
  const weights = { zh: 0, en: 0 };
  for (const range of field.slice(0, 1_000).split(',')) {
    const match = /^\s*(zh|en)(?:-[a-z0-9-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i.exec(range);
    if (match === null) continue;
    const language = (match[1] as string).toLowerCase() as 'zh' | 'en';
    weights[language] = Math.max(weights[language], Number(match[2] ?? 1));
  }
  return weights.zh > 0 && weights.zh >= weights.en ? 'zh' : 'en';
};
