// Verify_receipt checks a Fengni receipt against a mail, with the transparency log packages that Go's own checksum
// database uses: golang.org/x/mod/sumdb/note for signed heads, golang.org/x/mod/sumdb/tlog for the tree.
//
//	go run verify_receipt.go RECEIPT MAIL.eml KEY
//
// KEY is the log's verifier key (the text "name+id+base64") or a file with one such key a line.
// Exit status: 0 the receipt proves the mail, 1 it does not (the reason is printed), 2 usage, 3 a file could not be read.
//
// The specification is docs/formats/receipt.md and docs/formats/leaf.md. This program shares no code with the server. A
// receipt proves this chain, link by link:
//
//	the key signed a head            C2SP signed-note, tlog-checkpoint, Ed25519 (RFC 8032)
//	the head covers the leaf         RFC 6962 section 2.1.1, C2SP tlog-proof
//	the leaf commits to digests      SHA-256("fengni/<field>1" NUL salt digest)
//	the mail has these digests       the original, and the part of the prefix that all copies share
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ---------------------------------------------------------------------------------------------------------------------
// Texts: no number, hash or key has two spellings. Readers panic with a malformed, which check and parseKeys catch.
// ---------------------------------------------------------------------------------------------------------------------

// A malformed is the reason why a text is not what its grammar says.
type malformed string

func must(holds bool, otherwise string) {
	if !holds {
		panic(malformed(otherwise))
	}
}

// catch turns the panic of a reader into an error.
func catch(err *error) {
	if reason := recover(); reason != nil {
		why, ok := reason.(malformed)
		if !ok {
			panic(reason)
		}
		*err = errors.New(string(why))
	}
}

// decodeBase64 reads RFC 4648 section 4, with padding, spare bits zero.
func decodeBase64(text string) []byte {
	octets, err := base64.StdEncoding.DecodeString(text)
	must(err == nil, "not base 64")
	must(base64.StdEncoding.EncodeToString(octets) == text, "base 64 in another spelling")
	return octets
}

func decodeHash(text string) (hash tlog.Hash) {
	octets := decodeBase64(text)
	must(len(octets) == len(hash), "not 32 octets")
	copy(hash[:], octets)
	return hash
}

var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)

// decodeDecimal reads no sign, no leading zeros, at most 2^53 - 1.
func decodeDecimal(text string) int64 {
	must(decimal.MatchString(text), "not a decimal")
	value, err := strconv.ParseInt(text, 10, 64)
	must(err == nil && value < 1<<53, "a number beyond 2^53 - 1")
	return value
}

func decodeUTF8(octets []byte) string {
	must(utf8.Valid(octets), "not UTF-8")
	return string(octets)
}

