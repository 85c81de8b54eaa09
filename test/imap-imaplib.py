"""Reads and changes mail with Python's imaplib: python3 imap-imaplib.py PORT CA [starttls]. Prints what differs; exit 1 then."""

import imaplib
import ssl
import sys
import time

port, ca = int(sys.argv[1]), sys.argv[2]
starttls = len(sys.argv) > 3
user, password = "imaplib@fengni.test", "secret"
context = ssl.create_default_context(cafile=ca)
faults = []


def check(what, found, expected):
    if found != expected:
        faults.append("%s: %r, expected %r" % (what, found, expected))


if starttls:
    client = imaplib.IMAP4("localhost", port)
    check("LOGINDISABLED", "LOGINDISABLED" in client.capabilities, True)
    check("STARTTLS", client.starttls(ssl_context=context)[0], "OK")
else:
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
check("AUTH=PLAIN", "AUTH=PLAIN" in client.capabilities, True)
try:
    client.login(user, "wrong")
    faults.append("a wrong password was taken")
except imaplib.IMAP4.error as error:
    check("wrong password", b"AUTHENTICATIONFAILED" in str(error).encode(), True)
client.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user, password)).encode())
check("ID", client.xatom("ID", '("name" "imaplib")')[0], "OK")
folder = '"lib-%s"' % ("starttls" if starttls else "tls")
check("CREATE", client.create(folder)[0], "OK")
check("SUBSCRIBE", client.subscribe(folder)[0], "OK")
check("LSUB", len(client.lsub('""', folder)[1]), 1)
octets = "From: a@example.org\r\nSubject: \u5c01\u6ce5\r\n\r\nline\r\n".encode() + bytes(range(1, 256)) + b"\r\n" + b"x" * 200000
status, _ = client.append(folder, r"(\Flagged)", imaplib.Time2Internaldate(time.gmtime(0)), octets)
check("APPEND", status, "OK")
# imaplib turns bare line ends into CRLF before it sends
sent = imaplib.MapCRLF.sub(imaplib.CRLF, octets)
check("SELECT", client.select(folder), ("OK", [b"1"]))
check("FETCH", client.fetch("1", "(BODY.PEEK[])")[1][0][1] == sent, True)
check("flags", client.fetch("1", "(FLAGS)")[1], [b"1 (FLAGS (\\Flagged \\Recent))"])
check("date", b'INTERNALDATE " 1-Jan-1970 00:00:00 +0000"' in client.fetch("1", "(INTERNALDATE RFC822.SIZE)")[1][0], True)
check("header", client.fetch("1", "(BODY[HEADER.FIELDS (FROM)])")[1][0][1], b"From: a@example.org\r\n\r\n")
check("partial", client.fetch("1", "(BODY.PEEK[TEXT]<0.4>)")[1][0][1], b"line")
check("STORE", client.store("1", "+FLAGS", r"(\Answered $Work)")[0], "OK")
check("SEARCH", client.search(None, "KEYWORD", "$Work", "NOT", "DELETED"), ("OK", [b"1"]))
check("UID SEARCH", client.uid("SEARCH", "FLAGGED"), ("OK", [b"1"]))
check("COPY", client.copy("1", "INBOX")[0], "OK")
check("UID MOVE", client.uid("MOVE", "1", "Trash")[0], "OK")
check("NOOP", client.noop()[0], "OK")
check("gone", client.search(None, "ALL"), ("OK", [b""]))
check("STATUS", b"MESSAGES 0" in client.status(folder, "(MESSAGES UNSEEN)")[1][0], True)
check("CLOSE", client.close()[0], "OK")
check("EXAMINE", client.select("INBOX", readonly=True)[0], "OK")
check("copied", client.fetch("*", "(BODY.PEEK[])")[1][0][1] == sent, True)
check("namespace", client.namespace(), ("OK", [b'(("" "/")) NIL NIL']))
client.unselect()
check("UNSUBSCRIBE", client.unsubscribe(folder)[0], "OK")
check("DELETE", client.delete(folder)[0], "OK")
check("LOGOUT", client.logout()[0], "BYE")
print("\n".join(faults))
sys.exit(1 if faults else 0)
