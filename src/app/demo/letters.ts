import type { Language } from '#base/text';

/** A mail of the story: octets with CRLF line ends. */
export interface Letter {
  from: string;
  octets: Buffer;
  /** what a person sees of it */
  lines: readonly string[];
}

export interface Letters {
  /** the one that is read, proved, forged and mended */
  invoice: Letter;
  /** the one that is taken out of the log */
  contract: Letter;
  /** the one that came after the copy was made */
  delivery: Letter;
}

/** What the forger is after: one bit makes 9 of the first digit. */
export const amount = '1,280.00';
export const forgedAmount = '9,280.00';
/** ASCII 1 is 0x31, 9 is 0x39 */
export const forgedBit = 3;

const from = 'lin.wei@letters.example';

export const writeLetters = (language: Language, to: string, nowMs: number): Letters => {
  const isChinese = language === 'zh';
  const sender = isChinese ? '林薇' : 'Lin Wei';
  const letter = (name: string, subject: string, text: readonly string[]): Letter => ({
    from,
    octets: Buffer.from(
      [
        `From: ${encodedWord(sender)} <${from}>`,
        `To: ${to}`,
        `Subject: ${encodedWord(subject)}`,
        `Date: ${new Date(nowMs).toUTCString().replace('GMT', '+0000')}`,
        `Message-ID: <${name}.${nowMs}@letters.example>`,
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=utf-8',
        'Content-Transfer-Encoding: 8bit',
        '',
        ...text,
        '',
      ].join('\r\n'),
    ),
    lines: [
      `${isChinese ? '发件人：' : 'From: '}${sender} <${from}>`,
      `${isChinese ? '主题：' : 'Subject: '}${subject}`,
      ...text.filter((line) => line !== ''),
    ],
  });
  return isChinese
    ? {
        invoice: letter('invoice', '发票 2026-117', [
          '您好：',
          '',
          `请于周五前支付发票 2026-117 的货款 ${amount} 元。`,
          '',
          '林薇',
        ]),
        contract: letter('contract', '合同已签', ['您好：', '', '合同已经签好，今天寄出。', '', '林薇']),
        delivery: letter('delivery', '周一送货', ['您好：', '', '货物下周一送到。', '', '林薇']),
      }
    : {
        invoice: letter('invoice', 'Invoice 2026-117', [
          'Hello,',
          '',
          `please pay ${amount} EUR for invoice 2026-117 by Friday.`,
          '',
          'Lin Wei',
        ]),
        contract: letter('contract', 'The contract is signed', [
          'Hello,',
          '',
          'the contract is signed and in the post.',
          '',
          'Lin Wei',
        ]),
        delivery: letter('delivery', 'Delivery on Monday', [
          'Hello,',
          '',
          'the goods arrive next Monday.',
          '',
          'Lin Wei',
        ]),
      };
};

/** RFC 2047 §2 where it is needed; these texts are short enough for one word. */
const encodedWord = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) ? text : `=?utf-8?B?${Buffer.from(text).toString('base64')}?=`;
