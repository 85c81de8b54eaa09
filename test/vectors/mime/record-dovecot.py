"""Records what Dovecot answers for the messages of the MIME corpora: ENVELOPE and BODYSTRUCTURE.

    apt-get install --no-install-recommends dovecot-imapd
    python3 record-dovecot.py CORPORA > dovecot-2.3.19.jsonl

Each message is given to `doveadm fetch` from a Maildir, with CRLF line ends, as FETCH serves it. One JSON object a line;
strings have one character an octet. Runs as root, since doveadm refuses to read mail as root: it reads as user `mail`.
"""
import glob, json, os, re, subprocess, sys, tempfile

corpora = sys.argv[1]
patterns = ['mime-cpython/msg_*', 'mime-enmime/**/*.raw', 'mime-mime4j/*.msg', 'mime-ruby-mail/**/*.eml',
            'mime-stalwart/eml/*/*.eml', 'eai/*']
files = sorted(path for pattern in patterns for path in glob.glob(os.path.join(corpora, pattern), recursive=True)
               if os.path.isfile(path) and not path.endswith('.md'))
with tempfile.TemporaryDirectory() as home:
    for folder in ('cur', 'new', 'tmp'):
        os.makedirs(f'{home}/box/{folder}')
    for index, path in enumerate(files):
        octets = open(path, 'rb').read()
        with open(f'{home}/box/cur/{100000 + index}.M{index}:2,', 'wb') as mail:
            mail.write(re.sub(rb'(?<!\r)\n', b'\r\n', octets))
    with open(f'{home}/conf', 'w') as conf:
        conf.write(f'mail_location = maildir:{home}/box\nlog_path = {home}/log\nbase_dir = {home}\nssl = no\n')
    subprocess.run(['chown', '-R', 'mail:mail', home], check=True)
    out = subprocess.run(['setpriv', '--reuid=mail', '--regid=mail', '--clear-groups', 'env', 'USER=mail', f'HOME={home}',
                          'doveadm', '-c', f'{home}/conf', '-f', 'json', 'fetch',
                          'uid imap.envelope imap.bodystructure', 'all'], check=True, capture_output=True).stdout
for path, answer in zip(files, json.loads(out.decode('utf-8', 'surrogateescape'))):
    octets = lambda text: text.encode('utf-8', 'surrogateescape').decode('latin-1')
    print(json.dumps({'file': os.path.relpath(path, corpora), 'envelope': octets(answer['imap.envelope']),
                      'bodystructure': octets(answer['imap.bodystructure'])}))
