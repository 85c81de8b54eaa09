// Checks a Fengni receipt against a mail with Web Crypto alone: runs in every current browser, and in Node.
//
//     const verdict = await verifyReceipt(receipt, mail, await parseKeys(text));
//
// The specification is docs/formats/receipt.md and docs/formats/leaf.md. This file shares no code with the server and
// imports nothing. A receipt proves this chain, link by link:
//
//     the key signed a head            C2SP signed-note, tlog-checkpoint, Ed25519 (RFC 8032)
//     the head covers the leaf         RFC 6962 section 2.1.1, C2SP tlog-proof
//     the leaf commits to digests      SHA-256("fengni/<field>1" NUL salt digest)
//     the mail has these digests       the original, and the part of the prefix that all copies share

/**
 * @typedef {object} Check one link of the chain
 * @property {string} name form, inclusion, origin, signature, msg, pre, env, rcp, ses, aut, original or prefix
 * @property {'good' | 'bad' | 'not-given'} result
 * @property {string} reason why it is bad or was not made; empty when it is good
 * @property {string} detail one line for people, in English
 */

/**
 * @param {Uint8Array} receipt the .tlog-proof file
 * @param {Uint8Array} mail the whole file, in any line ends
 * @param {Awaited<ReturnType<typeof parseKeys>>} keys of the log, one a generation
 * @returns the checks in order, the first bad one, and what the receipt says (claims only, unless all is good)
 */
export async function verifyReceipt(receipt, mail, keys) {
  /** @type {Check[]} */
  const checks = [];
  const good = (name, detail = '') => checks.push({ name, result: 'good', reason: '', detail });
  const bad = (name, reason, detail) => checks.push({ name, result: 'bad', reason, detail });
  const notGiven = (name, reason, detail) => checks.push({ name, result: 'not-given', reason, detail });
  const verdict = (facts) => {
    const failure = checks.find((check) => check.result === 'bad') ?? null;
    return { good: failure === null, failure, checks, facts };
  };

  let parsed;
  try {
    parsed = await parseReceipt(receipt);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    bad('form', 'receipt-malformed', error.message);
    return verdict(null);
  }
  const { leaf, openings, index, path, head } = parsed;
  const id = await messageId(leaf);
  good('form', `${leaf.kind} at ${leaf.time}, id ${id}, seq ${leaf.seq}`);

  if (await isIncluded(await leafHash(leaf.octets), index, head.size, path, head.root))
    good('inclusion', `leaf ${index} of ${head.size}`);
  else bad('inclusion', 'inclusion-wrong', 'the leaf does not stand in this tree at this place');

  const own = keys.filter((key) => key.type === 1 && key.name === head.origin);
  if (own.length === 0) bad('origin', 'origin-unknown', `the head is of ${head.origin}, no key given is`);
  else {
    good('origin', head.origin);
    const verdicts = await Promise.all(own.map((key) => signatureBy(head, key)));
    if (verdicts.includes('signature-wrong'))
      bad('signature', 'signature-wrong', 'the signature is not over this head');
    else if (!verdicts.includes('signed')) bad('signature', 'not-signed', 'the head is not signed by this key');
    else good('signature', 'Ed25519');
  }

  for (const name of fields) {
    const opening = openings[name];
    if (opening === undefined) notGiven(name, 'not-opened', `${name} is not opened`);
    else if (!(await opens(leaf, name, opening)))
      bad(name, 'opening-wrong', `${name} is not what the leaf commits to`);
    else good(name, opening.text === undefined ? 'digest' : readable(opening.text));
  }

  const end = endOfPrefix(mail, id);
  const original = await findOriginal(mail.subarray(end ?? 0), openings.msg);
  if (original === null) bad('original', 'original-changed', 'this is not what was received');
  else if (original.size !== openings.msg.size)
    bad('original', 'size-wrong', 'the receipt names another length');
  else good('original', `${original.size} octets, ${original.as}`);

  let uncovered = 0;
  if (leaf.kind === 'added') {
    if (end === null) good('prefix', 'an added message has none');
    else bad('prefix', 'prefix-unexpected', 'an added message has no prefix, the file has one');
  } else if (end === null) notGiven('prefix', 'prefix-absent', 'the file holds the original alone');
  else if (openings.pre === undefined) notGiven('prefix', 'not-opened', 'pre is not opened');
  else {
    const start = await startOfCommonPart(mail.subarray(0, end), openings.pre);
    if (start === null)
      bad('prefix', 'prefix-changed', 'Received, Authentication-Results or Fengni-Seal is not what was sealed');
    else good('prefix', `${start} octets above are not covered by the receipt`);
    uncovered = start ?? end;
  }
  const text = (name) => (openings[name]?.text === undefined ? null : readable(openings[name].text));
  return verdict({
    id,
    kind: leaf.kind,
    time: leaf.time,
    seq: leaf.seq,
    origin: head.origin,
    index,
    size: head.size,
    originalBytes: openings.msg.size,
    sha256: hexOf(openings.msg.digest),
    session: text('ses'),
    authentication: text('aut'),
    envelope: text('env'),
    recipient: text('rcp'),
    uncovered,
  });
}

