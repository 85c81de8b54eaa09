import { configurationManual } from '#app/config';
import { faultTexts, type Language } from '#base/text';
import { metricsManual } from '#net/exposition';

/** The pages of docs/ that are made from the source, by path. */
export const generatedPages = (): Readonly<Record<string, string>> => ({
  'docs/operate/configuration.md': configurationManual('en'),
  'docs/operate/configuration.zh.md': configurationManual('zh'),
  'docs/operate/metrics.md': metricsManual('en'),
  'docs/operate/metrics.zh.md': metricsManual('zh'),
  'docs/errors.md': errorPage('en'),
  'docs/errors.zh.md': errorPage('zh'),
});

const words = {
  en: {
    title: 'Errors',
    made: '<!-- Made by "npm run docs" from src/base/text/en/errors.ts; do not edit. -->',
    intro:
      'Every fault that Fengni tells has a code that stays the same. Programs find it in `--json` output (`error.code`) and in the log; people read the sentence and what to do. … stands for what the fault is about: a file, a setting, an address.',
    head: '| code | what is wrong | what to do |',
  },
  zh: {
    title: '错误',
    made: '<!-- 由“npm run docs”根据 src/base/text/zh/errors.ts 生成，请勿手工修改。 -->',
    intro:
      '封泥报告的每个错误都有一个不变的代码。程序可在 `--json` 输出（`error.code`）和日志中找到它；人看到的是说明和解决办法。…代表错误所涉及的对象：文件、设置或地址。',
    head: '| 代码 | 哪里有问题 | 怎么办 |',
  },
} as const;

const errorPage = (language: Language): string => {
  const { title, made, intro, head } = words[language];
  const rows = faultTexts(language).map(
    ({ code, sentence, remedy }) => `| \`${code}\` | ${cell(sentence)} | ${cell(remedy)} |`,
  );
  return [`# ${title}`, '', made, '', intro, '', head, '|---|---|---|', ...rows, ''].join('\n');
};

const cell = (text: string): string => text.replaceAll('{subject}', '…').replaceAll('|', '\\|');
