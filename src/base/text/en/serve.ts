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
} as const;