// --- Texts: no number, hash or key has two spellings ---------------------------------------------------------------

/** A text that is not what its grammar says. */
export class Malformed extends Error {}

function must(holds, otherwise) {
  if (!holds) throw new Malformed(otherwise);
}

const latin1Of = (octets) => {
  let text = '';
  for (let at = 0; at < octets.length; at += 8192)
    text += String.fromCharCode(...octets.subarray(at, at + 8192));
  return text;
};
const octetsOf = (latin1) => Uint8Array.from(latin1, (character) => character.charCodeAt(0));
const utf8 = (text) => new TextEncoder().encode(text);
const readable = (octets) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(octets);
const hexOf = (octets) => Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('');
const equal = (a, b) => a.length === b.length && a.every((octet, at) => octet === b[at]);

function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** RFC 4648 section 4, with padding, spare bits zero. */
function decodeBase64(text) {
  must(text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text), 'not base 64');
  let latin1;
  try {
    latin1 = atob(text);
  } catch {
    throw new Malformed('not base 64');
  }
  must(btoa(latin1) === text, 'base 64 in another spelling');
  return octetsOf(latin1);
}

function decodeHash(text) {
  const octets = decodeBase64(text);
  must(octets.length === 32, 'not 32 octets');
  return octets;
}

/** No sign, no leading zeros, at most 2^53 - 1. */
function decodeDecimal(text) {
  must(/^(?:0|[1-9][0-9]{0,15})$/.test(text), 'not a decimal');
  const value = Number(text);
  must(Number.isSafeInteger(value), 'a number beyond 2^53 - 1');
  return value;
}

function decodeUtf8(octets) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    throw new Malformed('not UTF-8');
  }
}

/** ISO 8601, milliseconds, UTC; the date must exist. */
function checkTime(text) {
  must(/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/.test(text), 'not a time');
  const date = new Date(text);
  must(!Number.isNaN(date.getTime()) && date.toISOString() === text, 'a time that does not exist');
}

// --- Hashes and the tree: RFC 6962 section 2.1 ---------------------------------------------------------------------

async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', concat(...parts)));
}

const leafHash = (entry) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/**
 * The root that an audit path leads to, or null when the path does not belong to this place.
 *
 * Section 2.1.1 read from the top: the left subtree has the largest power of two below the size. Sizes reach 2^53: no
 * operators of 32 bits.
 */
async function rootOf(hash, index, size, path) {
  if (size === 1) return path.length === 0 ? hash : null;
  const sibling = path.at(-1);
  if (sibling === undefined) return null;
  let left = 1;
  while (left * 2 < size) left *= 2;
  const isLeft = index < left;
  const below = isLeft
    ? await rootOf(hash, index, left, path.slice(0, -1))
    : await rootOf(hash, index - left, size - left, path.slice(0, -1));
  if (below === null) return null;
  return isLeft ? nodeHash(below, sibling) : nodeHash(sibling, below);
}

async function isIncluded(hash, index, size, path, root) {
  if (index >= size) return false;
  const found = await rootOf(hash, index, size, path);
  return found !== null && equal(found, root);
}

