// Installs what package-lock.json names, Node 26 included. Run by scripts/node26 only, which holds the lock.
// Plain JavaScript for any Node >= 18: this is the only file that the system's Node runs.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const nodePackage = process.argv[2] ?? 'none';
const lockFile = path.join(root, 'package-lock.json');
const stamp = path.join(root, 'node_modules', '.fengni-installed-lock');
const binary = path.join(root, 'node_modules', nodePackage, 'bin', 'node');
const nodeMajorMin = 26;
const outputCharsMax = 65_536;

const { LC_ALL, LC_MESSAGES, LANG } = process.env;
const isChinese = /^zh/i.test(LC_ALL || LC_MESSAGES || LANG || '');
const say = ({ en, zh }) => process.stderr.write(`fengni: ${isChinese ? zh : en}\n`);
const fail = (text) => {
  say(text);
  process.exit(3);
};

const versionWorks = (program) => {
  const { status, stdout } = spawnSync(program, ['-p', 'process.versions.node'], { encoding: 'utf8' });
  return status === 0 && Number.parseInt(stdout, 10) >= nodeMajorMin;
};
const nodeWorks = () => versionWorks(fs.existsSync(binary) ? binary : process.execPath);

/** What npm's output says about why it failed, with the remedy. */
const reasons = [
  {
    pattern: /ENOSPC|no space left/i,
    en: 'The disk is full: about 400 MB are needed. Make room and start again.',
    zh: '磁盘已满：大约需要 400 MB。请腾出空间后重新启动。',
  },
  {
    pattern: /EACCES|EPERM|EROFS/,
    en: `npm may not write where it has to. Check who owns ${root}, its node_modules and npm's cache (~/.npm), and start again as that user.`,
    zh: `npm 没有写入所需目录的权限。请检查 ${root}、其中的 node_modules 以及 npm 缓存（~/.npm）的所有者，并以该用户重新启动。`,
  },
  {
    pattern:
      /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|network/i,
    en: 'The npm registry cannot be reached. The first start needs the network (or a filled npm cache): connect, or set npm\'s proxy or registry ("npm config set registry URL"), and start again.',
    zh: '无法连接 npm 软件源。首次启动需要网络（或已有内容的 npm 缓存）：请联网，或设置 npm 的代理或软件源（“npm config set registry 网址”）后重新启动。',
  },
  {
    pattern: /CERT_|SELF_SIGNED|UNABLE_TO_VERIFY|certificate/i,
    en: 'The certificate of the npm registry could not be verified. Check the clock, and npm\'s "cafile" setting if a proxy is in between, and start again.',
    zh: '无法验证 npm 软件源的证书。请检查系统时间；若经过代理，请检查 npm 的“cafile”设置，然后重新启动。',
  },
  {
    pattern: /EUSAGE|EINTEGRITY|EBADENGINE|in sync/,
    en: 'package-lock.json and the registry do not agree. Take both package files of this version unchanged ("git checkout package.json package-lock.json") and start again.',
    zh: 'package-lock.json 与软件源不一致。请恢复本版本的这两个文件（“git checkout package.json package-lock.json”）后重新启动。',
  },
];
const otherReason = {
  en: 'npm could not install the packages; its own words are above. Put that right and start again.',
  zh: 'npm 未能安装软件包，原因见上面它自己的输出。请解决后重新启动。',
};

const npmMissing = {
  en: 'npm is not installed; it is needed once. Install it (Debian: apt install npm) and start again.',
  zh: '没有安装 npm；首次启动需要它。请安装（Debian:apt install npm）后重新启动。',
};

say({
  en: `${fs.existsSync(stamp) ? 'another version' : 'first start'}: installing Node ${nodeMajorMin} and the libraries (about a minute, once) …`,
  zh: `${fs.existsSync(stamp) ? '版本已更换' : '首次启动'}：正在安装 Node ${nodeMajorMin} 和所需的库（约一分钟，只需一次）…`,
});

// An explicit --include wins over omit=optional in the environment or in a .npmrc.
const npmArguments = [
  'ci',
  '--include=optional',
  '--include=dev',
  '--ignore-scripts',
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--fetch-retries=2',
  '--fetch-retry-mintimeout=1000',
  '--fetch-retry-maxtimeout=5000',
];
const { npm_execpath: npmScript = '' } = process.env;
const [program, ...programArguments] = /npm-cli\.c?js$/.test(npmScript)
  ? [process.execPath, npmScript, ...npmArguments]
  : ['npm', ...npmArguments];
// Descriptor 9 is the lock of scripts/node26: npm holds it too, so that nobody starts a second npm while this one lives,
// even if this process is killed.
const lockDescriptor = fs.existsSync('/proc/self/fd/9') ? 9 : 'ignore';
const npm = spawn(program, programArguments, {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe', ...Array(6).fill('ignore'), lockDescriptor],
});
let output = '';
for (const stream of [npm.stdout, npm.stderr]) {
  stream.on('data', (chunk) => {
    process.stderr.write(chunk);
    output = (output + chunk).slice(-outputCharsMax);
  });
}
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isInterrupted = true;
    npm.kill('SIGTERM');
    setTimeout(() => npm.kill('SIGKILL'), 5_000).unref();
  });
}
npm.on('error', (error) => {
  fail(error.code === 'ENOENT' ? npmMissing : { en: `npm: ${error.message}`, zh: `npm: ${error.message}` });
});
npm.on('close', (status) => {
  if (isInterrupted) process.exit(3);
  if (status !== 0) fail(reasons.find(({ pattern }) => pattern.test(output)) ?? otherReason);
  if (!nodeWorks()) {
    fail({
      en: `There is no Node ${nodeMajorMin} from npm for this machine (${process.platform} ${process.arch}) that runs here. Install Node ${nodeMajorMin} or newer so that "node" is it, and start again.`,
      zh: `npm 上没有能在本机（${process.platform} ${process.arch}）运行的 Node ${nodeMajorMin}。请自行安装 Node ${nodeMajorMin} 或更新版本，使“node”命令指向它，然后重新启动。`,
    });
  }
  // Last and by rename, so that an interrupted installation starts again.
  try {
    fs.copyFileSync(lockFile, `${stamp}.new`);
    fs.renameSync(`${stamp}.new`, stamp);
  } catch (error) {
    fail({
      en: `${stamp} could not be written (${error.message}). Check the disk and the folder's owner, and start again.`,
      zh: `无法写入 ${stamp}(${error.message})。请检查磁盘和目录的所有者后重新启动。`,
    });
  }
});
