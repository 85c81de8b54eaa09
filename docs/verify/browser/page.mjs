// The page around the verifier: reads files, shows what came out. Everything stays in the page: its policy allows no
// connection, and texts from receipt and mail are shown as text only.

const texts = {
  en: {
    title: 'Check a Fengni receipt',
    intro:
      'A receipt proves that a mail server received exactly this mail. This page works without a network: nothing you ' +
      'put into it leaves your computer.',
    receipt: 'Receipt (.tlog-proof)',
    mail: 'Mail (.eml, the original with or without the lines the server put above it)',
    drop: 'You can also drop both files anywhere on this page.',
    key: 'Public key of the log',
    keyHint:
      'Get the key from somewhere you trust, not from whoever sent you the receipt: a receipt proves nothing without ' +
      'it. One key a line, as "fengni log key" prints them.',
    check: 'Check',
    language: '中文',
    needs: 'Choose a receipt and a mail, and paste the key.',
    badKey: 'The key is not one: ',
    noEd25519: 'This browser cannot check Ed25519 signatures. Use a newer one.',
    unreadable: 'A file could not be read: ',
    good: 'The receipt proves this mail.',
    bad: 'The receipt does not prove this mail: ',
    ifGood: 'Proved',
    ifBad: 'Claimed, not proved',
    results: { good: 'good', bad: 'BAD', 'not-given': 'not given' },
    checks: {
      form: 'Form of the receipt',
      inclusion: 'The log contains it',
      origin: 'Name of the log',
      signature: 'Signature of the log',
      msg: 'Original, as sealed',
      pre: 'Prefix, as sealed',
      env: 'Envelope',
      rcp: 'Recipient',
      ses: 'Session',
      aut: 'Authentication',
      original: 'The original in the mail',
      prefix: 'The prefix in the mail',
    },
    reasons: {
      'receipt-malformed': 'the receipt is damaged or is not one',
      'inclusion-wrong': 'the log’s head does not cover this entry',
      'origin-unknown': 'the receipt is of another log than the key',
      'not-signed': 'the log’s head is not signed by this key',
      'signature-wrong': 'the signature is not over this head',
      'opening-wrong': 'the receipt tells something else than the log sealed',
      'original-changed': 'the mail is not what was received',
      'size-wrong': 'the receipt names another length',
      'prefix-changed': 'Received, Authentication-Results or Fengni-Seal was changed',
      'prefix-unexpected': 'the mail was added without a prefix, the file has one',
      'prefix-absent': 'the file holds the original alone',
      'not-opened': 'the receipt does not tell it',
    },
    facts: {
      kind: 'Kind',
      time: 'Time (UTC)',
      id: 'Id',
      sha256: 'SHA-256 of the original',
      originalBytes: 'Octets of the original',
      origin: 'Log',
      place: 'Place in the log',
      session: 'Session',
      authentication: 'Authentication',
      envelope: 'Envelope',
      recipient: 'Recipient',
      uncovered: 'Octets above, not covered by the receipt',
    },
  },
  zh: {
    title: '验证 Fengni 回执',
    intro: '回执证明邮件服务器收到的正是这封邮件。本页无需网络：您放入的任何内容都不会离开您的电脑。',
    receipt: '回执（.tlog-proof）',
    mail: '邮件（.eml，原文；服务器加在上面的几行可有可无）',
    drop: '也可以把两个文件拖放到本页任意位置。',
    key: '日志的公钥',
    keyHint: '公钥应取自您信任的来源，而不是来自给您回执的人：没有可信的公钥，回执什么也证明不了。每行一个公钥，格式同 "fengni log key" 的输出。',
    check: '验证',
    language: 'English',
    needs: '请选择回执和邮件，并粘贴公钥。',
    badKey: '这不是公钥：',
    noEd25519: '此浏览器不能验证 Ed25519 签名，请换用较新的浏览器。',
    unreadable: '无法读取文件：',
    good: '回执证明了这封邮件。',
    bad: '回执没有证明这封邮件：',
    ifGood: '已证明',
    ifBad: '仅为声称，未证明',
    results: { good: '通过', bad: '不通过', 'not-given': '未提供' },
    checks: {
      form: '回执的格式',
      inclusion: '日志包含此条',
      origin: '日志的名称',
      signature: '日志的签名',
      msg: '封存的原文',
      pre: '封存的前缀',
      env: '信封',
      rcp: '收件人',
      ses: '会话',
      aut: '身份验证',
      original: '邮件中的原文',
      prefix: '邮件中的前缀',
    },
    reasons: {
      'receipt-malformed': '回执已损坏，或不是回执',
      'inclusion-wrong': '日志的树头不包含此条',
      'origin-unknown': '回执属于另一个日志，与公钥不符',
      'not-signed': '日志的树头没有用此公钥签名',
      'signature-wrong': '签名与此树头不符',
      'opening-wrong': '回执所述与日志封存的不同',
      'original-changed': '邮件不是当时收到的内容',
      'size-wrong': '回执所述的长度不同',
      'prefix-changed': 'Received、Authentication-Results 或 Fengni-Seal 被改动',
      'prefix-unexpected': '此邮件加入时没有前缀，文件却有',
      'prefix-absent': '文件只含原文',
      'not-opened': '回执没有公开此项',
    },
    facts: {
      kind: '种类',
      time: '时间（UTC）',
      id: '编号',
      sha256: '原文的 SHA-256',
      originalBytes: '原文字节数',
      origin: '日志',
      place: '在日志中的位置',
      session: '会话',
      authentication: '身份验证',
      envelope: '信封',
      recipient: '收件人',
      uncovered: '上方未被回执覆盖的字节数',
    },
  },
};

