import { createHash } from 'node:crypto';
import { type Language, say } from '#base/text';
import type { HomeOptions } from './home-route.ts';

const style = `:root{color-scheme:light dark}
body{font:16px/1.6 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1.2rem .2rem 0}
code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
.language{float:right}`;
/** of the page's one style sheet, for its policy */
export const styleHash = createHash('sha256').update(style).digest('base64');

/** The first page in one language. */
export const page = (language: Language, options: HomeOptions, generation: number | null): string => {
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
