#!/usr/bin/env python3
"""Reads a Fengni data folder from its segments and keys alone, with nothing but Python's standard library.

    python3 read_log.py DATA                  checks every octet and lists every message
    python3 read_log.py DATA --extract DIR    also writes each original as DIR/<id>.eml
    python3 read_log.py --self-test           the test vectors of RFC 8439 and RFC 5869

Output: a line for each message, its columns divided by tabs: seq, id, time, octets and SHA-256 of the original, and the
mailboxes of each account in which it lies now. Exit status: 0 everything is as it was written, 1 something is not (named on
standard error), 2 usage, 3 a file could not be read.

This file is meant to be read: it is the specification of the log (docs/formats/segment.md, frames.md, keys.md, leaf.md) in
another language. It shares no code with the server, opens no database and needs no running server; a copy of the folders
segments/, keys/ and large/ is enough. It is slow. What it checks, from the outside in:

    segment    header, checksums, padding; groups without a gap; SEAL and the hash of the closed file
    group      COMMIT: number, count, first and last seq, root of the record hashes, leaves, key slots
    frame      checksum, seq, chain of records, hashes of leaf and of the stored octets
    body       decryption; the commitment in the record; canonical JSON
    message    SHA-256, table of chunks, the commitments msg, pre, env, rcp, ses, aut of its leaf, and so its id
    ledger     leaf numbers and times; roots in frames leaves and signed heads (the signature is verify_receipt.py's business)
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import struct
import sys

ALL_ONES_32 = 0xFFFFFFFF
ALL_ONES_64 = 0xFFFFFFFFFFFFFFFF
ZEROS_32 = bytes(32)


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


class Damage(Exception):
    """Octets that are not what the formats say."""


def must(holds, otherwise):
    if not holds:
        raise Damage(otherwise)


# ---------------------------------------------------------------------------------------------------------------------
# ChaCha20-Poly1305: RFC 8439
#
# All blocks of a text are computed at once: each of the 16 state words is one long Python integer that holds this word of
# every block in a lane of 64 bits. The upper 32 bits of a lane take what an addition or a shift carries out of the word, and
# are cleared behind it. Otherwise this is section 2.3 as it stands there.
# ---------------------------------------------------------------------------------------------------------------------


def lanes_of(words):
    return int.from_bytes(b"".join(struct.pack("<Q", word) for word in words), "little")


def chacha20_keystream(key, nonce, counter, blocks):
    """Section 2.3, for the counters from `counter` on."""
    one = lanes_of([1] * blocks)
    mask = one * ALL_ONES_32
    words = struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key)
    start = [word * one for word in words]
    start.append(lanes_of([(counter + block) & ALL_ONES_32 for block in range(blocks)]))
    start += [word * one for word in struct.unpack("<3I", nonce)]
    state = list(start)

    def add_xor_rotate(a, b, d, bits):
        state[a] = (state[a] + state[b]) & mask
        mixed = state[d] ^ state[a]
        state[d] = (mixed << bits | mixed >> (32 - bits)) & mask

    def quarter_round(a, b, c, d):  # section 2.1
        add_xor_rotate(a, b, d, 16)
        add_xor_rotate(c, d, b, 12)
        add_xor_rotate(a, b, d, 8)
        add_xor_rotate(c, d, b, 7)

    for _ in range(10):
        quarter_round(0, 4, 8, 12)
        quarter_round(1, 5, 9, 13)
        quarter_round(2, 6, 10, 14)
        quarter_round(3, 7, 11, 15)
        quarter_round(0, 5, 10, 15)
        quarter_round(1, 6, 11, 12)
        quarter_round(2, 7, 8, 13)
        quarter_round(3, 4, 9, 14)

    stream = bytearray(64 * blocks)
    for place in range(16):
        word = ((state[place] + start[place]) & mask).to_bytes(8 * blocks, "little")
        for octet in range(4):
            stream[4 * place + octet :: 64] = word[octet::8]
    return bytes(stream)


def chacha20(key, nonce, counter, text):
    """Section 2.4: encryption and decryption are the same."""
    stream = chacha20_keystream(key, nonce, counter, (len(text) + 63) // 64)[: len(text)]
    return (int.from_bytes(text, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(text), "little")


def poly1305(key, text):
    """Section 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(key[16:], "little")
    p = 2**130 - 5
    accumulator = 0
    for at in range(0, len(text), 16):
        accumulator = (accumulator + int.from_bytes(text[at : at + 16] + b"\x01", "little")) * r % p
    return ((accumulator + s) % 2**128).to_bytes(16, "little")


def aead_tag(key, nonce, aad, ciphertext):
    """Section 2.8."""
    one_time_key = chacha20_keystream(key, nonce, 0, 1)[:32]
    pad = lambda octets: bytes(-len(octets) % 16)
    lengths = struct.pack("<QQ", len(aad), len(ciphertext))
    return poly1305(one_time_key, aad + pad(aad) + ciphertext + pad(ciphertext) + lengths)


def aead_decrypt(key, nonce, aad, sealed):
    ciphertext, tag = sealed[:-16], sealed[-16:]
    must(hmac.compare_digest(aead_tag(key, nonce, aad, ciphertext), tag), "an authentication tag is wrong")
    return chacha20(key, nonce, 1, ciphertext)


