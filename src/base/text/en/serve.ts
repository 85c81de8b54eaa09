/** Words of `fengni serve`. */
export const serve = {
  'serve.summary': 'run the server',
  'serve.usage':
    'Runs the server until SIGTERM or SIGINT. Standard output gets one line, "ready", when every port listens; addresses and the log go\nto standard error. SIGHUP reads the certificates again.',
  'serve.option.port-base': 'add N to each default port',
  'serve.first-login':
    'The first log-in is in {file}; change its password: fengni account password admin@fengni.test',
  'serve.first-password': 'address: {address}  password: {password}',
  'serve.unwitnessed':
    'Unwitnessed: nobody outside this machine keeps a head of the log yet. Keep one yourself: fengni log checkpoint',
  'error.data-folder-not-writable': 'This user may not write the data folder: {subject}',
  'remedy.data-folder-not-writable':
    'start as the owner of the folder, or name one that this user may write: --data DIR',
  'error.data-folder-not-a-folder': 'The data folder is a file, or lies below one: {subject}',
  'remedy.data-folder-not-a-folder': 'move that file away, or name another folder: --data DIR',
  'error.data-folder-of-another': 'The data folder, or a file in it, belongs to another user: {subject}',
  'remedy.data-folder-of-another':
    'start as its owner, or give all of it to the user of the server: chown -R USER DIR',
  'error.format-file-damaged': 'This file does not say which format the data folder has: {subject}',
  'remedy.format-file-damaged':
    'put it back from a copy; if --data names a folder of something else, name another',
  'error.disk-full': 'The disk is full: {subject}',
  'remedy.disk-full':
    'make room on the disk of the data folder and start again; nothing acknowledged is lost',
  'error.no-access': 'A file may not be reached by this user: {subject}',
  'remedy.no-access': 'check who owns the data folder and everything in it',
  'error.file-not-found': 'A file is missing: {subject}',
  'remedy.file-not-found': 'check that the data folder is whole and that --data names the right one',
  'error.role-failed': 'A process of the server does not come up: {subject}',
  'remedy.role-failed': 'see the lines of the log above; if they tell no cause, report them',
  'error.socket-unknown': 'systemd handed over a socket that no listener asks for: {subject}',
  'remedy.socket-unknown':
    'set FileDescriptorName= in the socket unit to the NAME of a section [listen.NAME]',
  'serve.root.named': '[server] user is root',
  'serve.root.no-user': 'there is no user "fengni"',
  'serve.root.program-closed': 'user "{user}" cannot read the program: {folder} is closed to it',
  'serve.root.data-closed': 'user "{user}" cannot come to the data folder: {folder} is closed to it',
  'sealer.summary': 'sign heads of the log, as a service under a user of its own',
  'sealer.usage':
    'Runs the sealer until SIGTERM or SIGINT. Standard output gets one line, "ready", when the socket answers. DIR holds its key and what it\nsigned last: a folder of its own, outside the data folder. The server uses it by [sealer] socket; it must be able to read DATA/ledger.\n\nallow  permits one step, once and for an hour, beside the running sealer: a planned key rotation (prints the next key), or a new generation after\n       a loss. The server cannot take either by itself.',
  'sealer.option.state': "the sealer's own folder",
  'sealer.option.socket': 'path of the socket on which it answers',
  'sealer.option-missing': '{name} is missing',
  'error.sealer-folder-unusable': 'The sealer cannot use this: {subject}',
  'remedy.sealer-folder-unusable':
    'name a folder and a socket that its user may make: --state DIR --socket S',
  'error.sealer-in-use': 'Another sealer has this folder: {subject}',
  'remedy.sealer-in-use': 'stop that one first, or name another folder: --state DIR',
} as const;
