import { createHash } from 'node:crypto';
import { type Language, say } from '#base/text';
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

const style = `:root{color-scheme:light dark}
body{font:16px/1.6 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1.2rem .2rem 0}
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
.language{float:right}`;
const styleHash = createHash('sha256').update(style).digest('base64');

const page = (language: Language, options: HomeOptions, generation: number | null): string => {
  const host = escapeHtml(options.hostname);
  const other = language === 'zh' ? 'en' : 'zh';
  const rows = options.services.map(
    ({ name, port, security }) =>
      `<tr><td>${escapeHtml(say(language, `web.service.${name}`))}</td><td>${host}</td><td>${port}</td><td>${security}</td></tr>`,
  );
  const mailPrograms =
    rows.length === 0
      ? ''
      : `<h2>${escapeHtml(say(language, 'web.programs'))}</h2>
<p>${escapeHtml(say(language, 'web.programs.text'))}</p>
<table><tr><th></th><th>${escapeHtml(say(language, 'web.server'))}</th><th>${escapeHtml(say(language, 'web.port'))}</th><th>${escapeHtml(say(language, 'web.security'))}</th></tr>
${rows.join('\n')}</table>
${options.localAuthority ? `<p>${escapeHtml(say(language, 'web.authority'))}</p>` : ''}`;
  const links =
    generation === null
      ? `<p>${escapeHtml(say(language, 'web.seal.none'))}</p>`
      : `<ul><li><a href="/seal/key">${escapeHtml(say(language, 'web.seal.key'))}</a></li>
<li><a href="/seal/g${generation}/checkpoint">${escapeHtml(say(language, 'web.seal.checkpoint'))}</a></li></ul>`;
  return `<!doctype html>
<html lang="${language === 'zh' ? 'zh-Hans' : 'en'}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Fengni · ${host}</title><style>${style}</style></head>
<body>
<p class="language"><a href="/?lang=${other}" hreflang="${other}" lang="${other}">${other === 'zh' ? '中文' : 'English'}</a></p>
<h1>${escapeHtml(say(language, 'web.title', { host: options.hostname }))}</h1>
<p>${escapeHtml(say(language, 'web.what'))}</p>
<p>${escapeHtml(say(language, 'web.no-webmail'))}</p>
${mailPrograms}
<h2>${escapeHtml(say(language, 'web.seal'))}</h2>
<p>${escapeHtml(say(language, 'web.seal.text'))}</p>
<p><code>./fengni receipt ID -o mail.tlog-proof</code><br><code>./fengni verify-receipt mail.tlog-proof mail.eml --key KEY</code></p>
${links}
</body>
</html>
`;
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
