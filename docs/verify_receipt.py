#!/usr/bin/env python3
"""Checks a Fengni receipt against a mail, with nothing but Python's standard library.

    python3 verify_receipt.py RECEIPT MAIL.eml KEY

KEY is the log's verifier key (the text "name+id+base64") or a file with one such key a line.
Exit status: 0 the receipt proves the mail, 1 it does not (the reason is printed), 2 usage, 3 a file could not be read.

This file is meant to be read: it is the specification of a receipt (docs/formats/receipt.md, docs/formats/leaf.md) in
another language, and shares no code with the server. A receipt proves this chain, link by link:

    the key signed a head            C2SP signed-note, tlog-checkpoint, Ed25519 (RFC 8032)
    the head covers the leaf         RFC 6962 section 2.1.1, C2SP tlog-proof
    the leaf commits to digests      SHA-256("fengni/<field>1" NUL salt digest)
    the mail has these digests       the original, and the part of the prefix that all copies share
"""

import base64
import hashlib
import re
import sys
import unicodedata


class Malformed(Exception):
    """A text that is not what its grammar says."""


class BadKey(Exception):
    """A key that is not one."""


def sha256(octets):
    return hashlib.sha256(octets).digest()


# ---------------------------------------------------------------------------------------------------------------------
# Texts: no number, hash or key has two spellings
# ---------------------------------------------------------------------------------------------------------------------


def decode_base64(text):
    """RFC 4648 section 4, with padding, spare bits zero."""
    if len(text) % 4 != 0 or not re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text):
        raise Malformed("not base 64")
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed("not base 64") from error
    if base64.b64encode(octets).decode("ascii") != text:
        raise Malformed("base 64 in another spelling")
    return octets


def decode_hash(text):
    octets = decode_base64(text)
    if len(octets) != 32:
        raise Malformed("not 32 octets")
    return octets


def decode_decimal(text):
    """No sign, no leading zeros, at most 2^53 - 1."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text) or int(text) > 2**53 - 1:
        raise Malformed("not a decimal up to 2^53 - 1")
    return int(text)


def decode_utf8(octets):
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8") from error


def decode_time(text):
    """ISO 8601, milliseconds, UTC; the date must exist."""
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{3}Z", text)
    if match is None:
        raise Malformed("not a time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not (1 <= month <= 12 and 1 <= day <= days[month - 1] and hour < 24 and minute < 60 and second < 60):
        raise Malformed("not a time")
    return text


# ---------------------------------------------------------------------------------------------------------------------
# Ed25519, RFC 8032 section 5.1
# ---------------------------------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % P
    f = (y1 + x1) * (y2 + x2) % P
    g = 2 * t1 * t2 * D % P
    h = 2 * z1 * z2 % P
    return ((f - e) * (h - g) % P, (h + g) * (f + e) % P, (h - g) * (h + g) % P, (f - e) * (f + e) % P)


def point_multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result


def point_decode(octets):
    """Section 5.1.3; None where the octets are no point."""
    y = int.from_bytes(octets, "little")
    sign = y >> 255
    y &= 2**255 - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - square) % P != 0:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def point_encode(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = point_decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public_key, message, signature):
    """Section 5.1.7: S B = R + k A, compared in the encoding of R."""
    if len(signature) != 64:
        return False
    a = point_decode(public_key)
    s = int.from_bytes(signature[32:], "little")
    if a is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], a[2], P - a[3])
    return point_encode(point_add(point_multiply(s, BASE), point_multiply(k, minus_a))) == signature[:32]


# ---------------------------------------------------------------------------------------------------------------------
# Keys, signed notes and heads: C2SP signed-note, tlog-checkpoint
# ---------------------------------------------------------------------------------------------------------------------

WHITE_SPACE = set("\u0020\u00a0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}


def is_key_name(name):
    return (
        name != ""
        and len(name.encode("utf-8")) <= 255
        and not any(c == "+" or c in WHITE_SPACE or unicodedata.category(c) == "Cc" for c in name)
    )


def parse_key(text):
    """name+id+base64(type, public key). The id belongs to name, type and key."""
    match = re.fullmatch(r"([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]*)", text)
    if match is None or not is_key_name(match[1]):
        raise BadKey("not a verifier key")
    try:
        material = decode_base64(match[3])
    except Malformed as error:
        raise BadKey(str(error)) from error
    # type 1 signs heads; type 4 is a witness and signs nothing here
    if len(material) != 33 or material[0] not in (1, 4):
        raise BadKey("not an Ed25519 key")
    if int.from_bytes(material[1:], "little") & 2**255 - 1 >= P:
        raise BadKey("not an Ed25519 key")
    key_id = sha256(match[1].encode("utf-8") + b"\n" + material)[:4]
    if key_id.hex() != match[2]:
        raise BadKey("the key id does not belong to the key")
    return {"name": match[1], "id": key_id, "type": material[0], "public": material[1:]}


def parse_keys(text):
    """One key a line; what follows a blank is for people, # begins a comment."""
    lines = [line for line in re.split(r"\r?\n", text) if line != "" and not line.startswith("#")]
    if lines == []:
        raise BadKey("no key")
    if len(lines) > 1000:
        raise BadKey("more than 1000 keys")
    return [parse_key(line.split(" ")[0]) for line in lines]