def hkdf_sha256(ikm, salt, info, length):
    """RFC 5869."""
    prk = hmac.digest(salt, ikm, "sha256")
    okm, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([number]), "sha256")
        okm += block
    return okm[:length]


CHUNK = 65536


def payload_chunks(file_key, payload):
    """The plaintext chunks of an age v1 payload (C2SP age.md, "Payload")."""
    must(len(payload) >= 16 + 16, "a payload that is too short")
    key = hkdf_sha256(file_key, payload[:16], b"payload", 32)
    at, number = 16, 0
    while True:
        sealed = payload[at : at + CHUNK + 16]
        at += len(sealed)
        is_last = at == len(payload)
        must(len(sealed) >= 16, "a payload that ends within a tag")
        chunk = aead_decrypt(key, number.to_bytes(11, "big") + bytes([is_last]), b"", sealed)
        must(chunk != b"" or number == 0, "an empty last chunk")
        yield chunk
        if is_last:
            return
        number += 1


# ---------------------------------------------------------------------------------------------------------------------
# Texts: no number, hash or object has two spellings
# ---------------------------------------------------------------------------------------------------------------------


def canonical_json(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def parse_json(octets):
    try:
        value = json.loads(octets.decode("utf-8"))
    except ValueError as error:
        raise Damage("not JSON") from error
    must(canonical_json(value) == octets, "JSON in another spelling")
    return value


def decode_base64(text):
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Damage("not base 64") from error
    must(base64.b64encode(octets).decode("ascii") == text, "base 64 in another spelling")
    return octets


def decode_hash(text):
    octets = decode_base64(text)
    must(len(octets) == 32, "not 32 octets")
    return octets


def decode_decimal(text):
    must(re.fullmatch(r"0|[1-9][0-9]{0,15}", text) and int(text) < 2**53, "not a decimal")
    return int(text)


def id_of(letter, seq):
    """A letter and the number of the frame that made it, in lower-case base 32 without padding."""
    return letter + base64.b32encode(seq.to_bytes(8, "big")).decode("ascii").lower().rstrip("=")


def decode_uid_set(text):
    """1,3:5: ascending ranges of UIDs."""
    uids = set()
    for part in text.split(","):
        low, _, high = part.partition(":")
        uids.update(range(decode_decimal(low), decode_decimal(high or low) + 1))
    return uids


# ---------------------------------------------------------------------------------------------------------------------
# Trees: RFC 6962 section 2.1
# ---------------------------------------------------------------------------------------------------------------------


def leaf_hash(entry):
    return sha256(b"\x00", entry)


class Tree:
    """The hashes of the complete subtrees of the entries so far, the largest first: enough to append and to give the root."""

    def __init__(self):
        self.size = 0
        self.subtrees = []

    def append(self, hash_):
        size = self.size
        while size % 2 == 1:
            hash_ = sha256(b"\x01", self.subtrees.pop(), hash_)
            size //= 2
        self.subtrees.append(hash_)
        self.size += 1

    def root(self):
        if self.size == 0:
            return sha256(b"")
        root = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            root = sha256(b"\x01", left, root)
        return root


def root_of(entries):
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree.root()


# ---------------------------------------------------------------------------------------------------------------------
# Key files: docs/formats/keys.md
# ---------------------------------------------------------------------------------------------------------------------

EMPTY, CLEAR, WRAPPED, DESTROYED = 0, 1, 2, 3


class Keys:
    def __init__(self, folder, report):
        self.slots = {}  # (epoch, slot) -> (state, seq, file key or None)
        for name in sorted(os.listdir(folder)):
            match = re.fullmatch(r"([0-9]{8})\.fkeys", name)
            if match is None:
                report(f"keys/{name}", "not a key file")
                continue
            with open(os.path.join(folder, name), "rb") as file:
                self.read(int(match[1]), file.read(), name, report)

    def read(self, epoch, octets, name, report):
        try:
            header = octets[:512]
            must(len(header) == 512 and sha256(header[:480]) == header[480:], "the header's checksum is wrong")
            magic, length, format_, _, _, own_epoch = struct.unpack(">8sHHIII", header[:24])
            must(magic == b"FENGKEY1" and length == 512 and format_ == 1, "not a key file of format 1")
            must(own_epoch == epoch, "the header names another epoch")
            must(header[24:480] == bytes(456), "octets that must be zero are not")
        except Damage as error:
            report(f"keys/{name} octet 0", str(error))
        for at in range(512, len(octets), 128):
            slot = octets[at : at + 128]
            number = (at - 512) // 128
            if slot == bytes(len(slot)):
                continue
            try:
                must(len(slot) == 128 and sha256(slot[:96]) == slot[96:], "the slot's checksum is wrong")
                state, zeros, own_number, seq = struct.unpack(">B3sIQ", slot[:16])
                must(state in (CLEAR, WRAPPED, DESTROYED) and zeros == bytes(3), "an unknown state")
                must(own_number == number, "the slot has another number")
                must(state != CLEAR or slot[32:96] == bytes(64), "octets that must be zero are not")
                must(state != DESTROYED or slot[16:96] == bytes(80), "a destroyed slot still holds something")
                self.slots[epoch, number] = (state, seq, slot[16:32] if state == CLEAR else None)
            except Damage as error:
                report(f"keys/{name} octet {at} (slot {number})", str(error))


# ---------------------------------------------------------------------------------------------------------------------
# Segments: docs/formats/segment.md
# ---------------------------------------------------------------------------------------------------------------------

TYPES = {
    1: "MSG", 2: "DELIVER", 3: "STATE", 4: "ROW", 5: "LEAF", 6: "HEAD",
    7: "ERASED", 8: "SNAP", 9: "ELIDE", 10: "COMMIT", 11: "SEAL",
}  # fmt: skip
HERE, OWN_FILE, ERASED = 0, 1, 2


class SegmentHeader:
    def __init__(self, octets, first_seq, revision):
        header = octets[:512]
        must(len(header) == 512 and sha256(header[:480]) == header[480:], "the header's checksum is wrong")
        magic, self.length, format_, hash_, zeros, self.shard, self.generation, own_revision, self.epoch = struct.unpack(
            ">8sHHB3sIIII", header[:32]
        )
        own_first_seq, self.prev_seq, self.prev_offset = struct.unpack(">QQQ", header[32:56])
        self.prev_hash = header[56:88]
        must(magic == b"FENGSEG1" and hash_ == 1, "not a segment")
        must(format_ == 1 and self.length == 512, "a format that this reader does not know")
        must(zeros == bytes(3) and header[88:480] == bytes(392), "octets that must be zero are not")
        must(own_first_seq == first_seq and own_revision == revision, "the header and the file's name differ")
        must(self.generation >= 1, "generation 0")


class Frame:
    """One frame: storage header, record, leaf, stored head, stored octets."""

    def __init__(self, octets, at):
        storage = octets[at : at + 104]
        must(len(storage) == 104 and storage[:4] == b"FRM1", "no frame")
        header_length, version, encoding, self.place, zeros, head_length, self.stored_length = struct.unpack(
            ">HBBB3sIQ", storage[4:24]
        )
        must(104 <= header_length <= 4096, "an impossible length of the storage header")
        record_at = at + header_length
        record_length = int.from_bytes(octets[record_at : record_at + 2], "big")
        must(128 <= record_length <= 4096, "an impossible length of the record")
        self.record = octets[record_at : record_at + record_length]
        checksum = sha256(storage[:72], octets[at + 104 : record_at], self.record)
        must(checksum == storage[72:], "the checksum of storage header and record is wrong")
        must(version == 1 and encoding == 0, "a version or encoding that this reader does not know")
        must(self.place in (HERE, OWN_FILE, ERASED), "a place that this reader does not know")
        must(zeros == bytes(3) and storage[56:72] == bytes(16), "octets that must be zero are not")
        must(head_length <= 2**26 and self.stored_length <= 2**40, "an impossible length")
        must(self.place != OWN_FILE or header_length >= 136, "no hash of the file that holds the octets")
        self.stored_hash, self.file_hash = storage[24:56], octets[at + 104 : at + 136]
        _, self.type, flags, leaf_length, self.seq, leaf_index, epoch, slot = struct.unpack(
            ">HBBIQQII", self.record[:32]
        )
        must(flags & 0xFE == 0 and leaf_length <= 400 and self.seq >= 1, "an impossible record")
        self.is_critical = flags == 1
        self.leaf_index = None if leaf_index == ALL_ONES_64 else leaf_index
        must((epoch == ALL_ONES_32) == (slot == ALL_ONES_32), "half a key")
        self.key = None if epoch == ALL_ONES_32 else (epoch, slot)
        self.leaf_hash, self.commitment, self.prev = self.record[32:64], self.record[64:96], self.record[96:128]
        self.record_hash = sha256(self.record)
        leaf_at = record_at + record_length
        head_at = leaf_at + leaf_length
        body_at = head_at + head_length
        self.end = body_at + (0 if self.place == OWN_FILE else self.stored_length)
        self.padded_end = self.end + -self.end % 8
        must(self.padded_end <= len(octets), "the frame goes on behind the end of the file")
        self.leaf = octets[leaf_at:head_at]
        self.stored_head = octets[head_at:body_at]
        self.stored_octets = octets[body_at : self.end]
        self.padding = octets[self.end : self.padded_end]

    @property
    def name(self):
        return f"{TYPES.get(self.type, f'type {self.type}')} frame {self.seq}"


class Segment:
    """A file whose header was read; walking it gives its groups."""

    def __init__(self, name, octets, header):
        self.name, self.octets, self.header = name, octets, header
        self.end = len(octets)  # what lies behind is void: the next segment's prevEnd says so

    def groups(self, report):
        """Lists of (offset, frame) that end in a COMMIT, each with the offset behind its padding."""
        at, group = self.header.length, []
        while at < self.end:
            try:
                frame = Frame(self.octets, at)
            except Damage as error:
                found = self.next_frame(at)
                what = f"frames follow at octet {found}" if found < self.end else "maybe a write that was cut off"
                report(f"{self.name} octet {at}", f"{error} ({what})")
                at = found
                group.append((at, None))
                continue
            group.append((at, frame))
            must_be_zero, at = at, frame.padded_end
            if any(frame.padding):
                report(f"{self.name} octet {must_be_zero} ({frame.name})", "the padding is not zero")
            if TYPES.get(frame.type) == "COMMIT":
                padded = at + -at % 512
                if self.octets[at:padded] != bytes(padded - at):
                    report(f"{self.name} octet {at}", "the padding of a group is not zero, or cut off")
                at = padded
                yield group, at
                group = []
        if any(frame is not None for _, frame in group):
            report(f"{self.name} octet {group[0][0]}", "a group without a COMMIT")
            yield group, self.end

    def next_frame(self, at):
        """Where the next good frame begins, or the end."""
        at = self.octets.find(b"FRM1", at + 1, self.end)
        while at >= 0:
            try:
                if at % 8 == 0:
                    Frame(self.octets, at)
                    return at
            except Damage:
                pass
            at = self.octets.find(b"FRM1", at + 1, self.end)
        return self.end


def open_segments(folder, report):
    """In the order of firstSeq; of one firstSeq the highest revision."""
    files = {}
    for name in os.listdir(folder):
        match = re.fullmatch(r"([0-9]{16})\.(0|[1-9][0-9]*)\.fseg", name)
        if match is not None:
            files.setdefault(int(match[1]), []).append(int(match[2]))
        elif not re.search(r"\.void[0-9]*$|\.par2$", name):
            report(f"segments/{name}", "not a segment")
    segments = []
    for first_seq, revisions in sorted(files.items()):
        name = f"segments/{first_seq:016d}.{max(revisions)}.fseg"
        with open(os.path.join(os.path.dirname(folder), name), "rb") as file:
            octets = file.read()
        try:
            segments.append(Segment(name, octets, SegmentHeader(octets, first_seq, max(revisions))))
        except Damage as error:
            report(f"{name} octet 0", str(error))
    for older, newer in zip(segments, segments[1:]):
        # what an unclean end left behind the last group that was believed
        older.end = min(older.end, newer.header.prev_offset)
    return segments


# ---------------------------------------------------------------------------------------------------------------------
# Leaves and commitments: docs/formats/leaf.md
# ---------------------------------------------------------------------------------------------------------------------

MESSAGE_FIELDS = ["msg", "pre", "env", "rcp", "ses", "aut"]
LEAF_FIELDS = {
    **dict.fromkeys(["received", "submitted", "added"], MESSAGE_FIELDS),
    **dict.fromkeys(
        "attempt outcome erased hold release admin-login content-access config backup scrub repair restore pad".split(),
        ["evt"],
    ),
    "handover": ["key"],
    "frames": ["first", "last", "root"],
    "segment": ["number", "revision", "sha256"],
    "gap": ["before", "after", "uids", "modseqs"],
    "clock": ["before"],
    "day": ["count"],
}
HASHES = set(MESSAGE_FIELDS) | {"evt", "root", "sha256"}
NUMBERS = {"seq", "first", "last", "number", "revision", "after", "uids", "modseqs", "count", "size"}


def parse_leaf(octets):
    try:
        lines = octets.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Damage("the leaf is not UTF-8") from error
    must(lines[0] == "fengni/leaf@v1" and lines[-1] == "", "not a leaf")
    pairs = [line.split(" ", 1) for line in lines[1:-1]]
    must(all(len(pair) == 2 for pair in pairs), "a line of the leaf without a value")
    kind = pairs[0][1] if pairs else ""
    if kind == "genesis":
        fields = [] if len(pairs) == 3 else ["previous", "size", "root"]
    else:
        must(kind in LEAF_FIELDS, f"a leaf of unknown kind {kind}")
        fields = LEAF_FIELDS[kind]
    must([name for name, _ in pairs] == ["kind", "seq", "time"] + fields, "a leaf with other lines")
    leaf = dict(pairs)
    for name in leaf:
        if name in HASHES:
            leaf[name] = decode_hash(leaf[name])
        elif name in NUMBERS or (name == "before" and kind == "gap"):
            leaf[name] = decode_decimal(leaf[name])
    try:
        must(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z", leaf["time"]), "not a time")
        datetime.datetime.strptime(leaf["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as error:
        raise Damage("not a time") from error
    return leaf


def commitment(field, salt, digest):
    return sha256(b"fengni/" + field.encode("ascii") + b"1\x00", salt, digest)


def commit_content(field, salt, content):
    return commitment(field, decode_hash(salt), sha256(content))


def message_id(msg):
    """The first 128 bits of SHA-256("fengni/id1" NUL msg), in lower-case base 32 without padding."""
    return base64.b32encode(sha256(b"fengni/id1\x00", msg)[:16]).decode("ascii").lower().rstrip("=")


# ---------------------------------------------------------------------------------------------------------------------
# The log: chain, groups, ledger, bodies, and what they add up to
# ---------------------------------------------------------------------------------------------------------------------


class Log:
    def __init__(self, data, extract):
        self.data, self.extract = data, extract
        self.problems = []
        self.keys = Keys(os.path.join(data, "keys"), self.report)
        self.segments = open_segments(os.path.join(data, "segments"), self.report)
        # the chain
        self.generation = 0
        self.next_seq = 1  # None: unknown, behind damage
        self.prev = ZEROS_32  # hash of the record before; None: unknown
        self.group = 0  # number of the last group; None: unknown
        self.acked = 0  # seq of the last COMMIT
        self.taken = (0, 0)  # epoch and number of slots taken; None: unknown
        # the ledger of the generation
        self.leaf_hashes = []
        self.last_leaf = None
        self.head_tree = Tree()
        self.time = ""
        self.frames_seq = None  # seq of the last frames record
        self.record_hashes = {}  # since the last frames record: seq -> hash
        self.day = 0
        self.frames = 0
        self.group_end = 0  # in the segment that is read
        self.closed = None  # the segment before it
        # what the frames add up to
        self.erased = set()  # keys that ERASED frames name
        self.is_state_erased = False  # mailboxes may have been made by frames that nobody can read any more
        self.messages = {}  # seq -> what is listed
        self.emails = {}  # emailId -> seq of the message
        self.accounts = {}  # account -> address
        self.mailboxes = {}  # mailboxId -> [account, name, {uid: emailId}]

    def report(self, where, what):
        self.problems.append(f"{where}: {what}")

    def read(self):
        for number, segment in enumerate(self.segments):
            self.enter(segment, self.segments[number - 1] if number > 0 else None)
            records = []
            for group, end in segment.groups(self.report):
                self.read_group(segment, group, records)
                self.group_end = end
            self.closed = segment
        for (epoch, slot), (state, _, _) in self.keys.slots.items():
            if state == DESTROYED and (epoch, slot) not in self.erased:
                self.report(f"keys/{epoch:08d}.fkeys slot {slot}", "destroyed, but no ERASED frame names it")

    # --- segments and groups

    def enter(self, segment, older):
        """How a file continues the one before it."""
        header, first_seq = segment.header, int(segment.name[9:25])
        where = f"{segment.name} octet 0"
        try:
            if header.generation == self.generation:
                must(first_seq == header.prev_seq + 1, "firstSeq is not prevEnd.seq + 1")
                must(self.next_seq in (None, first_seq), f"the log goes on with frame {self.next_seq}, this file does not")
            else:
                must(header.generation > self.generation, "a generation that is over")
                is_first = self.generation == 0
                self.new_generation(header)
                handed_over = self.last_leaf is not None and self.last_leaf["kind"] == "handover"
                step = 0 if handed_over and first_seq == header.prev_seq + 1 else 2**32
                must(is_first or first_seq == header.prev_seq + 1 + step, "firstSeq of a new generation")
                must(not is_first or header.generation > 1 or first_seq == 1, "the log does not begin with frame 1")
                self.next_seq = self.frames_seq = first_seq
                self.prev = header.prev_hash
            must(self.prev in (None, header.prev_hash), "prevEnd names another record than the last one before")
            if older is not None:
                must(header.prev_offset == self.group_end, "prevEnd names another end of the file before")
        except Damage as error:
            self.report(where, str(error))

    def new_generation(self, header):
        self.generation = header.generation
        self.group, self.acked = 0, header.prev_seq
        self.taken = (header.epoch, 0)
        self.leaf_hashes, self.head_tree = [], Tree()
        self.frames_seq, self.record_hashes = None, {}  # the first frames leaf begins with the first frame

    def read_group(self, segment, group, records):
        frames = [frame for _, frame in group if frame is not None]
        is_whole = len(frames) == len(group)
        for at, frame in group:
            if frame is None:
                # damage was named; behind it the chain is taken as it comes
                self.next_seq = self.prev = None
                self.leaf_hashes = None
                self.record_hashes = None
                continue
            where = f"{segment.name} octet {at} ({frame.name})"
            kind = TYPES.get(frame.type)
            self.attempt(where, self.read_frame, frame)
            if kind == "SEAL" and is_whole:
                self.attempt(where, self.check_seal, frame, records)
            elif kind == "COMMIT":
                self.attempt(where, self.check_commit, frame, frames[:-1] if is_whole else None)
            else:
                self.attempt(where, self.read_body, frame)
            records.append(frame)

    def attempt(self, where, check, *arguments):
        try:
            check(*arguments)
        except Damage as error:
            self.report(where, str(error))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.report(where, f"not what the formats say ({error!r})")

    def check_commit(self, frame, frames):
        commit = self.clear_json(frame)
        members = ["acked", "count", "epoch", "first", "generation", "group", "last", "leaves", "root", "slots"]
        must(sorted(commit) == members, "a COMMIT with other members")
        must(commit["generation"] == self.generation, "a COMMIT of another generation")
        must(self.group is None or commit["group"] == self.group + 1, "a group is missing before this one")
        must(self.acked is None or commit["acked"] == self.acked, "a COMMIT that acknowledges another group")
        must(commit["count"] == commit["last"] - commit["first"] + 1 >= 1, "a COMMIT that miscounts")
        must(commit["last"] == frame.seq - 1, "a COMMIT of other frames")
        must(self.leaf_hashes is None or commit["leaves"] == len(self.leaf_hashes), "a COMMIT that miscounts the leaves")
        taken, self.taken = self.taken, (commit["epoch"], commit["slots"])
        self.group, self.acked = commit["group"], frame.seq
        if frames is None:
            return
        must(commit["first"] == frames[0].seq and commit["count"] == len(frames), "a COMMIT of other frames")
        root = root_of(each.record_hash for each in frames)
        must(commit["root"] == root.hex(), "the root in the COMMIT is not that of the records")
        self.check_slots(taken, commit)

    def check_slots(self, taken, commit):
        """All slots that the group took are there, each with a seq of the group."""
        epoch, slots = taken
        places = []
        for each in range(epoch, commit["epoch"] + 1):
            start = slots if each == epoch else 0
            places += [(each, slot) for slot in range(start, commit["slots"] if each == commit["epoch"] else 65536)]
        for place in places:
            state, seq, _ = self.keys.slots.get(place, (EMPTY, 0, None))
            name = f"slot {place[1]} of epoch {place[0]}"
            must(state != EMPTY, f"key {name} is missing")
            must(commit["first"] <= seq <= commit["last"], f"key {name} belongs to another group")

    def check_seal(self, frame, records):
        seal = self.clear_json(frame)
        must(sorted(seal) == ["count", "first", "last", "root"], "a SEAL with other members")
        must(seal["count"] == len(records) == seal["last"] - seal["first"] + 1, "a SEAL that miscounts")
        must(seal["first"] == records[0].seq and seal["last"] == records[-1].seq, "a SEAL of other frames")
        must(seal["root"] == root_of(each.record_hash for each in records).hex(), "the root in the SEAL is another")

    # --- frames

    def read_frame(self, frame):
        self.frames += 1
        expected, prev = self.next_seq, self.prev
        self.next_seq, self.prev = frame.seq + 1, frame.record_hash
        if frame.leaf_index is not None and self.leaf_hashes is not None:
            self.leaf_hashes.append(frame.leaf_hash)
        if self.record_hashes is not None:
            self.record_hashes[frame.seq] = frame.record_hash
        must(expected in (None, frame.seq), f"frame {expected} should stand here")
        must(prev in (None, frame.prev), "the record does not continue the one before")
        if frame.place == ERASED:
            must(frame.stored_hash == ZEROS_32, "an erased body with a hash")
            must(not any(frame.stored_head) and not any(frame.stored_octets), "an erased body that is not zero")
        else:
            # in a file of their own, the octets have a hash of their own
            must(sha256(frame.stored_octets, frame.stored_head) == frame.stored_hash, "other octets than were stored")
        if frame.leaf_index is None:
            must(frame.leaf == b"" and frame.leaf_hash == ZEROS_32, "a leaf without a place in the ledger")
        else:
            self.read_leaf(frame)
        must(frame.type in TYPES or not frame.is_critical, "a critical type that this reader does not know")
        must(TYPES.get(frame.type) != "ELIDE", "compacted logs are beyond this reader")

    def read_leaf(self, frame):
        must(leaf_hash(frame.leaf) == frame.leaf_hash, "the leaf is not the one that the record names")
        must(
            self.leaf_hashes is None or frame.leaf_index == len(self.leaf_hashes) - 1,
            "another place in the ledger than the next one",
        )
        leaf = parse_leaf(frame.leaf)
        kind = leaf["kind"]
        self.last_leaf = leaf
        must(leaf["seq"] == frame.seq, "the leaf names another frame")
        time, self.time = self.time, leaf["time"]
        must(time <= leaf["time"] or (kind == "clock" and leaf["before"] == time), "the time falls")
        if kind == "frames":
            self.check_frames_leaf(frame, leaf)
        elif kind == "day":
            must(leaf["count"] == self.day + 1, "a day is missing")
            self.day = leaf["count"]
        elif kind == "segment":
            closed = self.closed
            must(f"segments/{leaf['number']:016d}.{leaf['revision']}.fseg" == closed.name, "a leaf of another segment")
            must(leaf["sha256"] == sha256(closed.octets), f"{closed.name} is not the file that was closed")

    def check_frames_leaf(self, frame, leaf):
        """Root over the record hashes from the previous frames record, inclusive, to its own, exclusive."""
        must(leaf["last"] == frame.seq - 1, "a frames leaf that does not reach to its own frame")
        known, first = self.record_hashes, self.frames_seq
        self.record_hashes, self.frames_seq = {frame.seq: frame.record_hash}, frame.seq
        if known is None:
            return
        must(first == leaf["first"], "a frames leaf with a gap before it")
        hashes = [known.get(seq) for seq in range(leaf["first"], leaf["last"] + 1)]
        must(None not in hashes, "a frames leaf over records that are not there")
        must(root_of(hashes) == leaf["root"], "the root in the frames leaf is not that of the records")

    def check_head(self, note):
        """A signed head: origin, size and root; its signature is for who has the key."""
        lines = note.decode("utf-8").split("\n")
        must(len(lines) >= 3 and lines[0].endswith(f"/g{self.generation}"), "a head of another generation")
        size, root = decode_decimal(lines[1]), decode_hash(lines[2])
        if self.leaf_hashes is None:
            return
        must(self.head_tree.size <= size <= len(self.leaf_hashes), "a head over leaves that are not there")
        for hash_ in self.leaf_hashes[self.head_tree.size : size]:
            self.head_tree.append(hash_)
        must(self.head_tree.root() == root, "the signed root is not that of the leaves")

    # --- bodies

    def clear_json(self, frame):
        must(frame.key is None and frame.stored_head == b"" and frame.place == HERE, "not a clear body")
        must(sha256(frame.stored_octets) == frame.commitment, "the body is not the one that the record names")
        return parse_json(frame.stored_octets)

    def file_key(self, frame):
        """The key of a sealed body, or None where it was destroyed with an ERASED frame."""
        state, _, key = self.keys.slots.get(frame.key, (EMPTY, 0, None))
        must(state != EMPTY, "its key is missing")
        must(state != WRAPPED, "its key is wrapped: this reader needs clear keys")
        return key

    def read_body(self, frame):
        kind = TYPES.get(frame.type)
        if kind == "MSG":
            self.messages[frame.seq] = {"id": "", "size": None, "sha256": "erased", "time": self.time, "accounts": {}}
        if kind is None or frame.place == ERASED:
            return
        if frame.key is None:
            if kind == "HEAD":
                must(sha256(frame.stored_octets) == frame.commitment, "the head is not the one that the record names")
                self.check_head(frame.stored_octets)
            elif frame.stored_length == 0:
                must(frame.commitment == ZEROS_32, "a body is missing")
            elif kind == "ROW":
                self.apply_row(self.clear_json(frame))
            elif kind == "ERASED":
                for key in self.clear_json(frame)["keys"]:
                    place = (key["epoch"], key["slot"])
                    self.erased.add(place)
                    state = self.keys.slots.get(place, (EMPTY, 0, None))[0]
                    must(state == DESTROYED, f"slot {place[1]} of epoch {place[0]} was to be destroyed")
            elif kind != "SNAP":
                self.clear_json(frame)
            return
        key = self.file_key(frame)
        if kind == "MSG":
            msg = parse_leaf(frame.leaf)["msg"]
            self.messages[frame.seq]["id"] = message_id(msg)
        if key is None:
            self.is_state_erased |= kind == "STATE"
            return
        head = b"".join(payload_chunks(key, frame.stored_head))
        must(sha256(head) == frame.commitment, "the body is not the one that the record names")
        if kind == "SNAP":
            return  # says again what frames before it said
        content = parse_json(head)
        must(content["v"] == 1, "a body of a version that this reader does not know")
        if kind == "MSG":
            self.apply_message(frame, key, content)
        elif kind == "DELIVER":
            must(content["email"] == id_of("e", frame.seq), "another email id than the frame gives")
            self.apply_deliver(content)
        elif kind == "STATE":
            self.apply_state(content, frame.seq)
        elif kind == "ROW":
            self.apply_row(content)
        elif kind == "LEAF":
            event = canonical_json(content["event"])
            must(commit_content("evt", content["evt"], event) == parse_leaf(frame.leaf)["evt"], "evt is another event")

    def apply_message(self, frame, key, head):
        leaf = parse_leaf(frame.leaf)
        message = self.messages[frame.seq]
        message.update(size=head["size"], sha256=head["sha256"], time=leaf["time"], head=head, leaf=leaf)
        stored = frame.stored_octets
        if frame.place == OWN_FILE:
            try:
                with open(os.path.join(self.data, "large", message["id"] + ".flarge"), "rb") as file:
                    stored = file.read()
            except FileNotFoundError as error:
                raise Damage("its file in large/ is missing") from error
            must(len(stored) == frame.stored_length, "its file in large/ has another length")
            must(sha256(stored) == frame.file_hash, "its file in large/ holds other octets")
        chunks = list(payload_chunks(key, stored))
        table = [base64.b64encode(sha256(chunk)).decode("ascii") for chunk in chunks]
        must(table == head["chunks"], "the original is not that of the table of chunks")
        original = b"".join(chunks)
        must(len(original) == head["size"], "the original has another length")
        must(sha256(original).hex() == head["sha256"], "the original has another SHA-256")
        salts = head["salts"]
        must(commit_content("msg", salts["msg"], original) == leaf["msg"], "msg commits to another original")
        for name in ("env", "ses", "aut"):
            text = head[name].encode("utf-8")
            must(commit_content(name, salts[name], text) == leaf[name], f"{name} commits to another text")
        if leaf["kind"] == "added":
            must(commit_content("pre", salts["pre"], b"") == leaf["pre"], "pre of an added message commits to something")
            must(leaf["rcp"] == sha256(b""), "rcp of an added message commits to something")
        if self.extract is not None:
            with open(os.path.join(self.extract, message["id"] + ".eml"), "wb") as file:
                file.write(original)

    def apply_deliver(self, deliver):
        message = self.messages.get(deliver["message"])
        must(message is not None, "a copy of no message")
        account = deliver["account"]
        message["accounts"].setdefault(account, [])
        self.emails[deliver["email"]] = deliver["message"]
        self.mailbox(deliver)[2][deliver["uid"]] = deliver["email"]
        leaf, prefix = message.get("leaf"), deliver["prefix"].encode("utf-8")
        if leaf is None:
            return  # the message was erased or is damaged
        if leaf["kind"] == "added":
            must(prefix == b"" and deliver["rcp"] is None, "an added message with a prefix or a recipient")
            return
        # the part that all copies share begins with our Received and ends with Fengni-Seal
        start = re.search(rb"^Received:", prefix, re.MULTILINE)
        must(start is not None, "a prefix without Received")
        must(
            commit_content("pre", message["head"]["salts"]["pre"], prefix[start.start() :]) == leaf["pre"],
            "pre commits to another prefix",
        )
        rcp = deliver["rcp"]
        hash_ = leaf_hash(commit_content("rcp", rcp["salt"], deliver["address"].encode("utf-8")))
        for level, sibling in enumerate(decode_hash(each) for each in rcp["path"]):
            is_right = rcp["index"] >> level & 1
            hash_ = sha256(b"\x01", sibling, hash_) if is_right else sha256(b"\x01", hash_, sibling)
        must(hash_ == leaf["rcp"] and rcp["index"] < 2 ** len(rcp["path"]), "rcp commits to other recipients")

    def apply_row(self, row):
        if row["table"] == "account" and row["value"] is not None:
            self.accounts[row["value"]["id"]] = row["value"]["address"]

    def mailbox(self, content):
        if self.is_state_erased:
            self.mailboxes.setdefault(content["mailbox"], [content["account"], "(its name was erased)", {}])
        mailbox = self.mailboxes.get(content["mailbox"])
        must(mailbox is not None and mailbox[0] == content["account"], "a mailbox that was never made")
        return mailbox

    def apply_state(self, state, seq):
        change = state["change"]
        if change["op"] == "create":
            must(state["mailbox"] == id_of("m", seq), "another mailbox id than the frame gives")
            self.mailboxes[state["mailbox"]] = [state["account"], change["name"], {}]
        elif change["op"] == "rename":
            self.mailbox(state)[1] = change["name"]
        elif change["op"] == "delete":
            self.mailbox(state)
            del self.mailboxes[state["mailbox"]]
        elif change["op"] == "place":
            for placement in change["placements"]:
                self.mailbox(state)[2][placement["uid"]] = placement["emailId"]
        elif change["op"] == "expunge":
            placements = self.mailbox(state)[2]
            for uid in decode_uid_set(change["uids"]):
                placements.pop(uid, None)
        else:
            # flags, subscriptions and counters move no message
            must(change["op"] in ("flags", "subscribe", "recent", "numbers"), "a change that this reader does not know")

    # --- what it adds up to

    def rows(self):
        for account, name, placements in self.mailboxes.values():
            for email in placements.values():
                if email not in self.emails:
                    self.report(f"mailbox {name}", f"{email} lies in it, but was never delivered")
                    continue
                names = self.messages[self.emails[email]]["accounts"].setdefault(account, [])
                if name not in names:
                    names.append(name)
        for seq, message in self.messages.items():
            accounts = {self.accounts.get(account, account): sorted(names) for account, names in message["accounts"].items()}
            size = "" if message["size"] is None else message["size"]
            where = canonical_json(accounts).decode("utf-8")
            yield f"{seq}\t{message['id']}\t{message['time']}\t{size}\t{message['sha256']}\t{where}"


# ---------------------------------------------------------------------------------------------------------------------
# Test vectors
# ---------------------------------------------------------------------------------------------------------------------


def self_test():
    """RFC 8439 sections 2.3.2, 2.4.2, 2.5.2, 2.8.2; RFC 5869 A.1; lanes against single blocks."""
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    key = bytes(range(32))
    checks = {
        "RFC 8439 section 2.3.2": chacha20_keystream(key, bytes.fromhex("000000090000004a00000000"), 1, 1)
        == bytes.fromhex(
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
        ),
        "RFC 8439 section 2.4.2": chacha20(key, bytes.fromhex("000000000000004a00000000"), 1, text)
        == bytes.fromhex(
            "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"
            "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"
            "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
            "5af90bbf74a35be6b40b8eedf2785e42874d"
        ),
        "RFC 8439 section 2.5.2": poly1305(
            bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b"),
            b"Cryptographic Forum Research Group",
        )
        == bytes.fromhex("a8061dc1305136c6c22b8baf0c0127a9"),
        "RFC 8439 section 2.8.2": aead_decrypt(
            bytes(range(0x80, 0xA0)),
            bytes.fromhex("070000004041424344454647"),
            bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
            bytes.fromhex(
                "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
            ),
        )
        == text,
        "many blocks are single blocks": chacha20_keystream(key, bytes(12), 2**32 - 2, 5)
        == b"".join(chacha20_keystream(key, bytes(12), (2**32 - 2 + block) % 2**32, 1) for block in range(5)),
        "RFC 5869 A.1": hkdf_sha256(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
        == bytes.fromhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    }
    for name, is_good in checks.items():
        print(f"{'good' if is_good else 'BAD':5}{name}")
    return 0 if all(checks.values()) else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if not (len(arguments) == 1 or len(arguments) == 3 and arguments[1] == "--extract") or arguments[0].startswith("-"):
        print("usage: read_log.py DATA [--extract DIR] | --self-test", file=sys.stderr)
        return 2
    extract = arguments[2] if len(arguments) == 3 else None
    try:
        if extract is not None:
            os.makedirs(extract, exist_ok=True)
        log = Log(arguments[0], extract)
        log.read()
        for row in log.rows():
            print(row)
    except OSError as error:
        print(f"could not read: {error}", file=sys.stderr)
        return 3
    for problem in log.problems:
        print(f"BAD: {problem}", file=sys.stderr)
    if not log.problems:
        print(f"GOOD: {len(log.messages)} messages, {log.frames} frames", file=sys.stderr)
    return 1 if log.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
