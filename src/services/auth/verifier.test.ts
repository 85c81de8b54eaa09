import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { importVerifier, readHash } from './verifier.ts';

const imported = (line: string): string => {
  const outcome = importVerifier(line);
  assert.ok(outcome.kind === 'taken', `${line}: ${outcome.kind === 'refused' ? outcome.reason : ''}`);
  return outcome.verifier;
};

/** Whether a line is taken, fits its password, and no other. */
const assertFits = async (line: string, password: string): Promise<void> => {
  const hash = readHash(imported(line));
  assert.ok(hash !== null);
  assert.equal(await hash.matches(password), true, line);
  assert.equal(await hash.matches(`${password} `), false, line);
};

test('SHA-crypt: the specification’s vectors (https://www.akkadia.org/drepper/SHA-crypt.txt)', async () => {
  for (const [line, password] of [
    ['$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5', 'Hello world!'],
    ['$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA', 'Hello world!'],
    ['$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5', 'This is just a test'],
    [
      '$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1',
      'a very much longer text to encrypt.  This one even stretches over morethan one line.',
    ],
    [
      '$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/',
      'we have a short salt string but not a short password',
    ],
    ['$5$rounds=123456$asaltof16chars..$gP3VQ/6X7UUEW3HkBn2w1/Ptq2jxPyzV/cZKmF/wJvD', 'a short string'],
    [
      '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1',
      'Hello world!',
    ],
    [
      '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
      'Hello world!',
    ],
    [
      '$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0',
      'This is just a test',
    ],
    [
      '$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1',
      'a very much longer text to encrypt.  This one even stretches over morethan one line.',
    ],
    [
      '$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0',
      'we have a short salt string but not a short password',
    ],
    [
      '$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1',
      'a short string',
    ],
    ['$6$aB$VZvZqlzd5WqYlKtpwcByFcel8JrouE0LIUpANF/gDdpePaAW13ibxmRIpDtxg29viBnBlTqcEy.jjvo/SUoGo0', '封泥'],
    [
      '$6$rounds=1000$x$JUgHESfT/mKR2X.Qz/PrkEgBINN.wbH/GsJhhFRcgrb0a4MjVYFixxXtKicccBbv9PSG/n1kVdpVqZiR7Brv1.',
      '',
    ],
    [
      '$5$rounds=1000$x$sEWN7yjA6fmPQAL4VFspcFa0qd51zuGlhVPULMy9mj5',
      'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy',
    ],
  ] as const) {
    assert.equal(await readHash(imported(line))?.matches(password), true, line);
    if (/rounds=\d{5}/.test(line)) continue;
    await assertFits(`{${line.startsWith('$5') ? 'SHA256' : 'SHA512'}-CRYPT}${line}`, password);
    await assertFits(`{CRYPT}${line}`, password);
  }
});