const element = (id) => document.getElementById(id);
const given = { receipt: null, mail: null };
let language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
/** what is shown now, drawn again when the language changes */
let shown = null;

/** A mail starts with a header field, a receipt never does. */
const isReceipt = (octets) => readable(octets.subarray(0, 21)) === 'c2sp.org/tlog-proof@v';

function show(next) {
  shown = next;
  const words = texts[language];
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll('[data-text]')) each.textContent = words[each.dataset.text];
  element('language').textContent = words.language;
  const verdict = element('verdict');
  element('facts').replaceChildren();
  element('checks').replaceChildren();
  verdict.className = next === null ? '' : next.kind;
  if (next === null) verdict.textContent = '';
  else if (next.problem !== undefined) verdict.textContent = words[next.problem] + (next.detail ?? '');
  else {
    const { failure, checks, facts } = next.verdict;
    verdict.textContent = failure === null ? words.good : words.bad + words.reasons[failure.reason];
    for (const { name, result, reason, detail } of checks) {
      const why = reason === '' ? detail : words.reasons[reason];
      element('checks').append(row(words.checks[name], words.results[result], why, result));
    }
    if (facts !== null) {
      const place = `${facts.index} / ${facts.size}`;
      for (const [name, title] of Object.entries(words.facts)) {
        const value = { ...facts, place }[name];
        if (value !== null) element('facts').append(row(title, '', String(value), ''));
      }
      const caption = document.createElement('caption');
      caption.textContent = failure === null ? words.ifGood : words.ifBad;
      element('facts').prepend(caption);
    }
  }
}

function row(title, result, text, className) {
  const line = document.createElement('tr');
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = title;
  line.append(head);
  for (const content of result === '' ? [text] : [result, text]) {
    const cell = document.createElement('td');
    cell.textContent = content;
    line.append(cell);
  }
  if (result !== '') line.children[1].className = className;
  return line;
}

async function check() {
  const { receipt, mail } = given;
  const keyText = element('key').value.trim();
  const output = element('verdict');
  delete output.dataset.failure;
  delete output.dataset.prefix;
  if (receipt === null || mail === null || keyText === '') return show({ kind: 'not-given', problem: 'needs' });
  try {
    const verdict = await verifyReceipt(receipt, mail, await parseKeys(keyText));
    show({ kind: verdict.good ? 'good' : 'bad', verdict });
    // for programs that drive the page
    const { failure } = verdict;
    output.dataset.failure = failure === null ? '' : `${failure.name} ${failure.reason}`;
    output.dataset.prefix = verdict.checks.find(({ name }) => name === 'prefix')?.result ?? '';
  } catch (error) {
    if (error instanceof Malformed) show({ kind: 'bad', problem: 'badKey', detail: error.message });
    else if (error.name === 'NotSupportedError') show({ kind: 'bad', problem: 'noEd25519' });
    else throw error;
  }
}

async function take(file, what) {
  given[what] = null;
  delete element(what).dataset.octets;
  if (file === undefined) return;
  try {
    given[what] = new Uint8Array(await file.arrayBuffer());
    show(null);
    element(what).dataset.octets = String(given[what].length);
  } catch (error) {
    show({ kind: 'bad', problem: 'unreadable', detail: error.message });
  }
}

for (const what of ['receipt', 'mail'])
  element(what).addEventListener('change', (event) => take(event.target.files[0], what));
element('check').addEventListener('click', check);
element('language').addEventListener('click', () => {
  language = language === 'en' ? 'zh' : 'en';
  show(shown);
});
addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dragging');
});
addEventListener('dragleave', () => document.body.classList.remove('dragging'));
addEventListener('drop', async (event) => {
  event.preventDefault();
  document.body.classList.remove('dragging');
  for (const file of event.dataTransfer.files) {
    const start = new Uint8Array(await file.slice(0, 21).arrayBuffer());
    const what = isReceipt(start) ? 'receipt' : 'mail';
    // the input names the file that was dropped
    const transfer = new DataTransfer();
    transfer.items.add(file);
    element(what).files = transfer.files;
    await take(file, what);
  }
});
show(null);