def parse_note(octets):
    """The signed text, an empty line, then the signatures."""
    if len(octets) > 262144:
        raise Malformed("a note of more than 262144 octets")
    text = decode_utf8(octets)
    if re.search(r"[\x00-\x09\x0b-\x1f]", text):
        raise Malformed("a control character in the note")
    split = text.rfind("\n\n")
    if split <= 0:
        raise Malformed("no empty line before the signatures")
    block = text[split + 2 :]
    if not block.endswith("\n"):
        raise Malformed("the last signature line does not end")
    lines = block[:-1].split("\n")
    if len(lines) > 32:
        raise Malformed("more than 32 signatures")
    signatures = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014" or not is_key_name(words[1]):
            raise Malformed("not a signature line")
        octets = decode_base64(words[2])
        if len(octets) <= 4:
            raise Malformed("not a signature")
        signatures.append((words[1], octets[:4], octets[4:]))
    return text[: split + 1], signatures


def parse_head(octets):
    """Origin, size, root; lines behind them are signed but mean nothing here."""
    text, signatures = parse_note(octets)
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise Malformed("not a head")
    return {
        "origin": lines[0],
        "size": decode_decimal(lines[1]),
        "root": decode_hash(lines[2]),
        "text": text,
        "signatures": signatures,
    }


def signature_by(head, key):
    """'signed', 'not-signed' or 'signature-wrong': one bad line by the key spoils the note, lines by others do not count."""
    own = [signature for name, key_id, signature in head["signatures"] if name == key["name"] and key_id == key["id"]]
    if own == []:
        return "not-signed"
    message = head["text"].encode("utf-8")
    good = all(ed25519_verify(key["public"], message, signature) for signature in own)
    return "signed" if good else "signature-wrong"


# ---------------------------------------------------------------------------------------------------------------------
# The tree: RFC 6962 section 2.1
# ---------------------------------------------------------------------------------------------------------------------


def leaf_hash(entry):
    return sha256(b"\x00" + entry)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def root_of(hash_, index, size, path):
    """The root that an audit path leads to, or None when the path does not belong to this place.

    Section 2.1.1 read from the top: the left subtree has the largest power of two below the size.
    """
    if size == 1:
        return hash_ if path == [] else None
    if path == []:
        return None
    left = 1
    while left * 2 < size:
        left *= 2
    if index < left:
        below = root_of(hash_, index, left, path[:-1])
        return None if below is None else node_hash(below, path[-1])
    below = root_of(hash_, index - left, size - left, path[:-1])
    return None if below is None else node_hash(path[-1], below)


def is_included(hash_, index, size, path, root):
    return index < size and root_of(hash_, index, size, path) == root


# ---------------------------------------------------------------------------------------------------------------------
# The leaf: docs/formats/leaf.md
# ---------------------------------------------------------------------------------------------------------------------

FIELDS = ("msg", "pre", "env", "rcp", "ses", "aut")
EMPTY_ROOT = sha256(b"")


def parse_leaf(octets):
    """A leaf that speaks of a message: exactly ten lines in exactly this order."""
    if len(octets) > 400:
        raise Malformed("a leaf of more than 400 octets")
    lines = decode_utf8(octets).split("\n")
    names = ("kind", "seq", "time") + FIELDS
    if len(lines) != 11 or lines[0] != "fengni/leaf@v1" or lines[10] != "":
        raise Malformed("not the leaf of a message")
    leaf = {}
    for name, line in zip(names, lines[1:10]):
        if not line.startswith(name + " "):
            raise Malformed("not the leaf of a message")
        leaf[name] = line[len(name) + 1 :]
    if leaf["kind"] not in ("received", "submitted", "added"):
        raise Malformed("not the leaf of a message")
    leaf["seq"] = decode_decimal(leaf["seq"])
    leaf["time"] = decode_time(leaf["time"])
    for name in FIELDS:
        leaf[name] = decode_hash(leaf[name])
    if (leaf["rcp"] == EMPTY_ROOT) != (leaf["kind"] == "added"):
        raise Malformed("recipients where there are none, or none where there are")
    return leaf


def commitment(field, salt, digest):
    return sha256(b"fengni/" + field.encode("ascii") + b"1\x00" + salt + digest)


