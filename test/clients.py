"""Python's own mail clients against a server. Reads one JSON object from standard input, writes one to standard output.

Octets travel as latin-1 text: one octet a character.
"""
import imaplib
import json
import poplib
import smtplib
import ssl
import sys

job = json.load(sys.stdin)
context = ssl.create_default_context(cafile=job['ca'])
host, port, user, password = 'localhost', job['port'], job.get('user'), job.get('password')
# RFC 1939 has no limit for the lines of a message; the module's own is 2,048.
poplib._MAXLINE = 1 << 20


def send():
    replies = []
    with smtplib.SMTP(host, port, local_hostname='client.example', timeout=60) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        for message in job['messages']:
            options = ['SMTPUTF8', 'BODY=8BITMIME'] if message.get('smtpUtf8') else ['BODY=8BITMIME']
            for code, text in (smtp.mail(message['from'], options), smtp.rcpt(message['to'])):
                assert code == 250, (message['name'], code, text)
            code, text = smtp.data(message['octets'].encode('latin-1'))
            replies.append(f"{code} {text.decode('ascii')}")
    return replies


def pop(client):
    client.user(user)
    client.pass_(password)
    count = client.stat()[0]
    messages = [b''.join(line + b'\r\n' for line in client.retr(number)[1]) for number in range(1, count + 1)]
    client.quit()
    return messages


def pop3s():
    return pop(poplib.POP3_SSL(host, port, context=context, timeout=60))


def pop3_stls():
    client = poplib.POP3(host, port, timeout=60)
    client.stls(context=context)
    return pop(client)


def imap(client):
    client.login(user, password)
    _, (count,) = client.select('INBOX', readonly=True)
    messages = []
    for number in range(1, int(count) + 1):
        _, parts = client.fetch(str(number), '(RFC822.SIZE BODY.PEEK[])')
        head, octets = parts[0]
        assert b'RFC822.SIZE %d ' % len(octets) in head + b' ', head
        messages.append(octets)
    client.logout()
    return messages


def imaps():
    return imap(imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=60))


def imap_starttls():
    client = imaplib.IMAP4(host, port, timeout=60)
    client.starttls(context)
    return imap(client)


result = {'send': send, 'pop3s': pop3s, 'pop3_stls': pop3_stls, 'imaps': imaps, 'imap_starttls': imap_starttls}[job['do']]()
json.dump([part.decode('latin-1') if isinstance(part, bytes) else part for part in result], sys.stdout)
