import { parse, TomlError } from 'smol-toml';
import { ConfigError, checkConfig } from './index.ts';

const text = new TextEncoder();

export const seeds: Uint8Array[] = [
  '[server]\nhostname = "mail.example.org"\n[listen.smtp]\nport = 25\naddress = ["0.0.0.0", "::"]\n',
  '[limits]\ntrusted = ["10.0.0.0/8", "2001:db8::/32"]\n[[tls.certificate]]\ncert = "a"\nkey = "b"\n',
  '[smtp]\nsize_max = "50MiB"\n[delivery]\nretry = ["5m"]\nsmart_host = "a.example:25"\n[dns]\nresolvers = ["[::1]:53"]\n',
].map((toml) => text.encode(toml));

/** Whatever stands in the file, it is a configuration or a ConfigError. */
export const run = (data: Uint8Array): void => {
  try {
    const root = parse(new TextDecoder().decode(data), { maxDepth: 8 });
    checkConfig(root, { file: null, cwd: '/', dataFolder: null, portBase: 0 });
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof TomlError)) throw error;
    if (error instanceof ConfigError) error.spoken('zh');
  }
};
