import fs from 'node:fs';
import path from 'node:path';

// The tables of README.md and README.zh.md about reading, made from what bench/reading.ts has recorded: nobody copies figures by hand.

const root = path.resolve(import.meta.dirname, '../..');
const [begin, end] = ['<!-- bench reading: begin -->', '<!-- bench reading: end -->'];

/** Cells of a Markdown row; null for any other line. */
const cellsOf = (line: string): string[] | null =>
  line.startsWith('| ') && !line.startsWith('| ---') ? line.slice(2, -2).split(' | ') : null;

interface Measured {
  perSecond: string;
  cpuUs: string;
}

interface Section {
  /** messages */
  count: number;
  sizeBytes: number;
  /** by what was done, then by server */
  rows: Map<string, Map<string, Measured>>;
  idle: Map<string, string[]>;
  flat: Map<string, string[]>;
}

/** What a record says. */
export const parseReading = (text: string): { when: string; machine: string; sections: Section[] } => {
  const sections: Section[] = [];
  let [when, machine] = ['', ''];
  let into: 'rows' | 'idle' | 'flat' = 'rows';
  for (const line of text.split('\n')) {
    const head = /^(\d{4}-\d\d-\d\d)T\S+, (.*?); .*?; (\d+) messages of (\d+) octets/.exec(line);
    if (head !== null) {
      if (when === '') [when, machine] = [head[1] ?? '', head[2] ?? ''];
      sections.push({
        count: Number(head[3]),
        sizeBytes: Number(head[4]),
        rows: new Map(),
        idle: new Map(),
        flat: new Map(),
      });
    }
    const [cells, section] = [cellsOf(line), sections.at(-1)];
    if (cells === null || section === undefined) continue;
    const [first = '', second = '', third = '', , fifth = ''] = cells;
    if (first === 'what') into = 'rows';
    else if (first === 'server') into = second === 'sessions' ? 'idle' : 'flat';
    else if (into !== 'rows') section[into].set(first, cells);
    else if (cells.length === 6 && !Number.isNaN(Number(third)) && third !== '') {
      const servers = section.rows.get(first) ?? new Map<string, Measured>();
      servers.set(second, { perSecond: third, cpuUs: fifth });
      section.rows.set(first, servers);
    }
  }
  return { when, machine, sections };
};

const servers = ['Fengni', 'Dovecot Maildir', 'Dovecot sdbox'] as const;

interface Words {
  intro(when: string, machine: string, record: string): string;
  what: string;
  messages: string;
  faster: string;
  cpuLess: string;
  flat: string;
  flatHead: string;
  idle: string;
  idleHead: string;
  /** a row’s name */
  named(what: string): string;
}

const english: Words = {
  intro: (when, machine, record) =>
    `Measured on ${when}, ${machine}, client and servers on one machine, every answer durable and every message compared with what was sent; the ` +
    `whole record, with the versions and settings of all servers, is [${record}](${record}). Each cell: operations a second · CPU µs of all the ` +
    'server’s processes for each. Repeat it: `npm run bench -- reading --prepared DIR` (`bench/README.md` says how DIR is made).',
  what: 'what',
  messages: 'messages',
  faster: 'Fengni ÷ Maildir, rate',
  cpuLess: 'Maildir ÷ Fengni, CPU',
  flat: 'What must not grow with a mailbox (Fengni; ms, in brackets CPU ms):',
  flatHead:
    '| messages | first SELECT after a start | SELECT | STORE of one | APPEND that an idle session hears of: CPU | heard after, p50 / p99 |',
  idle: 'Idle sessions over TLS, INBOX selected:',
  idleHead: '| server | sessions | kB each | heard of a message after, p50 / p99 ms | CPU ms a message |',
  named: (what) => what,
};

const chineseNames: Readonly<Record<string, string>> = {
  'APPEND, 10 sessions': 'APPEND，10 个会话',
  'LOGIN and SELECT on a new TLS connection': '新 TLS 连接上的 LOGIN 与 SELECT',
  'STORE, one by one': 'STORE，逐条',
  'STORE, 50 pipelined': 'STORE，50 条连发',
  'APPEND, 1 session': 'APPEND，1 个会话',
  'POP3 RETR, one after the other, TLS': 'POP3 RETR，逐封，TLS',
  'FETCH 1:* BODY.PEEK[], plain': 'FETCH 1:* BODY.PEEK[]，明文',
  'FETCH 1:* BODY.PEEK[], TLS': 'FETCH 1:* BODY.PEEK[]，TLS',
};

