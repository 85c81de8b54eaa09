import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  baseSubject,
  charsetOf,
  createTransferDecoder,
  decodeHeaderText,
  decodeParameter,
  decodeText,
  decodeTransfer,
  guessCharset,
  parseDate,
  parseMediaType,
  parseMessage,
  parseMessageIds,
  type TransferEncoding,
  threadReferences,
} from './index.ts';

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');
const decoded = (text: string, encoding: TransferEncoding): string =>
  Buffer.from(decodeTransfer(octets(text), encoding)).toString('latin1');

test('quoted-printable as it is sent (RFC 2045 §6.7)', () => {
  const cases: [string, string][] = [
    ['a=3Db=3db', 'a=b=b'],
    ['soft=\r\nbreak', 'softbreak'],
    ['soft=  \r\nbreak', 'softbreak'],
    ['soft=\nbreak', 'softbreak'],
    ['blanks  \t\r\nend  ', 'blanks\r\nend'],
    ['in  the  middle', 'in  the  middle'],
    ['stray = and =x', 'stray = and =x'],
    ['cut off=', 'cut off'],
    ['cut off=4', 'cut off=4'],
    ['=E4=B8=AD', '\xe4\xb8\xad'],
  ];
  for (const [encoded, expected] of cases)
    assert.equal(decoded(encoded, 'quoted-printable'), expected, encoded);
});

test('base64 as it is sent (RFC 2045 §6.8)', () => {
  const cases: [string, string][] = [
    ['SGVs\r\nbG8=', 'Hello'],
    ['SGVsbG8', 'Hello'],
    ['SGVs!bG8=\r\n', 'Hello'],
    ['QQ==QkI=Q0ND', 'ABBCCC'],
    ['====', ''],
    ['Q', ''],
    ['', ''],
  ];
  for (const [encoded, expected] of cases) assert.equal(decoded(encoded, 'base64'), expected, encoded);
});

test('uuencode from its begin line to its end line', () => {
  const body = 'text before\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nafter\r\n#0V%T\r\n';
  assert.equal(decoded(body, 'uuencode'), 'Cat');
  assert.equal(decoded(body.replace(/\r/g, ''), 'uuencode'), 'Cat');
  assert.equal(decoded('begin 644 x\n#0V', 'uuencode').length, 3);
  assert.equal(decoded('no begin\n#0V%T\n', 'uuencode'), '');
});

test('a transfer encoding is undone the same way in every chunking (property)', () => {
  const pieces = [
    '=',
    '4',
    '1',
    'AB',
    ' ',
    '\t',
    '\r\n',
    '\n',
    '\r',
    '==',
    'QUJD',
    'begin 644 x\n',
    '#0V%T\n',
    'end\n',
    '\xff',
    '`',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom<TransferEncoding>('base64', 'quoted-printable', 'uuencode', 'identity', 'other'),
      fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => octets(parts.join(''))),
      fc.integer({ min: 1, max: 7 }),
      (encoding, body, size) => {
        const decoder = createTransferDecoder(encoding);
        const out: Uint8Array[] = [];
        for (let at = 0; at < body.length; at += size) out.push(decoder.write(body.subarray(at, at + size)));
        out.push(decoder.end());
        assert.deepEqual(Buffer.concat(out), Buffer.from(decodeTransfer(body, encoding)));
      },
    ),
  );
});

test('what was encoded comes back (property)', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (body) => {
      const base64 = Buffer.from(body)
        .toString('base64')
        .replace(/(.{20})/g, '$1\r\n');
      assert.deepEqual(Buffer.from(decodeTransfer(octets(base64), 'base64')), Buffer.from(body));
      const quoted = Array.from(body, (octet) => `=${octet.toString(16).padStart(2, '0')}`).join('');
      assert.deepEqual(Buffer.from(decodeTransfer(octets(quoted), 'quoted-printable')), Buffer.from(body));
    }),
  );
});

