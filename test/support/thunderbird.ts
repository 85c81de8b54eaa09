import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Marionette } from './marionette.ts';

export interface ThunderbirdOptions {
  /** holds profile, log and pictures */
  folder: string;
  imapPort: number;
  user: string;
  caFile: string;
  language: 'en-US' | 'zh-CN';
}

export interface Thunderbird {
  readonly marionette: Marionette;
  /** what it said and heard over IMAP so far */
  imapLog(): string;
  /** a picture of the upper part of the screen, PNG */
  screenshot(file: string): void;
  quit(): Promise<void>;
}

const width = 1100;
const height = 760;
const pictureHeight = 400;

/** Starts Thunderbird in a display of its own, with one account that is set up by its preferences. */
export const startThunderbird = async (options: ThunderbirdOptions): Promise<Thunderbird> => {
  const profile = path.join(options.folder, 'profile');
  fs.mkdirSync(profile, { recursive: true });
  fs.writeFileSync(path.join(profile, 'user.js'), preferences(options));
  execFileSync('certutil', ['-N', '-d', `sql:${profile}`, '--empty-password']);
  execFileSync('certutil', [
    ...['-A', '-d', `sql:${profile}`, '-n', 'fengni', '-t', 'CT,,'],
    ...['-i', options.caFile],
  ]);
  const { display, server } = await startDisplay();
  const imapLog = path.join(options.folder, 'imap.log');
  const child = spawn(
    'thunderbird',
    [
      ...['--profile', profile, '--no-remote', '--marionette', '--remote-allow-system-access'],
      ...['--width', String(width), '--height', String(height)],
    ],
    {
      env: {
        ...process.env,
        DISPLAY: display,
        HOME: options.folder,
        XDG_RUNTIME_DIR: options.folder,
        LANG: options.language === 'zh-CN' ? 'zh_CN.UTF-8' : 'C.UTF-8',
        MOZ_LOG: 'IMAP:5,timestamp',
        MOZ_LOG_FILE: imapLog,
        MOZ_DISABLE_CONTENT_SANDBOX: '1',
        DBUS_SESSION_BUS_ADDRESS: 'disabled:',
        NO_AT_BRIDGE: '1',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-5_000);
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    server.kill();
  };
  try {
    const marionette = await connected(path.join(profile, 'MarionetteActivePort'), child, () => said);
    await marionette.run('window.moveTo(0, 0); window.resizeTo(args[0], args[1]);', [width, height]);
    return {
      marionette,
      imapLog: () =>
        fs
          .readdirSync(options.folder)
          .filter((name) => name.startsWith('imap.log'))
          .map((name) => fs.readFileSync(path.join(options.folder, name), 'latin1'))
          .join(''),
      screenshot: (file) =>
        void execFileSync('import', [
          '-display',
          display,
          '-window',
          'root',
          '-crop',
          `${width}x${pictureHeight}+0+0`,
          '+repage',
          '+dither',
          '-colors',
          '64',
          file,
        ]),
      quit: async () => {
        await Promise.race([marionette.quit(), new Promise((resolve) => setTimeout(resolve, 5_000))]);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

const connected = async (portFile: string, child: ChildProcess, said: () => string): Promise<Marionette> => {
  for (let tries = 0; tries < 240; tries++) {
    if (child.exitCode !== null) break;
    try {
      return await Marionette.connect(Number(fs.readFileSync(portFile, 'utf8')));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  throw new Error(`Thunderbird does not answer:\n${said()}`);
};

/** A display that nobody sees; it chooses its own number. */
const startDisplay = async (): Promise<{ display: string; server: ChildProcess }> => {
  const server = spawn(
    'Xvfb',
    ['-displayfd', '1', '-screen', '0', `${width}x${height}x24`, '-nolisten', 'tcp'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const number = await new Promise<string>((resolve, reject) => {
    server.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    server.once('exit', () => reject(new Error('Xvfb ended')));
  });
  return { display: `:${number}`, server };
};

const preferences = ({ imapPort, user, language }: ThunderbirdOptions): string => {
  const server = 'mail.server.server1';
  const values: Record<string, string | number | boolean> = {
    'marionette.port': 0,
    'intl.locale.requested': language,
    'mail.accountmanager.accounts': 'account1,account2',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.accountmanager.localfoldersserver': 'server2',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.account.account2.server': 'server2',
    'mail.identity.id1.fullName': 'Ann',
    'mail.identity.id1.useremail': user,
    'mail.identity.id1.valid': true,
    [`${server}.type`]: 'imap',
    [`${server}.hostname`]: 'localhost',
    [`${server}.port`]: imapPort,
    [`${server}.userName`]: user,
    [`${server}.name`]: user,
    // TLS from the start, a password as it is
    [`${server}.socketType`]: 3,
    [`${server}.authMethod`]: 3,
    [`${server}.login_at_startup`]: false,
    [`${server}.check_new_mail`]: false,
    [`${server}.using_subscription`]: true,
    'mail.server.server2.type': 'none',
    'mail.server.server2.hostname': 'Local Folders',
    'mail.server.server2.userName': 'nobody',
    'mail.server.server2.directory-rel': '[ProfD]Mail/Local Folders',
    // nothing but what is asked for
    'app.update.enabled': false,
    'app.normandy.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'datareporting.policy.bypassNotification': true,
    'toolkit.telemetry.enabled': false,
    'mail.provider.suppress_dialog_on_startup': true,
    'mail.spotlight.firstRunDone': true,
    'mail.rights.version': 1,
    'mail.shell.checkDefaultClient': false,
    'mailnews.start_page.enabled': false,
    'mailnews.database.global.indexer.enabled': false,
    'mail.chat.enabled': false,
    'calendar.timezone.useSystemTimezone': true,
    'mail.winsearch.firstRunDone': true,
    'mail.instrumentation.postUrl': '',
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'extensions.getAddons.cache.enabled': false,
    'browser.safebrowsing.malware.enabled': false,
    'browser.safebrowsing.phishing.enabled': false,
    'services.settings.server': 'http://127.0.0.1:1',
    'mail.folder.views.version': 1,
    'mailnews.message_display.disable_remote_image': true,
    'mail.inappnotifications.enabled': false,
    'mail.biff.show_alert': false,
    // the seal is shown beside the sender
    'mailnews.headers.extraExpandedHeaders': 'Fengni-Seal',
    'mail.pane_config.dynamic': 2,
  };
  return Object.entries(values)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
    .join('');
};
