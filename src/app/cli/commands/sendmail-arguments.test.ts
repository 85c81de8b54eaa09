import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseSendmail, type SendmailRequest } from './sendmail-arguments.ts';

const request = (...argv: string[]): SendmailRequest => {
  const parsed = parseSendmail(argv);
  assert.equal(parsed.kind, 'request', JSON.stringify(parsed));
  return (parsed as Extract<typeof parsed, { kind: 'request' }>).request;
};

test('the command lines that programs really use (sendmail(1) of Postfix)', () => {
  // cron of Debian and of systemd distributions, anacron
  const cron = request('-i', '-FCronDaemon', '-B8BITMIME', '-oem', 'root');
  assert.deepEqual(
    [cron.dotEnds, cron.fullName, cron.body, cron.recipients],
    [false, 'CronDaemon', '8BITMIME', ['root']],
  );
  assert.deepEqual(request('-FAnacron', 'root').fullName, 'Anacron');
  // mutt, git send-email, PHP, mailx, Perl's MIME::Lite, at
  const mutt = request('-oem', '-oi', '-f', 'a@b.example', '--', 'c@d.example', '-weird@x.example');
  assert.deepEqual(
    [mutt.dotEnds, mutt.mailFrom, mutt.recipients],
    [false, 'a@b.example', ['c@d.example', '-weird@x.example']],
  );
  const php = request('-t', '-i');
  assert.deepEqual([php.takesRecipients, php.dotEnds], [true, false]);
  assert.deepEqual(request('-ti').takesRecipients, true);
  assert.deepEqual(request('-it', '-fa@b').mailFrom, 'a@b');
  assert.deepEqual(request('-t', '-oi', '-oem', '-odb', '-F', 'A B', '-r', '<>').mailFrom, '');
  assert.deepEqual(request('-f', '').mailFrom, '');
  assert.equal(request('-bs').mode, 'smtp');
  assert.equal(request('-bp').mode, 'queue');
  for (const flush of ['-q', '-q30m', '-qIabc', '-qRexample.org']) assert.equal(request(flush).mode, 'flush');
  assert.equal(request('-bv', 'a').mode, 'verify');
  assert.equal(request('-bi').mode, 'nothing');
  assert.equal(request('-I').mode, 'nothing');
  assert.deepEqual(
    request('-U', '-Am', '-G', '-n', '-m', '-L', 'x', '-X/tmp/log', '-pSMTP', '-OTimeout=1', 'a').recipients,
    ['a'],
  );
  assert.deepEqual(request('-h', '25', 'a').recipients, ['a']);
  assert.deepEqual(request('-vt').isVerbose, true);
});

test('DSN: -N, -R and -V as RFC 3461 has them', () => {
  const asked = request('-N', 'success,delay', '-R', 'hdrs', '-V', 'abc+2B', 'x');
  assert.deepEqual([asked.notify, asked.ret, asked.envid], ['SUCCESS,DELAY', 'HDRS', 'abc+2B']);
  assert.equal(request('-Nnever', 'x').notify, 'NEVER');
});

test('--config, --data and --json are those of every command', () => {
  const asked = request('--config', 'a', '--data=b', '--json', '-C', 'c', 'x');
  assert.deepEqual([asked.config, asked.data, asked.json, asked.recipients], ['c', 'b', true, ['x']]);
});

test('what is wrong is named', () => {
  assert.deepEqual(parseSendmail(['-z']), { kind: 'unknown', option: '-z' });
  assert.deepEqual(parseSendmail(['--nothing']), { kind: 'unknown', option: '--nothing' });
  assert.deepEqual(parseSendmail(['-tf']), { kind: 'without-value', option: '-f' });
  assert.deepEqual(parseSendmail(['-bd']), { kind: 'wrong-value', option: '-b', value: 'd' });
  assert.deepEqual(parseSendmail(['-N', 'always']), { kind: 'wrong-value', option: '-N', value: 'always' });
  assert.deepEqual(parseSendmail(['-R', 'x']), { kind: 'wrong-value', option: '-R', value: 'x' });
  assert.deepEqual(parseSendmail(['-V', 'a b']), { kind: 'wrong-value', option: '-V', value: 'a b' });
  assert.deepEqual(parseSendmail(['-h', '--no-such-option']), { kind: 'help' });
  assert.deepEqual(parseSendmail(['--help']), { kind: 'help' });
});

test('whatever the arguments: an answer, and what follows -- is a recipient', () => {
  const word = fc.oneof(
    fc.constantFrom('-t', '-i', '-f', '-bs', '-q', '-', '-o', 'a@b'),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      parseSendmail(words);
      const after = parseSendmail(['-i', '--', ...words]);
      assert.deepEqual(after.kind === 'request' && after.request.recipients, words);
    }),
  );
});
