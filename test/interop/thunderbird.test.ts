import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { needPrograms } from '../support/debian.ts';
import { LineClient } from '../support/line-client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sendMail } from '../support/smtp-send.ts';
import { startThunderbird, type Thunderbird } from '../support/thunderbird.ts';

// Thunderbird in a display that nobody sees: what people do all day, and what the server holds afterwards. With FENGNI_PICTURES=DIR the
// pictures of the README are taken.

let server: TestServer;

before(async () => {
  needPrograms('certutil', 'import', 'thunderbird', 'thunderbird-zh-CN', 'Xvfb');
  server = await startServer();
});

const picture = (thunderbird: Thunderbird, name: string): void => {
  const folder = process.env['FENGNI_PICTURES'];
  if (folder !== undefined) thunderbird.screenshot(path.join(folder, name));
};

const send = async (octets: string): Promise<string> => {
  const reply = await sendMail({ port: server.ports.smtp, to: server.address, octets });
  return /id=([a-z2-7]{26}) /.exec(reply)?.[1] ?? assert.fail(reply);
};

const letter = (subject: string, text: string, id: string): string =>
  [
    'From: =?utf-8?B?5p2O6ZuF?= <li.ya@example.org>',
    `To: ${server.address}`,
    `Subject: ${/^[\x20-\x7e]*$/.test(subject) ? subject : `=?utf-8?B?${Buffer.from(subject).toString('base64')}?=`}`,
    'Date: Tue, 24 Nov 2026 09:00:00 +0800',
    `Message-ID: <${id}@example.org>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    '',
    ...(Buffer.from(text)
      .toString('base64')
      .match(/.{1,76}/g) ?? []),
    '',
  ].join('\r\n');

/** What scripts in Thunderbird have in common. */
const common = `
  const { MailServices } = ChromeUtils.importESModule('resource:///modules/MailServices.sys.mjs');
  const server = MailServices.accounts.accounts[0].incomingServer;
  const root = server.rootFolder;
  const flags = { inbox: 0x1000, trash: 0x100, sent: 0x200, drafts: 0x400, archive: 0x4000, junk: 0x40000000 };
  const folder = (role) => root.getFolderWithFlags(flags[role]);
  const eventually = async (what, holds) => {
    for (let tries = 0; tries < 600; tries++) {
      if (holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('it never came to be: ' + what);
  };
  const pane = () => window.document.getElementById('tabmail').currentAbout3Pane;
  const message = (subject, where = folder('inbox')) =>
    [...where.messages].find((each) => each.mime2DecodedSubject === subject);
  const listening = () => {
    let resolve;
    const stopped = new Promise((fulfil) => { resolve = fulfil; });
    const listener = {
      QueryInterface: ChromeUtils.generateQI(['nsIMsgCopyServiceListener', 'nsIUrlListener']),
      onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId: () => '',
      onStopCopy: resolve, onStartRunningUrl() {}, onStopRunningUrl: (url, status) => resolve(status),
    };
    return { listener, stopped };
  };
`;

const started = async (t: TestContext, language: 'en-US' | 'zh-CN'): Promise<Thunderbird> => {
  const folder = path.join(server.folder, `thunderbird-${language}`);
  fs.mkdirSync(folder);
  const thunderbird = await startThunderbird({
    folder,
    imapPort: server.ports.imaps,
    user: server.address,
    caFile: server.caFile,
    language,
  });
  t.after(() => thunderbird.quit());
  await thunderbird.marionette.run(
    `${common}
    const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
    login.init('imap://localhost', null, 'imap://localhost', args[0], args[1], '', '');
    await Services.logins.addLoginAsync(login);
    folder('inbox').updateFolder(window.msgWindow);
    await eventually('all folders', () => root.descendants.length >= 6);
    await eventually('mail', () => folder('inbox').getTotalMessages(false) > 0);
    pane().displayFolder(folder('inbox').URI);
    await eventually('the list', () => pane().gDBView?.rowCount > 0);`,
    [server.address, server.password],
  );
  return thunderbird;
};

/** Names as people see them, by role. */
const rolesOf = (thunderbird: Thunderbird): Promise<Record<string, string>> =>
  thunderbird.marionette.run(
    `${common} return Object.fromEntries(Object.keys(flags).map((role) => [role, folder(role)?.localizedName]));`,
  );

/** What the server holds, asked by another client. */
const asked = async (commands: string): Promise<string> => {
  const client = await LineClient.connect(server.ports.imaps, { ca: server.ca });
  client.send(`a LOGIN ${server.address} "${server.password}"\r\n${commands}z LOGOUT\r\n`);
  return client.toEnd();
};

const assertNoBad = (thunderbird: Thunderbird): void => {
  const log = thunderbird.imapLog();
  assert.match(log, /CreateNewLineFromSocket: \d+ OK/);
  assert.doesNotMatch(log, /CreateNewLineFromSocket: (?:\d+|\*) BAD/);
  assert.doesNotMatch(log, /CreateNewLineFromSocket: \d+ NO/);
  assert.doesNotMatch(server.log(), /"level":"error"/);
};

test('Thunderbird in English: folders have their roles, new mail is shown, flags, moves, deletions, search and drafts arrive', async (t) => {
  await send(letter('About the seal', 'Nobody opens it unseen.', 'one'));
  await send(letter('To be archived', 'Read me, then keep me.', 'two'));
  await send(letter('To be deleted', 'Away with me.', 'three'));
  const thunderbird = await started(t, 'en-US');
  const { marionette } = thunderbird;
  assert.deepEqual(await rolesOf(thunderbird), {
    inbox: 'Inbox',
    trash: 'Trash',
    sent: 'Sent',
    drafts: 'Drafts',
    archive: 'Archives',
    junk: 'Spam',
  });

  // IDLE: nobody touches anything
  await marionette.run(`${common} await eventually('three', () => pane().gDBView.rowCount === 3);`);
  const id = await send(letter('While you waited', 'It came by IDLE.', 'four'));
  await marionette.run(`${common} await eventually('new mail', () => pane().gDBView.rowCount === 4);`);

  const shown = await marionette.run<string>(`${common}
    const view = pane().gDBView;
    pane().threadTree.selectedIndex = view.findIndexOfMsgHdr(message('While you waited'), false);
    const inner = () => pane().document.getElementById('messageBrowser')?.contentDocument
      ?.getElementById('messagepane')?.contentDocument?.body?.textContent ?? '';
    await eventually('the text', () => inner().includes('It came by IDLE.'));
    return inner();`);
  assert.match(shown, /It came by IDLE\./);
  picture(thunderbird, 'thunderbird-en.png');

  await marionette.run(`${common}
    folder('inbox').markMessagesFlagged([message('About the seal')], true);
    folder('inbox').addKeywordsToMessages([message('About the seal')], '$label1');
    folder('inbox').markMessagesRead([message('To be archived')], true);
    const moved = listening();
    MailServices.copy.copyMessages(
      folder('inbox'), [message('To be archived')], folder('archive'), true, moved.listener, window.msgWindow, false);
    if (await moved.stopped !== 0) throw new Error('not moved');
    const deleted = listening();
    folder('inbox').deleteMessages([message('To be deleted')], window.msgWindow, false, true, deleted.listener, false);
    if (await deleted.stopped !== 0) throw new Error('not deleted');`);
  const inbox = await asked('b EXAMINE INBOX\r\nc FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n');
  assert.match(inbox, /\* 2 EXISTS/);
  assert.match(inbox, /\* 1 FETCH [^\n]*\\Flagged[^\n]*\$label1[^\n]*\r\nSubject: About the seal/i);
  assert.match(inbox, /\* 2 FETCH [^\n]*\\Seen/, 'what was shown is read');
  const elsewhere = await asked(
    'b EXAMINE Archive\r\nc FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\nd EXAMINE Trash\r\ne FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n',
  );
  assert.match(elsewhere, /\\Seen[^\n]*\r\nSubject: To be archived[\s\S]*Subject: To be deleted/);

  const found = await marionette.run<string[]>(`${common}
    const session = Cc['@mozilla.org/messenger/searchSession;1'].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder('inbox'));
    const term = session.createTerm();
    const value = term.value;
    value.attrib = term.attrib = Ci.nsMsgSearchAttrib.Body;
    term.op = Ci.nsMsgSearchOp.Contains;
    value.str = 'opens it unseen';
    term.value = value;
    term.booleanAnd = true;
    session.appendTerm(term);
    const hits = [];
    await new Promise((resolve) => {
      session.registerListener({
        QueryInterface: ChromeUtils.generateQI(['nsIMsgSearchNotify']),
        onSearchHit: (header) => hits.push(header.mime2DecodedSubject),
        onSearchDone: resolve,
        onNewSearch() {},
      });
      session.search(window.msgWindow);
    });
    return hits;`);
  assert.deepEqual(found, ['About the seal']);

  // a draft, and a folder whose name is UTF-8 on the wire
  await marionette.run(
    `${common}
    const file = Services.dirsvc.get('TmpD', Ci.nsIFile);
    file.append('fengni-draft.eml');
    await IOUtils.writeUTF8(file.path, args[0]);
    const stored = listening();
    MailServices.copy.copyFileMessage(file, folder('drafts'), null, true, 0, '', stored.listener, window.msgWindow);
    if (await stored.stopped !== 0) throw new Error('not stored');
    root.createSubfolder('项目 & 计划', window.msgWindow);
    await eventually('a folder', () => root.descendants.some((each) => each.localizedName === '项目 & 计划'));`,
    [letter('草稿', '还没写完。', 'draft')],
  );
  const stored = await asked(
    'b EXAMINE Drafts\r\nc FETCH 1 (FLAGS BODY.PEEK[])\r\nd ENABLE UTF8=ACCEPT\r\ne LIST "" "*"\r\n',
  );
  assert.ok(stored.includes(letter('草稿', '还没写完。', 'draft')), 'octet for octet');
  assert.match(stored, /\\Draft/);
  assert.ok(stored.includes(Buffer.from('"项目 & 计划"').toString('latin1')));
  assert.match(thunderbird.imapLog(), /SendData: \d+ IDLE/);
  assertNoBad(thunderbird);
  assert.match(await sealOf(id), new RegExp(`id=${id};`));
});

const sealOf = (id: string): Promise<string> =>
  asked(`b EXAMINE INBOX\r\nc UID SEARCH HEADER Fengni-Seal ${id}\r\nd FETCH 2 BODY.PEEK[HEADER]\r\n`);

test('Thunderbird in Chinese: the same folders by their Chinese names, a sealed letter as people read it', async (t) => {
  await send(letter('封泥已至', '此信自到达之时起即已封缄，谁也无法悄悄改动。', 'five'));
  const thunderbird = await started(t, 'zh-CN');
  assert.deepEqual(await rolesOf(thunderbird), {
    inbox: '收件箱',
    trash: '废件箱',
    sent: '已发送消息',
    drafts: '草稿',
    archive: '归档',
    junk: '垃圾邮件',
  });
  await thunderbird.marionette.run(`${common}
    await eventually('the letter', () => message('封泥已至') !== undefined);
    pane().threadTree.selectedIndex = pane().gDBView.findIndexOfMsgHdr(message('封泥已至'), false);
    const inner = () => pane().document.getElementById('messageBrowser')?.contentDocument
      ?.getElementById('messagepane')?.contentDocument?.body?.textContent ?? '';
    await eventually('the text', () => inner().includes('即已封缄'));`);
  picture(thunderbird, 'thunderbird-zh.png');
  assertNoBad(thunderbird);
});