test('bcrypt: the vectors of crypt_blowfish (https://www.openwall.com/crypt/)', async () => {
  for (const [line, password] of [
    ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW', 'U*U'],
    ['$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK', 'U*U*'],
    ['$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy', ''],
    ['$2b$04$abcdefghijklmnopqrstuudK4bK02zLI/jNisTnXqwGh5RwXRIjFy', '封泥'],
    [
      '$2y$06$ABCDEFGHIJKLMNOPQRSTUuB67Vs1eblinP/MVnXDIJw/IykIr1B0y',
      'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    ],
    ['$2b$04$......................hILHmqnZkcmpNVUAu9OXT3AShvuo3PW', 'ÿ£'],
  ] as const)
    await assertFits(`{BLF-CRYPT}${line}`, password);
  // what comes after the 72nd octet counts for nothing
  const long =
    '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored';
  const hash = readHash('$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui');
  assert.equal(await hash?.matches(long), true);
  assert.equal(await hash?.matches(long.slice(0, 72)), true);
  assert.equal(await hash?.matches(long.slice(0, 71)), false);
});

test('hashes as Dovecot and OpenLDAP write them (made by doveadm pw 2.3.19 and slappasswd’s rule)', async () => {
  for (const [line, password] of [
    ['{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=', 'correct horse'],
    ['{SHA}rwPJxLkSgIjEPOratOgvo6fUN4c=', '封泥 p'],
    ['{SSHA}BFV6xmv+rrUR+pTfTAkvVSv834JV7R4I', 'correct horse'],
    ['{SSHA}Li73SXWce14XHAY+ieRvHFZ1v0Hu1cEX', '封泥 p'],
    ['{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=', 'correct horse'],
    ['{SHA256}8IV0GrmMAJtz6lnP2m++mwq4q62thZkaaS3etBfMleg=', '封泥 p'],
    ['{SSHA256}SPsxA1+JF3Ajqr8gK0efTFYG6kDoO4A79Db/AG7yuPQ2YI/W', 'correct horse'],
    ['{SSHA256}ElARBRBI8bSK+eGgcuLmkW8kiQ7wT1Lr87SaIll7EeweoA1b', '封泥 p'],
    [
      '{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==',
      'correct horse',
    ],
    [
      '{SHA512}e0Tisu4SRb7HD6zBig0WCSpI6pu8VFyy0UthEqUHZ2AaGSmbtWTQ/WyUJt9opmXHEMyzJibOMAAUnLxHH0b4mg==',
      '封泥 p',
    ],
    [
      '{SSHA512}VaWtUl3pmy54Qkx8L8Ncx1iXzjBOs35czyvX+USYh+3PL+c+xsgSMd3AwWlvLv5ykTYcW9y+hhvS7aOqeTSP6f6XUN4=',
      'correct horse',
    ],
    [
      '{SSHA512}Ro0fBpp3kKmaaym5MAoGJd/22h/8SZerTXKVV2/mfc9J5hjA9DuRKA7pHI1o/p9E41r15eZadSeNTBn540mFrYoyxdk=',
      '封泥 p',
    ],
    [
      '{SSHA512.HEX}85ee692d985957172d13e46c460712a9429ad7d477470f5834472cb054879da73bef2dcbae4b652054f22b120187136cb15a653379a0007706fdcd958e3fad3a3deb71f2',
      'correct horse',
    ],
    [
      '{SSHA512.HEX}dff6834d1e9c622f3e23f68df7927a439a02fc8146647f58cb4ffea9a26d1d926c2fc7a28bbd3e3b1e4c8cbfc4a47be36de10c2e3464fef0d338dfe8846304d3cccd0c9b',
      '封泥 p',
    ],
    ['{SHA256.HEX}4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631', 'correct horse'],
    ['{SHA256.HEX}f085741ab98c009b73ea59cfda6fbe9b0ab8abadad85991a692ddeb417cc95e8', '封泥 p'],
    ['{SSHA256.B64}Mbt/69r516J6nTWUlfRPcZNbq4iW2oM3hV6LgrIPu7rku3Jg', 'correct horse'],
    ['{SSHA256.B64}fnw5c5nIuVSGZr0S0XWvuZ6jIk76PpnNqGpoz1py1GMeIzz7', '封泥 p'],
    [
      '{SHA512-CRYPT}$6$q.MDEXSQ/RfEdnrd$Z0k33HCXn.m0jSrmP1t5J.Y49Y6NKdk3k9Xj0/IQRv1PoOwivhk7q3mDpWx9/pKfWCmDCqZ47vxUaK3ID8sGc/',
      'correct horse',
    ],
    [
      '{SHA512-CRYPT}$6$hmSzucAsIdtXmzeC$nNdOhkLDROq1BvHN1nQ20uF5L8Z734hr6djH5.tg/XaW0MR00IxmQR6qXyyUV/O1x.k101oqSJ0EcA.RiqN7S0',
      '封泥 p',
    ],
    ['{SHA256-CRYPT}$5$mKMq6DkuIEY1e26p$DRPAFInEvuNs/FhOaICquhMKP.ZLLcIkWxCf7fKgSj9', 'correct horse'],
    ['{SHA256-CRYPT}$5$DU5bh.kzXL68zqf4$WxBfkKEd4TNBjIAg9d8DQyw5jv0cDWhQp/j7QckGK/C', '封泥 p'],
    ['{BLF-CRYPT}$2y$05$4wjhZqJqeiM539Ud6Dbwle5lR34iKI81UE4JH5pjL8H8nIl14Q3Ge', 'correct horse'],
    ['{BLF-CRYPT}$2y$05$PDpbNlzUx62/yT3WXC1n0OvyYQu17k6/RaVQWQUBdWrGkVTra53te', '封泥 p'],
    ['{PBKDF2}$1$q1eWm0SYzPsBK68v$500$bde5fed4d16f2c8d30836b836f8643f08ebd39fc', 'correct horse'],
    ['{PBKDF2}$1$PvyVSeingk87/LgL$500$f4a357e85f660dec31dc7c00213e2b332bf71213', '封泥 p'],
  ] as const)
    await assertFits(line, password);
});

test('PBKDF2-HMAC-SHA-1 in Dovecot’s form has the results of RFC 6070', async () => {
  await assertFits('{PBKDF2}$1$salt$4096$4b007901b765489abead49d926f721d065a429c1', 'password');
  await assertFits('{PBKDF2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6', 'password');
});

test('argon2id and argon2i of other servers are taken with their own cost', async () => {
  const tail = 'c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  await assertFits(`{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$${tail}`, 'password');
  assert.equal(readHash(`$argon2id$v=19$m=65536,t=2,p=1$${tail}`)?.kind, 'argon2id m=65536,t=2,p=1');
});

test('what cannot be taken is refused with its reason', () => {
  for (const [line, reason] of [
    ['$y$j9T$abcdefgh$g3T13J8kHmPEU4WLB9Rgu.V7r7IIwrQRzRRID88JZ49', /yescrypt/],
    ['{CRYPT}$1$abcdefgh$irWbblnpmw.5z7wgBnprh0', /MD5-crypt/],
    ['{CRYPT}abJnggxhB/yWI', /DES/],
    ['{PLAIN}secret', /in clear/],
    ['{CRAM-MD5}0123', /not known/],
    ['{MD5}CY9rzUYh03PK3k6DJie09g==', /not known/],
    ['{__proto__}x', /no hash of crypt|not known/],
    ['secret', /no hash of crypt/],
    ['', /no hash of crypt/],
    ['{SSHA512}AAAA', /no \{SSHA512\}/],
    ['{SHA256}not base64', /no \{SHA256\}/],
    ['{SSHA}\u0007W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /no \{SSHA\}/],
    // too much work
    [`$6$rounds=999999999$salt$${'a'.repeat(86)}`, /too much work/],
    [`$2y$31$${'a'.repeat(53)}`, /too much work/],
    [`{PBKDF2}$1$salt$9999999$${'00'.repeat(20)}`, /too much work/],
    [
      '{ARGON2ID}$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
      /too much work/,
    ],
  ] as const) {
    const outcome = importVerifier(line);
    assert.ok(outcome.kind === 'refused', line);
    assert.match(outcome.reason, reason, line);
  }
});

test('any line is taken or refused with a reason, and what is taken is taken again as it stands', () => {
  const scheme = fc.constantFrom('SSHA512', 'SHA256', 'CRYPT', 'PBKDF2', 'SSHA.HEX', 'ARGON2ID', 'X', '');
  fc.assert(
    fc.property(scheme, fc.oneof(fc.base64String(), fc.string()), (name, data) => {
      const outcome = importVerifier(name === '' ? data : `{${name}}${data}`);
      if (outcome.kind === 'refused') assert.ok(outcome.reason.length > 10);
      else assert.deepEqual(importVerifier(outcome.verifier), outcome);
    }),
  );
});

test('a salted digest is base64 also where its text could be hex', () => {
  const line = '{SSHA}4294967295999999999999999999999999999999';
  assert.equal(imported(line), line);
});