def message_id(leaf):
    """The first 128 bits of SHA-256("fengni/id1" NUL msg), in lower-case base 32 without padding."""
    return base64.b32encode(sha256(b"fengni/id1\x00" + leaf["msg"])[:16]).decode("ascii").lower().rstrip("=")


# ---------------------------------------------------------------------------------------------------------------------
# The receipt: docs/formats/receipt.md
# ---------------------------------------------------------------------------------------------------------------------


class Block:
    """Lines and counted octets, one after the other."""

    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def done(self):
        return self.at == len(self.octets)

    def line(self):
        end = self.octets.find(b"\n", self.at)
        if end < 0 or end - self.at > 256:
            raise Malformed("a line without end")
        line = self.octets[self.at : end].decode("latin-1")
        self.at = end + 1
        return line

    def leaf(self):
        end = self.octets.find(b"\n\n", self.at)
        if end < 0 or end + 1 - self.at > 400:
            raise Malformed("no leaf before an empty line")
        octets = self.octets[self.at : end + 1]
        self.at = end + 2
        return octets

    def counted(self, count):
        if self.octets[self.at + count : self.at + count + 1] != b"\n":
            raise Malformed("a text that does not end where it says")
        octets = self.octets[self.at : self.at + count]
        self.at += count + 1
        return octets


def parse_proof(octets):
    """C2SP tlog-proof: first line, extra data, index, path, empty line, signed head."""
    if len(octets) > 524288:
        raise Malformed("a proof of more than 524288 octets")
    end = octets.find(b"\n\n")
    if end < 0:
        raise Malformed("no empty line before the head")
    lines = decode_utf8(octets[:end]).split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 3:
        raise Malformed("not a proof")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise Malformed("a proof without extra data or index")
    if len(lines) > 3 + 63:
        raise Malformed("a path of more than 63 hashes")
    extra = decode_base64(lines[1][len("extra ") :])
    index = decode_decimal(lines[2][len("index ") :])
    return extra, index, [decode_hash(line) for line in lines[3:]], octets[end + 2 :]


def parse_openings(block):
    """In the order of the leaf's lines, each at most once; msg is always opened."""
    openings = {}
    following = 0
    while not block.done():
        words = block.line().split(" ")
        name = words[0]
        if name not in FIELDS[following:]:
            raise Malformed("an opening that is unknown, doubled or out of order")
        following = FIELDS.index(name) + 1
        if len(words) != (5 if name == "rcp" else 4):
            raise Malformed("an opening with the wrong number of words")
        opening = {"salt": decode_hash(words[1])}
        if name in ("msg", "pre"):
            opening["digest"] = decode_hash(words[2])
            opening["size"] = decode_decimal(words[3])
        elif name == "rcp":
            opening["index"], levels = decode_decimal(words[2]), decode_decimal(words[3])
            if not 2 <= levels <= 16 or opening["index"] >= 2**levels:
                raise Malformed("an impossible place of a recipient")
            opening["path"] = [decode_hash(block.line()) for _ in range(levels)]
            opening["text"] = block.counted(decode_decimal(words[4]))
            decode_utf8(opening["text"])
            opening["digest"] = sha256(opening["text"])
        elif words[2] == "text":
            opening["text"] = block.counted(decode_decimal(words[3]))
            opening["digest"] = sha256(opening["text"])
        elif words[2] == "digest":
            opening["digest"] = decode_hash(words[3])
        else:
            raise Malformed("an opening that is neither text nor digest")
        openings[name] = opening
    if "msg" not in openings:
        raise Malformed("msg is not opened")
    return openings


def opens(leaf, name, opening):
    value = commitment(name, opening["salt"], opening["digest"])
    if name != "rcp":
        return value == leaf[name]
    # a tree of one commitment a recipient, filled up with random values to a power of two
    size = 2 ** len(opening["path"])
    return is_included(leaf_hash(value), opening["index"], size, opening["path"], leaf["rcp"])


# ---------------------------------------------------------------------------------------------------------------------
# The mail: prefix, then original
# ---------------------------------------------------------------------------------------------------------------------


def lf_to_crlf(octets):
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


def end_of_prefix(mail, id_):
    """Where the first line "Fengni-Seal: id=<id>;" ends, or None: then the file as a whole is the original."""
    match = re.search(rb"(?:^|(?<=\n))Fengni-Seal: id=" + id_.encode("ascii") + rb";[^\n]*\n?", mail)
    return None if match is None else match.end()


def check_original(mail, end, opening):
    octets = mail[end or 0 :]
    for how, candidate in (("as it is", octets), ("with LF read as CRLF", lf_to_crlf(octets))):
        if sha256(candidate) == opening["digest"]:
            if len(candidate) != opening["size"]:
                return ("original", "bad", "size-wrong", "the receipt names another length")
            return ("original", "good", "", f"{len(candidate)} octets, {how}")
    return ("original", "bad", "original-changed", f"the file from octet {end or 0} is not what was received")