const chinese: Words = {
  intro: (when, machine, record) =>
    `测于 ${when}，${machine}；客户端与各服务器同在一台机器上，每个应答都已落盘，每封邮件都与发出的逐一比对。完整记录连同各服务器的版本与设置见 ` +
    `[${record}](${record})。每格：每秒次数 · 服务器全部进程每次所用 CPU 微秒。重做：\`npm run bench -- reading --prepared DIR\`（DIR 的准备见 ` +
    '`bench/README.md`）。',
  what: '操作',
  messages: '邮件数',
  faster: 'Fengni ÷ Maildir，速率',
  cpuLess: 'Maildir ÷ Fengni，CPU',
  flat: '不应随邮箱增大的开销（Fengni；毫秒，括号内为 CPU 毫秒）：',
  flatHead:
    '| 邮件数 | 启动后首次 SELECT | SELECT | STORE 一封 | APPEND 一封并通知空闲会话：CPU | 通知延迟 p50 / p99 |',
  idle: '经 TLS 的空闲会话，已选 INBOX：',
  idleHead: '| 服务器 | 会话数 | 每个 kB | 新邮件通知延迟 p50 / p99 毫秒 | 每封 CPU 毫秒 |',
  named: (what) => chineseNames[what] ?? what,
};

const ratio = (a: string | undefined, b: string | undefined): string => {
  const value = Number(a) / Number(b);
  if (a === undefined || b === undefined || !Number.isFinite(value)) return '–';
  return `${value >= 10 ? value.toFixed(0) : value.toPrecision(2)}×`;
};

const rule = (head: string): string => head.replace(/[^|]+/g, ' --- ');

/** The section of a README, without its marks. */
export const readmeSection = (record: string, text: string, words: Words): string => {
  const { when, machine, sections } = parseReading(text);
  const out = [words.intro(when, machine, record), ''];
  const head = `| ${[words.messages, words.what, ...servers, words.faster, words.cpuLess].join(' | ')} |`;
  out.push(head, rule(head));
  for (const { count, rows } of sections)
    for (const [what, found] of rows) {
      const [fengni, maildir] = [found.get('Fengni'), found.get('Dovecot Maildir')];
      const cells = servers.map((server) => {
        const measured = found.get(server);
        return measured === undefined ? '–' : `${measured.perSecond} · ${measured.cpuUs}`;
      });
      out.push(
        `| ${[
          count.toLocaleString('en'),
          words.named(what),
          ...cells,
          ratio(fengni?.perSecond, maildir?.perSecond),
          ratio(maildir?.cpuUs, fengni?.cpuUs),
        ].join(' | ')} |`,
      );
    }
  const flat = sections.flatMap((section) => section.flat.get('Fengni') ?? []);
  if (flat.length > 0) {
    out.push('', words.flat, '', words.flatHead, rule(words.flatHead));
    for (const section of sections) {
      const cells = section.flat.get('Fengni');
      if (cells === undefined) continue;
      const [, , cold, coldCpu, warm, warmCpu, store, storeCpu, push, p50, p99] = cells;
      out.push(
        `| ${section.count.toLocaleString('en')} | ${cold} (${coldCpu}) | ${warm} (${warmCpu}) | ${store} (${storeCpu}) | ${push} | ${p50} / ${p99} |`,
      );
    }
  }
  for (const { idle } of sections) {
    if (idle.size === 0) continue;
    out.push('', words.idle, '', words.idleHead, rule(words.idleHead));
    for (const [server, [, sessions, , kb, p50, p99, cpu]] of idle)
      out.push(`| ${server} | ${sessions} | ${kb} | ${p50} / ${p99} | ${cpu} |`);
  }
  return out.join('\n');
};

/** Puts the tables of a record between the marks of both READMEs. */
export const writeReadmeTables = (file: string): void => {
  const record = path.relative(root, file);
  const text = fs.readFileSync(file, 'utf8');
  for (const [name, words] of [
    ['README.md', english],
    ['README.zh.md', chinese],
  ] as const) {
    const readme = fs.readFileSync(path.join(root, name), 'utf8');
    const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`${name}: no ${begin} … ${end}`);
    const section = readmeSection(record, text, words);
    fs.writeFileSync(
      path.join(root, name),
      `${readme.slice(0, from + begin.length)}\n${section}\n${readme.slice(to)}`,
    );
  }
};