test('encoded words as RFC 2047 §8 shows them and as people write them', () => {
  const cases: [string, string][] = [
    ['=?ISO-8859-1?Q?a?=', 'a'],
    ['=?ISO-8859-1?Q?a?= b', 'a b'],
    ['=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=', 'ab'],
    ['=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=', 'ab'],
    ['=?ISO-8859-1?Q?a_b?=', 'a b'],
    ['=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=', 'a b'],
    ['=?utf-8?B?5Lit?= =?UTF-8?B?5paH?=', '中文'],
    // A character cut in two by the words.
    ['=?utf-8?B?5Lg=?= =?utf-8?B?reaWhw==?=', '中文'],
    ['=?gb2312?B?1tDOxA==?=', '中文'],
    ['=?GBK?Q?=D6=D0=CE=C4?=', '中文'],
    ['=?big5?B?pKSk5Q==?=', '中文'],
    ['=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', '日本'],
    ['=?iso-2022-jp?B?GyRCRnwbKEI=?= =?ISO-2022-JP?B?GyRCS1wbKEI=?=', '日本'],
    ['=?euc-kr?B?x9GxuQ==?=', '한국'],
    ['=?utf-8?q?what??=', 'what?'],
    ['=?utf-8?q?"quoted"?=', '"quoted"'],
    ['=?unknown-charset?q?caf=E9?=', 'café'],
    ['=?us-ascii*en?q?x?=', 'x'],
    ['=?utf-8?x?a?=', '=?utf-8?x?a?='],
    ['=?utf-8?q?open', '=?utf-8?q?open'],
    ['caf\xc3\xa9', 'café'],
    ['caf\xe9', 'café'],
    ['a=?utf-8?q?b?=c', 'abc'],
    // A fold inside a word, which RFC 2047 §2 forbids, stands for nothing.
    ['=?utf-8?q?a\r\n  _b?= c\r\n d', 'a b c d'],
    ['=?utf-8?B?5Lit\r\n 5paH?=', '中文'],
  ];
  for (const [encoded, expected] of cases) assert.equal(decodeHeaderText(encoded), expected, encoded);
});

test('a file name in every form that mailers give it (RFC 2231 §4, RFC 2047 §5)', () => {
  const name = (value: string): string | null =>
    decodeParameter(parseMediaType(`application/pdf; ${value}`)?.parameters ?? [], 'name');
  assert.equal(name("name*=utf-8''%e4%b8%ad%e6%96%87.pdf"), '中文.pdf');
  assert.equal(name("name=x.pdf; name*=gbk''%D6%D0%CE%C4.pdf"), '中文.pdf');
  assert.equal(name('name*0*=utf-8\'\'%e4%b8; name*1*=%ad; name*2=".pdf"'), '中.pdf');
  assert.equal(name('name*0="a b"; name*1=".pdf"'), 'a b.pdf');
  assert.equal(name('name="=?utf-8?B?5Lit5paHLnBkZg==?="'), '中文.pdf');
  assert.equal(name('name==?utf-8?B?5Lit5paHLnBkZg==?='), '中文.pdf');
  assert.equal(name('name=\xe4\xb8\xad.pdf'), '中.pdf');
  assert.equal(name('name=Annual report.pdf; x=y'), 'Annual report.pdf');
  assert.equal(name('name*=no-charset.pdf'), 'no-charset.pdf');
  assert.equal(name('other=x'), null);
  // The charset in each piece, against RFC 2231 §4.1; a piece that is missing.
  assert.equal(name("name*0*=utf-8''%e4%b8%ad; name*1*=utf-8''%e6%96%87"), '中文');
  assert.equal(name("name*0*=iso-8859-1'es'%D1; name*1*=iso-8859-1'%20a"), 'Ñ a');
  assert.equal(name('name*0=a; name*2=c; name*1=b; name*9=".pdf"'), 'abc.pdf');
});

