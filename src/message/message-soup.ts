/** Pieces from which tests and fuzz targets of this folder make messages: what parsers stumble over, in any order. */
export const soupPieces: readonly string[] = [
  'Content-Type: multipart/mixed; boundary=a\r\n',
  'Content-Type: multipart/digest; boundary="ab"\r\n',
  'Content-Type: multipart/x;\r\n boundary="a b "\r\n',
  'Content-Type: multipart/mixed\r\n',
  'Content-Type: message/rfc822\r\n',
  'Content-Type: message/global\n',
  'Content-Type: text/html; charset=utf-8; name*0*=a; name*1=b\r\n',
  'Content-Type: application/octet-stream\r\n',
  'Content-Transfer-Encoding: base64\r\n',
  'Content-Disposition: attachment; filename="x\r\n y"\r\n',
  'Subject: \xc3\xa9 x\r\n',
  'From: "A \\" B" <a@b>, g: c@d, <@r:e@f>;\r\n',
  'X-Long: ',
  'no colon\r\n',
  ' folded\r\n',
  '\tfolded\n',
  ' \r\n',
  'Bad Name: x\r\n',
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '--a\r\n',
  '--ab\r\n',
  '--a--\r\n',
  '--ab--',
  '--a b\r\n',
  '--abc\n',
  '--',
  '-',
  '--\r\n',
  'text\r\n',
  'text',
  '\0',
  '\xff\xfe',
];

const heads = [
  '',
  'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n',
  'Content-Type: multipart/digest; boundary=ab\r\n\r\n--ab\r\n\r\nContent-Type: multipart/mixed; boundary=a\n\n--a\n',
  'Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n',
];

/** A message from any octets: each picks a piece, some of them many times over; the first picks how it begins. */
export const soup = (picks: Uint8Array): Buffer =>
  Buffer.from(
    Array.from(picks, (pick, index) => {
      if (index === 0) return heads[pick % heads.length] ?? '';
      const piece = soupPieces[pick % soupPieces.length] ?? '';
      return pick >= 250 ? piece.repeat(50) : pick === 249 ? 'y'.repeat(8190) : piece;
    }).join(''),
    'latin1',
  );