// --- Keys, signed notes and heads: C2SP signed-note, tlog-checkpoint -----------------------------------------------

const isKeyName = (name) => /^[^+\p{White_Space}\p{Cc}]+$/u.test(name) && utf8(name).length <= 255;

/** One key a line; what follows a blank is for people, # begins a comment. Throws Malformed. */
export async function parseKeys(text) {
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
  must(lines.length > 0, 'no key');
  must(lines.length <= 1000, 'more than 1000 keys');
  return Promise.all(lines.map((line) => parseKey(line.split(' ', 1)[0])));
}

/** name+id+base64(type, public key). The id belongs to name, type and key. */
async function parseKey(text) {
  const [, name, id, base64] = /^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]*)$/.exec(text) ?? [];
  must(name !== undefined && isKeyName(name), 'not a verifier key');
  const material = decodeBase64(base64);
  // type 1 signs heads; type 4 is a witness and signs nothing here
  must(material.length === 33 && (material[0] === 1 || material[0] === 4), 'not an Ed25519 key');
  const publicKey = material.subarray(1);
  must(isCanonicalPoint(publicKey), 'not an Ed25519 key');
  const keyId = (await sha256(utf8(`${name}\n`), material)).subarray(0, 4);
  must(hexOf(keyId) === id, 'the key id does not belong to the key');
  return { name, id: keyId, type: material[0], publicKey };
}

/** Whether the y coordinate is below 2^255 - 19: then a point has one spelling. */
function isCanonicalPoint(octets) {
  const isHigh = (octets[31] & 0x7f) === 0x7f && octets.subarray(1, 31).every((octet) => octet === 0xff);
  return !(isHigh && octets[0] >= 0xed);
}

/** The signed text, an empty line, then the signatures; of the text origin, size and root. */
function parseHead(octets) {
  must(octets.length <= 262144, 'a note of more than 262144 octets');
  const note = decodeUtf8(octets);
  must(!/[\x00-\x09\x0b-\x1f]/.test(note), 'a control character in the note');
  const split = note.lastIndexOf('\n\n');
  must(split > 0, 'no empty line before the signatures');
  const text = note.slice(0, split + 1);
  const block = note.slice(split + 2);
  must(block.endsWith('\n'), 'the last signature line does not end');
  const lines = block.slice(0, -1).split('\n');
  must(lines.length <= 32, 'more than 32 signatures');
  const signatures = lines.map((line) => {
    const words = line.split(' ');
    must(words.length === 3 && words[0] === '\u2014' && isKeyName(words[1]), 'not a signature line');
    const signature = decodeBase64(words[2]);
    must(signature.length > 4, 'not a signature');
    return { name: words[1], id: signature.subarray(0, 4), octets: signature.subarray(4) };
  });
  // lines behind the third are signed but mean nothing here
  const content = text.slice(0, -1).split('\n');
  must(content.length >= 3 && !content.includes(''), 'not a head');
  return {
    origin: content[0],
    size: decodeDecimal(content[1]),
    root: decodeHash(content[2]),
    text,
    signatures,
  };
}

/** One bad line by the key spoils the note, lines by others do not count. */
async function signatureBy(head, key) {
  const own = head.signatures.filter((line) => line.name === key.name && equal(line.id, key.id));
  if (own.length === 0) return 'not-signed';
  const message = utf8(head.text);
  const verdicts = await Promise.all(own.map((line) => verifyEd25519(key.publicKey, message, line.octets)));
  return verdicts.every((isGood) => isGood) ? 'signed' : 'signature-wrong';
}

async function verifyEd25519(publicKey, message, signature) {
  if (signature.length !== 64) return false;
  let key;
  try {
    key = await crypto.subtle.importKey('raw', publicKey, { name: 'Ed25519' }, false, ['verify']);
  } catch (error) {
    // "this browser has no Ed25519" is not "the signature is wrong"
    if (error.name === 'NotSupportedError') throw error;
    return false;
  }
  return crypto.subtle.verify({ name: 'Ed25519' }, key, signature, message);
}

