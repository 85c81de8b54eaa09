import type { serve as en } from '../en/serve.ts';

/** `fengni serve` 的文字。 */
export const serve = {
  'serve.summary': '运行服务器',
  'serve.usage':
    '运行服务器，直到收到 SIGTERM 或 SIGINT。所有端口开始监听时，标准输出只打印一行 ready；地址与日志写到标准错误。SIGHUP 重新读取证书。',
  'serve.option.port-base': '把 N 加到每个默认端口上',
  'serve.first-login': '首次登录信息在 {file} 中；请修改密码：fengni account password admin@fengni.test',
  'serve.first-password': '地址：{address}  密码：{password}',
  'serve.unwitnessed': '未见证：本机之外还没有人保存日志的签名头。请自己保存一份：fengni log checkpoint',
} as const satisfies Record<keyof typeof en, string>;