var iso8601 = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$`)

// checkTime accepts ISO 8601 with milliseconds in UTC, a date that exists.
func checkTime(text string) {
	must(iso8601.MatchString(text), "not a time")
	_, err := time.Parse("2006-01-02T15:04:05.000Z", text)
	must(err == nil, "a time that does not exist")
}

// ---------------------------------------------------------------------------------------------------------------------
// Keys: C2SP signed-note
// ---------------------------------------------------------------------------------------------------------------------

// A key verifies heads, or is that of a witness (type 4), which signs nothing here.
type key struct {
	name     string
	verifier note.Verifier // nil for a witness
}

func isKeyName(name string) bool {
	bad := func(r rune) bool { return r == '+' || unicode.IsControl(r) || unicode.Is(unicode.White_Space, r) }
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && strings.IndexFunc(name, bad) < 0
}

var verifierKey = regexp.MustCompile(`^([^+]*)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]*)$`)

// parseKey reads name+id+base64(type, public key). The id belongs to name, type and key.
func parseKey(text string) key {
	match := verifierKey.FindStringSubmatch(text)
	must(match != nil && isKeyName(match[1]), "not a verifier key")
	material := decodeBase64(match[3])
	must(len(material) == 33 && (material[0] == 1 || material[0] == 4), "not an Ed25519 key")
	must(isCanonicalPoint(material[1:]), "not an Ed25519 key")
	if material[0] == 4 {
		id := sha256.Sum256([]byte(match[1] + "\n" + string(material)))
		must(hex.EncodeToString(id[:4]) == match[2], "the key id does not belong to the key")
		return key{match[1], nil}
	}
	verifier, err := note.NewVerifier(text)
	must(err == nil, "the key id does not belong to the key")
	return key{match[1], verifier}
}

// isCanonicalPoint says whether the y coordinate is below 2^255 - 19: then a point has one spelling.
func isCanonicalPoint(octets []byte) bool {
	if octets[31]&0x7f != 0x7f || octets[0] < 0xed {
		return true
	}
	for _, octet := range octets[1:31] {
		if octet != 0xff {
			return true
		}
	}
	return false
}

// parseKeys reads one key a line; what follows a blank is for people, # begins a comment.
func parseKeys(text string) (keys []key, err error) {
	defer catch(&err)
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word, _, _ := strings.Cut(line, " ")
		keys = append(keys, parseKey(word))
		must(len(keys) <= 1000, "more than 1000 keys")
	}
	must(len(keys) > 0, "no key")
	return keys, nil
}

// ---------------------------------------------------------------------------------------------------------------------
// Signed notes and heads: C2SP signed-note, tlog-checkpoint
// ---------------------------------------------------------------------------------------------------------------------

type signature struct {
	name   string
	id     uint32
	octets []byte
}

type head struct {
	origin     string
	size       int64
	root       tlog.Hash
	note, text []byte
	signatures []signature
}

// parseHead reads a note by the rules of note.Open and stricter ones: base 64 has one spelling, a key name no control
// character. Behind origin, size and root, lines are signed but mean nothing here.
func parseHead(octets []byte) head {
	must(len(octets) <= 262144, "a note of more than 262144 octets")
	_, err := note.Open(octets, note.VerifierList())
	_, isNote := err.(*note.UnverifiedNoteError)
	split := bytes.LastIndex(octets, []byte("\n\n"))
	must(isNote && split > 0, "not a signed note")
	head := head{note: octets, text: octets[:split+1]}
	signatures := strings.Split(strings.TrimSuffix(string(octets[split+2:]), "\n"), "\n")
	must(len(signatures) <= 32, "more than 32 signatures")
	for _, line := range signatures {
		words := strings.Split(line, " ")
		must(len(words) == 3 && words[0] == "\u2014" && isKeyName(words[1]), "not a signature line")
		octets := decodeBase64(words[2])
		must(len(octets) > 4, "not a signature")
		id := uint32(octets[0])<<24 | uint32(octets[1])<<16 | uint32(octets[2])<<8 | uint32(octets[3])
		head.signatures = append(head.signatures, signature{words[1], id, octets[4:]})
	}
	lines := strings.Split(strings.TrimSuffix(string(head.text), "\n"), "\n")
	must(len(lines) >= 3, "a head of less than three lines")
	for _, line := range lines {
		must(line != "", "an empty line in the head")
	}
	head.origin, head.size, head.root = lines[0], decodeDecimal(lines[1]), decodeHash(lines[2])
	return head
}

// reasonAgainst asks note.Open, which looks at the first line of a key only; one bad line more by the key spoils the note
// too. Lines by others do not count. It gives "", "not-signed" or "signature-wrong".
func reasonAgainst(head head, verifiers []note.Verifier) string {
	_, err := note.Open(head.note, note.VerifierList(verifiers...))
	switch err.(type) {
	case nil:
	case *note.UnverifiedNoteError:
		return "not-signed"
	default:
		return "signature-wrong"
	}
	for _, line := range head.signatures {
		for _, verifier := range verifiers {
			isOwn := line.name == verifier.Name() && line.id == verifier.KeyHash()
			if isOwn && !verifier.Verify(head.text, line.octets) {
				return "signature-wrong"
			}
		}
	}
	return ""
}

// ---------------------------------------------------------------------------------------------------------------------
// The leaf: docs/formats/leaf.md
// ---------------------------------------------------------------------------------------------------------------------

var fields = []string{"msg", "pre", "env", "rcp", "ses", "aut"}

type leaf struct {
	octets      []byte
	kind, time  string
	seq         int64
	commitments map[string]tlog.Hash
}

// parseLeaf reads a leaf that speaks of a message: exactly ten lines in exactly this order.
func parseLeaf(octets []byte) leaf {
	must(len(octets) <= 400, "a leaf of more than 400 octets")
	lines := strings.Split(decodeUTF8(octets), "\n")
	must(len(lines) == 11 && lines[0] == "fengni/leaf@v1" && lines[10] == "", "not the leaf of a message")
	value := func(line int, name string) string {
		must(strings.HasPrefix(lines[line], name+" "), "not the leaf of a message")
		return lines[line][len(name)+1:]
	}
	leaf := leaf{octets: octets, commitments: map[string]tlog.Hash{}}
	leaf.kind = value(1, "kind")
	must(leaf.kind == "received" || leaf.kind == "submitted" || leaf.kind == "added", "not the leaf of a message")
	leaf.seq = decodeDecimal(value(2, "seq"))
	leaf.time = value(3, "time")
	checkTime(leaf.time)
	for at, name := range fields {
		leaf.commitments[name] = decodeHash(value(4+at, name))
	}
	hasRecipients := leaf.commitments["rcp"] != sha256.Sum256(nil)
	must(hasRecipients == (leaf.kind != "added"), "recipients where there are none, or none where there are")
	return leaf
}

func commitment(field string, salt, digest tlog.Hash) tlog.Hash {
	return sha256.Sum256([]byte("fengni/" + field + "1\x00" + string(salt[:]) + string(digest[:])))
}

// messageID is the first 128 bits of SHA-256("fengni/id1" NUL msg), in lower-case base 32 without padding.
func messageID(leaf leaf) string {
	msg := leaf.commitments["msg"]
	hash := sha256.Sum256([]byte("fengni/id1\x00" + string(msg[:])))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash[:16]))
}

// ---------------------------------------------------------------------------------------------------------------------
// The receipt: docs/formats/receipt.md
// ---------------------------------------------------------------------------------------------------------------------

type opening struct {
	salt, digest tlog.Hash
	size         int64 // of the original or the common part of the prefix
	text         []byte
	index        int64 // of a recipient
	path         tlog.RecordProof
}

type receipt struct {
	leaf     leaf
	openings map[string]opening
	index    int64
	path     tlog.RecordProof
	head     head
}

// parseReceipt reads a C2SP tlog-proof: first line, extra data, index, path, empty line, signed head.
func parseReceipt(octets []byte) (receipt receipt, err error) {
	defer catch(&err)
	must(len(octets) <= 524288, "a proof of more than 524288 octets")
	proof, signed, found := bytes.Cut(octets, []byte("\n\n"))
	must(found, "no empty line before the head")
	lines := strings.Split(decodeUTF8(proof), "\n")
	must(lines[0] == "c2sp.org/tlog-proof@v1" && len(lines) >= 3, "not a proof")
	must(strings.HasPrefix(lines[1], "extra ") && strings.HasPrefix(lines[2], "index "), "no extra data or no index")
	must(len(lines) <= 3+63, "a path of more than 63 hashes")
	block := block{decodeBase64(lines[1][len("extra "):])}
	receipt.index = decodeDecimal(lines[2][len("index "):])
	for _, line := range lines[3:] {
		receipt.path = append(receipt.path, decodeHash(line))
	}
	must(block.line() == "fengni/receipt@v1", "not a receipt")
	receipt.leaf = parseLeaf(block.leaf())
	receipt.openings = parseOpenings(&block)
	receipt.head = parseHead(signed)
	return receipt, nil
}

// A block is lines and counted octets, one after the other.
type block struct{ rest []byte }

func (b *block) line() string {
	line, rest, found := bytes.Cut(b.rest, []byte("\n"))
	must(found && len(line) <= 256, "a line without end")
	b.rest = rest
	return string(line)
}

func (b *block) leaf() []byte {
	end := bytes.Index(b.rest, []byte("\n\n"))
	must(end >= 0 && end+1 <= 400, "no leaf before an empty line")
	leaf := b.rest[:end+1]
	b.rest = b.rest[end+2:]
	return leaf
}

func (b *block) counted(count int64) []byte {
	must(count < int64(len(b.rest)) && b.rest[count] == '\n', "a text that does not end where it says")
	octets := b.rest[:count]
	b.rest = b.rest[count+1:]
	return octets
}

// parseOpenings reads them in the order of the leaf's lines, each at most once; msg is always opened.
func parseOpenings(block *block) map[string]opening {
	openings := map[string]opening{}
	following := 0
	for len(block.rest) > 0 {
		words := strings.Split(block.line(), " ")
		name := words[0]
		for following < len(fields) && fields[following] != name {
			following++
		}
		must(following < len(fields), "an opening that is unknown, doubled or out of order")
		following++
		must(len(words) == map[bool]int{true: 5, false: 4}[name == "rcp"], "an opening with the wrong number of words")
		opening := opening{salt: decodeHash(words[1])}
		switch {
		case name == "msg" || name == "pre":
			opening.digest, opening.size = decodeHash(words[2]), decodeDecimal(words[3])
		case name == "rcp":
			var levels int64
			opening.index, levels = decodeDecimal(words[2]), decodeDecimal(words[3])
			must(2 <= levels && levels <= 16 && opening.index < 1<<levels, "an impossible place of a recipient")
			for ; levels > 0; levels-- {
				opening.path = append(opening.path, decodeHash(block.line()))
			}
			opening.text = block.counted(decodeDecimal(words[4]))
			decodeUTF8(opening.text)
			opening.digest = sha256.Sum256(opening.text)
		case words[2] == "text":
			opening.text = block.counted(decodeDecimal(words[3]))
			opening.digest = sha256.Sum256(opening.text)
		case words[2] == "digest":
			opening.digest = decodeHash(words[3])
		default:
			panic(malformed("an opening that is neither text nor digest"))
		}
		openings[name] = opening
	}
	_, hasMsg := openings["msg"]
	must(hasMsg, "msg is not opened")
	return openings
}

func opens(leaf leaf, name string, opening opening) bool {
	value := commitment(name, opening.salt, opening.digest)
	if name != "rcp" {
		return value == leaf.commitments[name]
	}
	// a tree of one commitment a recipient, filled up with random values to a power of two
	record := tlog.RecordHash(value[:])
	return tlog.CheckRecord(opening.path, 1<<len(opening.path), leaf.commitments["rcp"], opening.index, record) == nil
}

// ---------------------------------------------------------------------------------------------------------------------
// The mail: prefix, then original
// ---------------------------------------------------------------------------------------------------------------------

func lfToCRLF(octets []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(octets, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}

// endOfPrefix is where the first line "Fengni-Seal: id=<id>;" ends, or -1: then the file as a whole is the original.
func endOfPrefix(mail []byte, id string) int {
	line := []byte("Fengni-Seal: id=" + id + ";")
	at := 0
	if !bytes.HasPrefix(mail, line) {
		at = bytes.Index(mail, append([]byte("\n"), line...)) + 1
		if at == 0 {
			return -1
		}
	}
	end := bytes.IndexByte(mail[at:], '\n')
	if end < 0 {
		return len(mail)
	}
	return at + end + 1
}

func checkOriginal(original []byte, opening opening) row {
	as := "as it is"
	for _, candidate := range [][]byte{original, lfToCRLF(original)} {
		if sha256.Sum256(candidate) == opening.digest {
			if int64(len(candidate)) != opening.size {
				return row{"original", "bad", "size-wrong", "the receipt names another length"}
			}
			return row{"original", "good", "", fmt.Sprintf("%d octets, %s", len(candidate), as)}
		}
		as = "with LF read as CRLF"
	}
	return row{"original", "bad", "original-changed", "this is not what was received"}
}

func checkPrefix(mail []byte, end int, leaf leaf, openings map[string]opening) row {
	if leaf.kind == "added" {
		if end < 0 {
			return row{"prefix", "good", "", "an added message has none"}
		}
		return row{"prefix", "bad", "prefix-unexpected", "an added message has no prefix, the file has one"}
	}
	if end < 0 {
		return row{"prefix", "not-given", "prefix-absent", "the file holds the original alone"}
	}
	pre, isOpened := openings["pre"]
	if !isOpened {
		return row{"prefix", "not-given", "not-opened", "pre is not opened"}
	}
	// The common part, the same in every copy, ends with Fengni-Seal and begins with Received. What stands above is one
	// copy's own.
	for _, prefix := range [][]byte{mail[:end], lfToCRLF(mail[:end])} {
		start := int64(len(prefix)) - pre.size
		if start < 0 || start > 0 && prefix[start-1] != '\n' {
			continue
		}
		if sha256.Sum256(prefix[start:]) == pre.digest {
			return row{"prefix", "good", "", fmt.Sprintf("%d octets above are not covered by the receipt", start)}
		}
	}
	return row{"prefix", "bad", "prefix-changed", "Received, Authentication-Results or Fengni-Seal is not what was sealed"}
}

// ---------------------------------------------------------------------------------------------------------------------
// The chain
// ---------------------------------------------------------------------------------------------------------------------

// A row is one check: its name, "good", "bad" or "not-given", a reason and a detail for people.
type row struct{ name, result, reason, detail string }

func checkKeys(head head, keys []key) []row {
	var verifiers []note.Verifier
	isKnown := map[uint32]bool{}
	for _, key := range keys {
		if key.verifier == nil || key.name != head.origin || isKnown[key.verifier.KeyHash()] {
			continue
		}
		isKnown[key.verifier.KeyHash()] = true
		verifiers = append(verifiers, key.verifier)
	}
	if len(verifiers) == 0 {
		return []row{{"origin", "bad", "origin-unknown", "the head is of " + head.origin + ", no key given is"}}
	}
	origin := row{"origin", "good", "", head.origin}
	switch reasonAgainst(head, verifiers) {
	case "not-signed":
		return []row{origin, {"signature", "bad", "not-signed", "the head is not signed by this key"}}
	case "signature-wrong":
		return []row{origin, {"signature", "bad", "signature-wrong", "the signature is not over this head"}}
	}
	return []row{origin, {"signature", "good", "", "Ed25519"}}
}

func check(receiptOctets, mail []byte, keys []key) []row {
	receipt, err := parseReceipt(receiptOctets)
	if err != nil {
		return []row{{"form", "bad", "receipt-malformed", err.Error()}}
	}
	leaf, head, openings := receipt.leaf, receipt.head, receipt.openings
	id := messageID(leaf)
	rows := []row{{"form", "good", "", fmt.Sprintf("%s at %s, id %s, seq %d", leaf.kind, leaf.time, id, leaf.seq)}}
	inclusion := row{"inclusion", "good", "", fmt.Sprintf("leaf %d of %d", receipt.index, head.size)}
	if tlog.CheckRecord(receipt.path, head.size, head.root, receipt.index, tlog.RecordHash(leaf.octets)) != nil {
		inclusion = row{"inclusion", "bad", "inclusion-wrong", "the leaf does not stand in this tree at this place"}
	}
	rows = append(append(rows, inclusion), checkKeys(head, keys)...)
	for _, name := range fields {
		opening, isOpened := openings[name]
		switch {
		case !isOpened:
			rows = append(rows, row{name, "not-given", "not-opened", name + " is not opened"})
		case !opens(leaf, name, opening):
			rows = append(rows, row{name, "bad", "opening-wrong", name + " is not what the leaf commits to"})
		case opening.text == nil:
			rows = append(rows, row{name, "good", "", "digest"})
		default:
			rows = append(rows, row{name, "good", "", fmt.Sprintf("%q", opening.text)})
		}
	}
	end := endOfPrefix(mail, id)
	original := mail
	if end >= 0 {
		original = mail[end:]
	}
	return append(rows, checkOriginal(original, openings["msg"]), checkPrefix(mail, end, leaf, openings))
}

// readKeys takes a verifier key, or the name of a file with keys; the status is 2 for a bad key, 3 for a bad file.
func readKeys(argument string) (keys []key, status int, err error) {
	if keys, err := parseKeys(argument); err == nil {
		return keys, 0, nil
	}
	octets, err := os.ReadFile(argument)
	if errors.Is(err, os.ErrNotExist) && strings.Contains(argument, "+") {
		return nil, 2, errors.New("neither a verifier key nor a file")
	}
	if err != nil {
		return nil, 3, err
	}
	if !utf8.Valid(octets) {
		return nil, 2, errors.New("not UTF-8")
	}
	if keys, err = parseKeys(string(octets)); err != nil {
		return nil, 2, err
	}
	return keys, 0, nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: verify_receipt RECEIPT MAIL.eml KEY")
		os.Exit(2)
	}
	receipt, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "could not read:", err)
		os.Exit(3)
	}
	mail, err := os.ReadFile(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "could not read:", err)
		os.Exit(3)
	}
	keys, status, err := readKeys(os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "the key:", err)
		os.Exit(status)
	}
	failure := ""
	for _, row := range check(receipt, mail, keys) {
		separator := ""
		if row.reason != "" {
			separator = ": "
		}
		fmt.Printf("%-10s %-10s %s%s%s\n", row.name, row.result, row.reason, separator, row.detail)
		if row.result == "bad" && failure == "" {
			failure = row.name + " " + row.reason
		}
	}
	if failure != "" {
		fmt.Println("BAD:", failure)
		os.Exit(1)
	}
	fmt.Println("GOOD: this mail is what the receipt says")
}