test('charsets that ICU does not have (RFC 1557, 1843, 1922, 2152)', () => {
  const text = (label: string, body: string): string => decodeText(octets(body), label).text;
  assert.equal(
    text('hz-gb-2312', 'This: ~{<:Ky2;S{#,NpJ)l6HK!#~}Bye. ~~'),
    'This: 己所不欲，勿施於人。Bye. ~',
  );
  assert.equal(text('iso-2022-kr', '\x1b$)C\x0eGQ1[\x0f ab'), '한글 ab');
  assert.equal(text('iso-2022-cn', 'a\x1b$)A\x0eVPND\x0f b'), 'a中文 b');
  assert.equal(text('utf-7', 'Hi Mom -+Jjo--!+-'), 'Hi Mom -☺-!+');
  assert.equal(text('utf-32be', '\0\0\x4e\x2d'), '中');
  assert.equal(text('shift_jis', '\x93\xfa\x96{\x81<a>\xb6\xff'), '日本\ufffd<a>ｶ\ufffd');
  assert.equal(text('cp949', '\x8c\x63\xb9\xe6\xb0\xa2\xc7\xcf'), '똠방각하');
  assert.equal(text('big5-hkscs', '\x88\x62\xa4\xa4'), 'Ê̄中');
  assert.equal(charsetOf('"GB2312"'), 'gb18030');
  assert.equal(charsetOf('nobody-knows'), null);
  assert.deepEqual(decodeText(octets('\xe4\xb8\xad'), null), {
    text: '中',
    charset: 'utf-8',
    isKnown: false,
    confidence: 1,
  });
  assert.equal(decodeText(octets('caf\xe9'), 'nobody-knows').charset, 'windows-1252');
});

test('text without a usable label is told by its commonest characters, with a confidence', () => {
  const cases: [charset: string, base64: string][] = [
    // 会议通知, 您好，附件是本月的报告，请查收。谢谢！
    ['gb18030', 'u+HS6c2o1qo='],
    ['gb18030', 'xPq6w6OsuL28/srHsb7UwrXEsai45qOsx+uy6crVoaPQu9C7o6E='],
    // 會議通知
    ['big5', 't3zEs7Nxqr4='],
    // 会議のお知らせ
    ['shift_jis', 'ie+LY4LMgqiSbYLngrk='],
    // 안녕하세요. 첨부 파일을 확인해 주시기 바랍니다.
    ['uhc', 'vsiz58fPvLy/5C4gw7e6ziDGxMDPwLsgyK7AzsfYIMHWvcOx4iC52bb4tM+02S4='],
    ['windows-1252', Buffer.from('M\xfcller und S\xf6hne', 'latin1').toString('base64')],
    ['windows-1252', Buffer.from('caf\xe9', 'latin1').toString('base64')],
    ['utf-8', Buffer.from('中文').toString('base64')],
    ['iso-2022-jp', Buffer.from('\x1b$B$*CN$i$;\x1b(B', 'latin1').toString('base64')],
  ];
  for (const [charset, base64] of cases) {
    const guess = guessCharset(Buffer.from(base64, 'base64'));
    assert.equal(guess.charset, charset, base64);
    assert.ok(charset === 'windows-1252' ? guess.confidence < 0.3 : guess.confidence > 0.4, base64);
  }
  // A label that can't be: ASCII with octets beyond it.
  assert.equal(decodeText(Buffer.from('u+HS6c2o1qo=', 'base64'), 'us-ascii').text, '会议通知');
  assert.equal(decodeHeaderText(Buffer.from('u+HS6c2o1qo=', 'base64').toString('latin1')), '会议通知');
  assert.deepEqual(decodeText(Buffer.from('plain'), 'us-ascii'), {
    text: 'plain',
    charset: 'windows-1252',
    isKnown: true,
    confidence: 1,
  });
});

