/** A message as it goes behind DATA: one octet a character, lines end in CRLF. */
export interface OddMessage {
  name: string;
  octets: string;
  from: string;
  to: string;
  /** asks for SMTPUTF8 (RFC 6531) */
  smtpUtf8?: true;
}

const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Messages that clients, servers and stores are known to change. None has a bare CR or LF: those are refused. */
export const oddMessages = (account: string): OddMessage[] => {
  const envelope = { from: 'sender@example.org', to: account };
  const header = (subject: string): string =>
    `From: sender@example.org\r\nTo: ${account}\r\nSubject: ${subject}\r\n`;
  const line = 'The quick brown fox jumps over the lazy dog, once more.\r\n';
  const [local = '', domain = ''] = account.split('@');
  return [
    { name: 'plain', ...envelope, octets: `${header('plain')}\r\nHello.\r\n` },
    { name: 'empty body', ...envelope, octets: `${header('empty body')}\r\n` },
    { name: 'header alone, no empty line', ...envelope, octets: header('header alone') },
    { name: 'no header, body alone', ...envelope, octets: '\r\nNo header at all.\r\n' },
    { name: 'no header, no empty line', ...envelope, octets: 'just some words\r\nand more\r\n' },
    { name: 'one empty line', ...envelope, octets: '\r\n' },
    { name: 'empty lines at the end', ...envelope, octets: `${header('empty lines')}\r\nx\r\n\r\n\r\n\r\n` },
    {
      name: 'blanks at line ends',
      ...envelope,
      octets: `${header('blanks')}\r\nx  \r\n\t\r\n  \r\ny \t\r\n`,
    },
    {
      name: 'dots at line starts',
      ...envelope,
      octets: `${header('dots')}\r\n.\r\n..\r\n...\r\n.x\r\n. \r\nend\r\n.\r\n`,
    },
    { name: 'a dot first of all', ...envelope, octets: '.first: x\r\n\r\n.\r\n' },
    { name: 'a line From', ...envelope, octets: `${header('from line')}\r\nFrom here on\r\n>From there\r\n` },
    {
      name: '8 bit',
      ...envelope,
      octets: `${header('8 bit')}\r\n${utf8('Grüße, 你好')}\r\n\xe9\xff\x80\r\n`,
    },
    {
      name: 'NUL and controls',
      ...envelope,
      octets: `${header('NUL')}\r\na\0b\0\0\r\n\x01\x07\x1b\x7f\r\n\0\r\n`,
    },
    ...[998, 999, 1_000, 8_191, 65_537].map((length) => ({
      name: `a line of ${length} octets`,
      ...envelope,
      octets: `${header(`long ${length}`)}\r\n${'x'.repeat(length)}\r\nend\r\n`,
    })),
    {
      name: 'a header line of 5,000 octets',
      ...envelope,
      octets: `${header('long header')}X-Long: ${'y'.repeat(5_000)}\r\n\r\nend\r\n`,
    },
    {
      name: 'own seal of somebody else',
      ...envelope,
      octets: `Fengni-Seal: id=${'a'.repeat(26)}; sha256=${'0'.repeat(64)}; o=example.org/fengni/s0/g1\r\n${header('seal')}\r\nx\r\n`,
    },
    { name: '1 MB', ...envelope, octets: `${header('1 MB')}\r\n${line.repeat(18_500)}` },
    {
      name: '1 MB of 8 bit',
      ...envelope,
      octets: `${header('8 bit 1 MB')}\r\n${`\x80${'\xfe'.repeat(70)}.\r\n`.repeat(14_000)}`,
    },
    {
      name: 'UTF-8 addresses and header',
      from: '用户@例子.example',
      to: `${local}+封泥@${domain}`,
      smtpUtf8: true,
      octets: utf8(`From: 用户 <用户@例子.example>\r\nTo: ${account}\r\nSubject: 封泥\r\n\r\n你好。\r\n`),
    },
  ];
};