def check_prefix(mail, end, leaf, openings):
    if leaf["kind"] == "added":
        if end is None:
            return ("prefix", "good", "", "an added message has none")
        return ("prefix", "bad", "prefix-unexpected", "an added message has no prefix, the file has one")
    if end is None:
        return ("prefix", "not-given", "prefix-absent", "the file holds the original alone")
    if "pre" not in openings:
        return ("prefix", "not-given", "not-opened", "pre is not opened")
    # The common part, the same in every copy, ends with Fengni-Seal and begins with Received. What stands above is
    # one copy's own.
    for prefix in (mail[:end], lf_to_crlf(mail[:end])):
        start = len(prefix) - openings["pre"]["size"]
        if start < 0 or (start > 0 and prefix[start - 1 : start] != b"\n"):
            continue
        if sha256(prefix[start:]) == openings["pre"]["digest"]:
            above = f"{start} octets above are not covered by the receipt" if start > 0 else "nothing stands above"
            return ("prefix", "good", "", above)
    return ("prefix", "bad", "prefix-changed", "Received, Authentication-Results or Fengni-Seal is not what was sealed")


# ---------------------------------------------------------------------------------------------------------------------
# The chain
# ---------------------------------------------------------------------------------------------------------------------


def check_signature(head, keys):
    own = [key for key in keys if key["type"] == 1 and key["name"] == head["origin"]]
    if own == []:
        yield ("origin", "bad", "origin-unknown", f"the head is of {head['origin']}, no key given is")
        return
    yield ("origin", "good", "", head["origin"])
    verdicts = [signature_by(head, key) for key in own]
    if "signature-wrong" in verdicts:
        yield ("signature", "bad", "signature-wrong", "the signature is not over this head")
    elif "signed" not in verdicts:
        yield ("signature", "bad", "not-signed", "the head is not signed by this key")
    else:
        yield ("signature", "good", "", "Ed25519")


def check(receipt, mail, keys):
    """Yields (name, 'good' | 'bad' | 'not-given', reason, detail), in order."""
    try:
        extra, index, path, note = parse_proof(receipt)
        block = Block(extra)
        if block.line() != "fengni/receipt@v1":
            raise Malformed("not a receipt")
        leaf_octets = block.leaf()
        leaf = parse_leaf(leaf_octets)
        openings = parse_openings(block)
        head = parse_head(note)
    except Malformed as error:
        yield ("form", "bad", "receipt-malformed", str(error))
        return
    id_ = message_id(leaf)
    yield ("form", "good", "", f"{leaf['kind']} at {leaf['time']}, id {id_}, seq {leaf['seq']}")
    if is_included(leaf_hash(leaf_octets), index, head["size"], path, head["root"]):
        yield ("inclusion", "good", "", f"leaf {index} of {head['size']}")
    else:
        yield ("inclusion", "bad", "inclusion-wrong", "the leaf does not stand in this tree at this place")
    yield from check_signature(head, keys)
    for name in FIELDS:
        if name not in openings:
            yield (name, "not-given", "not-opened", f"{name} is not opened")
        elif opens(leaf, name, openings[name]):
            text = openings[name].get("text")
            yield (name, "good", "", "digest" if text is None else repr(text.decode("utf-8", "replace")))
        else:
            yield (name, "bad", "opening-wrong", f"{name} is not what the leaf commits to")
    end = end_of_prefix(mail, id_)
    yield check_original(mail, end, openings["msg"])
    yield check_prefix(mail, end, leaf, openings)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(arguments):
    if len(arguments) != 3:
        print("usage: verify_receipt.py RECEIPT MAIL.eml KEY", file=sys.stderr)
        return 2
    receipt_path, mail_path, key = arguments
    try:
        receipt, mail = read(receipt_path), read(mail_path)
        is_text = "+" in key
        if is_text:
            try:
                parse_keys(key)
            except BadKey:
                is_text = False
        try:
            key_text = key if is_text else read(key).decode("utf-8")
        except FileNotFoundError as error:
            if "+" in key:
                raise BadKey("neither a verifier key nor a file") from error
            raise
        keys = parse_keys(key_text)
    except OSError as error:
        print(f"could not read: {error}", file=sys.stderr)
        return 3
    except (BadKey, UnicodeDecodeError) as error:
        print(f"the key: {error}", file=sys.stderr)
        return 2
    failure = None
    for name, result, reason, detail in check(receipt, mail, keys):
        print(f"{name:10} {result:10} {reason}{': ' if reason else ''}{detail}")
        if result == "bad" and failure is None:
            failure = f"{name} {reason}"
    print("GOOD: this mail is what the receipt says" if failure is None else f"BAD: {failure}")
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