test('a label that the octets contradict is not believed; one that fits is', () => {
  const chinese = '您好，附件是本月的会议报告，请查收。谢谢！';
  const utf8 = Buffer.from(chinese);
  const gbk = Buffer.from('xPq6w6OsuL28/srHsb7UwrXEu+HS6bGouOajrMfrsunK1aGj0LvQu6Oh', 'base64');
  const shiftJis = Buffer.from('ie+LY4LMgqiSbYLngrmCxYK3gUKCzYKi', 'base64');
  const check = (octets: Uint8Array, label: string | null, charset: string, text?: string): void => {
    const decoded = decodeText(octets, label);
    assert.equal(decoded.charset, charset, `${label} ${decoded.text}`);
    if (text !== undefined) assert.equal(decoded.text, text, `${label}`);
    assert.ok(decoded.isKnown ? decoded.confidence === 1 : decoded.confidence > 0.4);
  };
  for (const label of ['gb2312', 'gbk', 'big5', 'iso-8859-1', 'shift_jis', 'euc-kr', 'us-ascii', null]) {
    check(utf8, label, 'utf-8', chinese);
  }
  for (const label of ['utf-8', 'iso-8859-1', 'windows-1252', 'gb2312', 'gb18030', 'us-ascii', null]) {
    check(gbk, label, 'gb18030', chinese);
  }
  for (const label of ['utf-8', 'iso-8859-1', 'gb2312', null]) check(shiftJis, label, 'shift_jis');
  // HZ, ISO-2022-CN, -KR and -JP are ASCII octets.
  check(octets('~{VPND5DSJ<~~}'), null, 'hz-gb-2312', '中文的邮件');
  check(octets('\x1b$)A\x0eVPND\x0f'), null, 'iso-2022-cn', '中文');
  check(octets('\x1b$)C\x0eGQ1[\x0f'), 'us-ascii', 'iso-2022-kr', '한글');
  check(octets('\x1b$BF|K\\\x1b(B'), null, 'iso-2022-jp', '日本');
  check(octets('\xff\xfe\x2d\x4e\x87\x65'), null, 'utf-16be', '中文');
  check(octets('\xef\xbb\xbfa'), null, 'utf-8', 'a');
  check(octets('\xef\xbb\xbf\xe4\xb8\xad'), 'gb2312', 'utf-8', '中');
  // What a label says of its own script stays.
  check(octets('caf\xe9, M\xfcller und S\xf6hne'), 'iso-8859-1', 'windows-1252', 'café, Müller und Söhne');
  check(octets('\xd0\xd2\xc9\xd7\xc5\xd4'), 'koi8-r', 'koi8-r', 'привет');
  check(octets('\xcf\xf0\xe8\xe2\xe5\xf2'), 'windows-1251', 'windows-1251', 'Привет');
  check(octets('\xc3\xa9'), 'gbk', 'gb18030', '茅');
  check(octets('x = ~{a; b}; y'), null, 'utf-8', 'x = ~{a; b}; y');
  // A few broken octets, a character that a cut goes through.
  check(utf8.subarray(0, utf8.length - 1), 'utf-8', 'utf-8');
  check(Buffer.concat([Buffer.from('é'.repeat(60)), octets('\xff')]), 'utf-8', 'utf-8');
});

test('dates (RFC 5322 §3.3, §4.3)', () => {
  const cases: [string, string | null][] = [
    ['Thu, 15 Feb 2007 01:02:03 +0200', '2007-02-14T23:02:03.000Z'],
    ['15 Feb 07 01:02 EST', '2007-02-15T06:02:00.000Z'],
    ['Thu, 15 Feb 107 01:02:03 GMT', '2007-02-15T01:02:03.000Z'],
    ['Thu Feb 15 01:02:03 2007', '2007-02-15T01:02:03.000Z'],
    ['Thu Feb 15 01:02:03 EST 2007', '2007-02-15T06:02:03.000Z'],
    ['2007-02-15T01:02:03+08:00', '2007-02-14T17:02:03.000Z'],
    ['Thursday, 15-Feb-07 01:02:03 UTC', '2007-02-15T01:02:03.000Z'],
    ['Thu, 15 Feb 2007 01:02:60 -0000', '2007-02-15T01:02:59.000Z'],
    ['Thu, 15 Feb 2007 13:02:03 +0800 (CST)', '2007-02-15T05:02:03.000Z'],
    ['Thu, 15 Feb 2007 01:02:03', '2007-02-15T01:02:03.000Z'],
    ['15 2 07 01:02:03 +0200', '2007-02-14T23:02:03.000Z'],
    ['15 13 07 01:02:03 +0200', null],
    ['_ Thu, 15 Feb 2007 01:02:03 +0200', '2007-02-14T23:02:03.000Z'],
    ['31 Feb 2007 01:02:03 +0000', null],
    ['15 Foo 2007 01:02:03 +0000', null],
    ['15 Feb 2007 25:02:03 +0000', null],
    ['', null],
    ['yesterday', null],
  ];
  for (const [value, expected] of cases) {
    const date = parseDate(value);
    assert.equal(date === null ? null : new Date(date.epochMs).toISOString(), expected, value);
  }
  assert.equal(parseDate('Thu, 15 Feb 2007 01:02:03 -0330')?.offsetMinutes, -210);
});