// --- The leaf: docs/formats/leaf.md --------------------------------------------------------------------------------

const fields = ['msg', 'pre', 'env', 'rcp', 'ses', 'aut'];

/** A leaf that speaks of a message: exactly ten lines in exactly this order. */
async function parseLeaf(octets) {
  must(octets.length <= 400, 'a leaf of more than 400 octets');
  const lines = decodeUtf8(octets).split('\n');
  must(lines.length === 11 && lines[0] === 'fengni/leaf@v1' && lines[10] === '', 'not the leaf of a message');
  const leaf = { octets };
  ['kind', 'seq', 'time', ...fields].forEach((name, at) => {
    const line = lines[at + 1];
    must(line.startsWith(`${name} `), 'not the leaf of a message');
    leaf[name] = line.slice(name.length + 1);
  });
  must(['received', 'submitted', 'added'].includes(leaf.kind), 'not the leaf of a message');
  leaf.seq = decodeDecimal(leaf.seq);
  checkTime(leaf.time);
  for (const name of fields) leaf[name] = decodeHash(leaf[name]);
  const hasRecipients = !equal(leaf.rcp, await sha256());
  must(hasRecipients === (leaf.kind !== 'added'), 'recipients where there are none, or none where there are');
  return leaf;
}

const commitment = (field, salt, digest) => sha256(octetsOf(`fengni/${field}1\0`), salt, digest);

/** The first 128 bits of SHA-256("fengni/id1" NUL msg), in lower-case base 32 without padding. */
async function messageId(leaf) {
  const octets = (await sha256(octetsOf('fengni/id1\0'), leaf.msg)).subarray(0, 16);
  const bits = Array.from(octets, (octet) => octet.toString(2).padStart(8, '0')).join('');
  const letters = bits.match(/.{1,5}/g).map((five) => Number.parseInt(five.padEnd(5, '0'), 2));
  return letters.map((letter) => 'abcdefghijklmnopqrstuvwxyz234567'[letter]).join('');
}

// --- The receipt: docs/formats/receipt.md --------------------------------------------------------------------------

/** C2SP tlog-proof: first line, extra data, index, path, empty line, signed head. */
async function parseReceipt(octets) {
  must(octets.length <= 524288, 'a proof of more than 524288 octets');
  const end = latin1Of(octets).indexOf('\n\n');
  must(end >= 0, 'no empty line before the head');
  const lines = decodeUtf8(octets.subarray(0, end)).split('\n');
  must(lines[0] === 'c2sp.org/tlog-proof@v1' && lines.length >= 3, 'not a proof');
  must(lines[1].startsWith('extra ') && lines[2].startsWith('index '), 'no extra data or no index');
  must(lines.length <= 3 + 63, 'a path of more than 63 hashes');
  const block = new Block(decodeBase64(lines[1].slice('extra '.length)));
  const index = decodeDecimal(lines[2].slice('index '.length));
  const path = lines.slice(3).map(decodeHash);
  must(block.line() === 'fengni/receipt@v1', 'not a receipt');
  const leaf = await parseLeaf(block.leaf());
  const openings = await parseOpenings(block);
  return { leaf, openings, index, path, head: parseHead(octets.subarray(end + 2)) };
}

/** Lines and counted octets, one after the other. */
class Block {
  constructor(octets) {
    this.octets = octets;
    this.at = 0;
  }

  get isDone() {
    return this.at === this.octets.length;
  }

  line() {
    const end = this.octets.indexOf(10, this.at);
    must(end >= 0 && end - this.at <= 256, 'a line without end');
    const line = latin1Of(this.octets.subarray(this.at, end));
    this.at = end + 1;
    return line;
  }

  leaf() {
    const rest = latin1Of(this.octets.subarray(this.at, this.at + 401));
    const length = rest.indexOf('\n\n') + 1;
    must(length > 0 && length <= 400, 'no leaf before an empty line');
    const octets = this.octets.slice(this.at, this.at + length);
    this.at += length + 1;
    return octets;
  }

  counted(count) {
    must(this.octets[this.at + count] === 10, 'a text that does not end where it says');
    const octets = this.octets.slice(this.at, this.at + count);
    this.at += count + 1;
    return octets;
  }
}

