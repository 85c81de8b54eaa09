import net from 'node:net';

export const resolvConfPath = '/etc/resolv.conf';

/** glibc looks at three; we at as many as `[dns] resolvers` takes */
const resolversMax = 8;

/**
 * The resolvers of a resolv.conf, as `[dns] resolvers` writes them; the one on this machine where it names none.
 *
 * @source resolv.conf(5)
 */
export const readResolvConf = (text: string): string[] => {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const [, address = ''] = /^nameserver[ \t]+([^\s#;]+)/.exec(line) ?? [];
    const family = net.isIP(address);
    if (family !== 0 && found.length < resolversMax)
      found.push(family === 4 ? `${address}:53` : `[${address}]:53`);
  }
  return found.length > 0 ? found : ['127.0.0.1:53'];
};
