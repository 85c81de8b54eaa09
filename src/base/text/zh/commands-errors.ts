import type { Translation } from '../catalogue.ts';
import type { commandsErrors as english } from '../en/commands-errors.ts';

export const commandsErrors: Translation<typeof english> = {
  'error.message-refused': '邮件没有被接收：{subject}',
  'remedy.message-refused': '“fengni account list”与“fengni alias list”列出这里有谁',
  'error.mail-file-unusable': '该文件目前不能作为邮件：{subject}',
  'remedy.mail-file-unusable': '请让每一行的行尾相同，CRLF 或 LF；“file mail.eml”会说明现状',
  'error.message-unknown': '没有这封邮件：{subject}',
  'remedy.message-unknown': '编号由 26 个字母和数字组成：在给发件方的应答中，也在邮件的 Fengni-Seal 字段中',
  'error.not-sealed-yet': '还没有签名头覆盖这封邮件：{subject}',
  'remedy.not-sealed-yet': '请稍后再试；若一直如此，“fengni status”会说明封印进程的情况',
  'error.sealer-refuses': '封印进程没有开始新的一代：{subject}',
  'remedy.sealer-refuses': '请看“fengni status”，然后再次运行“fengni log new-generation”',
  'error.server-not-running': '该数据目录上没有服务器在运行：{subject}',
  'remedy.server-not-running': '请启动服务器：fengni serve',
  'error.file-unreadable': '无法读取文件：{subject}',
  'remedy.file-unreadable': '请检查路径以及谁可以读取它',
  'error.file-unwritable': '无法写入文件：{subject}',
  'remedy.file-unwritable': '请检查路径、写入权限与磁盘',
  'error.account-refused': '无法对该账户执行此操作：{subject}',
  'remedy.account-refused': '请看“fengni account list”与“fengni domain list”',
  'error.alias-refused': '无法对该别名执行此操作：{subject}',
  'remedy.alias-refused': '请看“fengni alias list”与“fengni account list”',
  'error.domain-refused': '无法对该域名执行此操作：{subject}',
  'remedy.domain-refused': '请看“fengni domain list”',
};
