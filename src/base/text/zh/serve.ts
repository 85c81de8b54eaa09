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
  'error.data-folder-not-writable': '当前用户不能写入数据目录：{subject}',
  'remedy.data-folder-not-writable': '请以该目录的所有者启动，或用 --data 指定一个可写的目录',
  'error.data-folder-not-a-folder': '数据目录是一个文件，或位于某个文件之下：{subject}',
  'remedy.data-folder-not-a-folder': '请移走那个文件，或用 --data 指定另一个目录',
  'error.data-folder-of-another': '数据目录或其中的文件属于另一个用户：{subject}',
  'remedy.data-folder-of-another': '请以其所有者启动，或把整个目录交给服务器的用户：chown -R 用户 目录',
  'error.format-file-damaged': '此文件没有说明数据目录的格式：{subject}',
  'remedy.format-file-damaged': '请从副本恢复；如果 --data 指向了别的东西，请改用另一个目录',
  'error.disk-full': '磁盘已满：{subject}',
  'remedy.disk-full': '请在数据目录所在的磁盘上腾出空间后重新启动；已确认的邮件不会丢失',
  'error.no-access': '当前用户无法访问文件：{subject}',
  'remedy.no-access': '请检查数据目录及其中所有文件的所有者',
  'error.file-not-found': '缺少文件：{subject}',
  'remedy.file-not-found': '请确认数据目录完整，并且 --data 指定的目录正确',
  'error.role-failed': '服务器的一个进程无法启动：{subject}',
  'remedy.role-failed': '请看上面的日志；如果看不出原因，请报告这些日志',
  'error.socket-unknown': 'systemd 交来的套接字没有对应的监听：{subject}',
  'remedy.socket-unknown': '请把套接字单元的 FileDescriptorName= 设为某一节 [listen.NAME] 的 NAME',
  'serve.root.named': '[server] user 是 root',
  'serve.root.no-user': '没有用户 fengni',
  'serve.root.program-closed': '用户 {user} 不能读取程序：{folder} 对它关闭',
  'serve.root.data-closed': '用户 {user} 不能到达数据目录：{folder} 对它关闭',
} as const satisfies Record<keyof typeof en, string>;