/** In the order of the leaf's lines, each at most once; msg is always opened. */
async function parseOpenings(block) {
  const openings = {};
  let following = 0;
  while (!block.isDone) {
    const words = block.line().split(' ');
    const name = words[0];
    const place = fields.indexOf(name, following);
    must(place >= 0, 'an opening that is unknown, doubled or out of order');
    following = place + 1;
    must(words.length === (name === 'rcp' ? 5 : 4), 'an opening with the wrong number of words');
    const opening = { salt: decodeHash(words[1]) };
    if (name === 'msg' || name === 'pre') {
      opening.digest = decodeHash(words[2]);
      opening.size = decodeDecimal(words[3]);
    } else if (name === 'rcp') {
      opening.index = decodeDecimal(words[2]);
      const levels = decodeDecimal(words[3]);
      must(levels >= 2 && levels <= 16 && opening.index < 2 ** levels, 'an impossible place of a recipient');
      opening.path = Array.from({ length: levels }, () => decodeHash(block.line()));
      opening.text = block.counted(decodeDecimal(words[4]));
      decodeUtf8(opening.text);
      opening.digest = await sha256(opening.text);
    } else if (words[2] === 'text') {
      opening.text = block.counted(decodeDecimal(words[3]));
      opening.digest = await sha256(opening.text);
    } else {
      must(words[2] === 'digest', 'an opening that is neither text nor digest');
      opening.digest = decodeHash(words[3]);
    }
    openings[name] = opening;
  }
  must(openings.msg !== undefined, 'msg is not opened');
  return openings;
}

async function opens(leaf, name, opening) {
  const value = await commitment(name, opening.salt, opening.digest);
  if (name !== 'rcp') return equal(value, leaf[name]);
  // a tree of one commitment a recipient, filled up with random values to a power of two
  return isIncluded(await leafHash(value), opening.index, 2 ** opening.path.length, opening.path, leaf.rcp);
}

// --- The mail: prefix, then original -------------------------------------------------------------------------------

/** Every LF without a CR before it becomes CRLF. */
function lfToCrlf(octets) {
  let bare = 0;
  for (let at = octets.indexOf(10); at >= 0; at = octets.indexOf(10, at + 1)) if (octets[at - 1] !== 13) bare++;
  const whole = new Uint8Array(octets.length + bare);
  let [from, to] = [0, 0];
  for (let at = octets.indexOf(10); at >= 0; at = octets.indexOf(10, at + 1)) {
    if (octets[at - 1] === 13) continue;
    whole.set(octets.subarray(from, at), to);
    to += at - from;
    whole[to++] = 13;
    from = at;
  }
  whole.set(octets.subarray(from), to);
  return whole;
}

/** Where the first line "Fengni-Seal: id=<id>;" ends, or null: then the file as a whole is the original. */
function endOfPrefix(mail, id) {
  const wanted = octetsOf(`Fengni-Seal: id=${id};`);
  let start = 0;
  while (start < mail.length) {
    const newline = mail.indexOf(10, start);
    const end = newline < 0 ? mail.length : newline + 1;
    if (equal(mail.subarray(start, Math.min(start + wanted.length, end)), wanted)) return end;
    start = end;
  }
  return null;
}

async function findOriginal(octets, opening) {
  if (equal(await sha256(octets), opening.digest)) return { size: octets.length, as: 'as it is' };
  const candidate = lfToCrlf(octets);
  if (!equal(await sha256(candidate), opening.digest)) return null;
  return { size: candidate.length, as: 'with LF read as CRLF' };
}

/**
 * The common part, the same in every copy, ends with Fengni-Seal and begins with Received; what stands above is one
 * copy's own. Gives the number of octets above, or null.
 */
async function startOfCommonPart(prefix, opening) {
  for (const octets of [prefix, lfToCrlf(prefix)]) {
    const start = octets.length - opening.size;
    if (start < 0 || (start > 0 && octets[start - 1] !== 10)) continue;
    if (equal(await sha256(octets.subarray(start)), opening.digest)) return start;
  }
  return null;
}