test('base subjects (RFC 5256 §2.1)', () => {
  const cases: [string, string, boolean][] = [
    ['Re: b', 'b', true],
    ['[foo] Fwd: [bar] Re: fw: b (fWd)  (fwd)', 'b', true],
    ['b (a)', 'b (a)', false],
    ['Re: [FWD: c]', 'c', true],
    ['[xyz]', '[xyz]', false],
    ['[list] hello', 'hello', false],
    ['re: [fwd: [fwd: re: [fwd: babylon]]]', 'babylon', true],
    ['Re[2]: x', 'x', true],
    ['回复: 答复：会议', '会议', true],
    ['AW: WG: Termin', 'Termin', true],
    ['Reach: out', 'Reach: out', false],
    ['', '', false],
    ['Re:', '', true],
  ];
  for (const [subject, base, isReply] of cases) {
    assert.deepEqual(baseSubject(subject), { subject: base, isReplyOrForward: isReply }, subject);
  }
});

test('message-ids and what a message answers (RFC 5322 §3.6.4, RFC 5256 §3)', () => {
  assert.deepEqual(parseMessageIds('<a@b>\r\n <c d@e> (x) junk <a@b>'), ['a@b', 'cd@e']);
  assert.deepEqual(parseMessageIds('a@b'), ['a@b']);
  assert.deepEqual(parseMessageIds('Your message of today'), []);
  assert.deepEqual(parseMessageIds('<a <b@c>'), ['b@c']);
  assert.equal(parseMessageIds('<a@b> '.repeat(1000)).length, 1);
  assert.equal(
    parseMessageIds(Array.from({ length: 1000 }, (_, index) => `<${index}@b>`).join('')).length,
    200,
  );
  const parsed = parseMessage(
    octets('Message-ID: <m@x>\r\nIn-Reply-To: <p@x> <q@x>\r\nSubject: =?utf-8?q?Re:_caf=C3=A9?=\r\n\r\n'),
  );
  assert.deepEqual(threadReferences(parsed), {
    messageId: 'm@x',
    references: ['p@x'],
    baseSubject: 'café',
    isReplyOrForward: true,
  });
  const both = parseMessage(
    octets('References: <a@x> <m@x> <b@x>\r\nIn-Reply-To: <p@x>\r\nMessage-ID: <m@x>\r\n\r\n'),
  );
  assert.deepEqual(threadReferences(both).references, ['a@x', 'b@x']);
});

test('decoders never throw and never loop, whatever the octets (property)', () => {
  const alphabet = [
    '=?',
    '?=',
    '?',
    'utf-8',
    'gbk',
    'q',
    'B',
    '=',
    '4',
    '<',
    '>',
    '(',
    ')',
    '[',
    ']',
    '"',
    '\\',
    '*',
    "'",
    ';',
    ':',
    ' ',
    're',
    'fwd',
    '\x1b',
    '\x0e',
    '~{',
    '+',
    '\xe4',
    '\xff',
    '1',
    'Feb',
    '\r\n',
  ];
  const labels = [
    'hz',
    'iso-2022-kr',
    'iso-2022-cn',
    'utf-7',
    'cp949',
    'utf-16',
    'utf-32',
    'gbk',
    'big5',
    'x',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...alphabet), { maxLength: 40, size: 'max' }), (parts) => {
      const text = parts.join('');
      decodeHeaderText(text);
      baseSubject(text);
      parseDate(text);
      parseMessageIds(text);
      const media = parseMediaType(`a/b;${text}`);
      decodeParameter(media?.parameters ?? [], 'q');
      for (const label of labels) decodeText(octets(text), label);
    }),
  );
});
