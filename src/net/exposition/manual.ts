import { type Language, say } from '#base/text';
import { type Family, type FamilyName, families, labelValues, meaningKey, valueKey } from './families.ts';

/** docs/operate/metrics.md, in one language. */
export const metricsManual = (language: Language): string => {
  const words = (key: 'title' | 'made' | 'intro' | 'scrape' | 'head' | 'values' | 'values-head') =>
    say(language, `metrics.page.${key}`);
  const rows = (Object.keys(families) as FamilyName[]).map((name) => {
    const { type, labels }: Family = families[name];
    const shown = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${shown === '' ? '–' : shown} | ${say(language, meaningKey(name))} |`;
  });
  const values = Object.entries(labelValues).flatMap(([label, all]) =>
    all.map((value) => `| \`${label}\` | \`${value}\` | ${say(language, valueKey(value))} |`),
  );
  return [
    `# ${words('title')}`,
    '',
    words('made'),
    '',
    words('intro'),
    '',
    words('scrape'),
    '',
    '```yaml',
    'scrape_configs:',
    '  - job_name: fengni',
    '    static_configs:',
    "      - targets: ['127.0.0.1:2909']",
    '```',
    '',
    words('head'),
    '|---|---|---|---|',
    ...rows,
    '',
    `## ${words('values')}`,
    '',
    words('values-head'),
    '|---|---|---|',
    ...values,
    '',
  ].join('\n');
};
