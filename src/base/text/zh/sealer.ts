import type { Translation } from '../catalogue.ts';
import type { sealer as english } from '../en/sealer.ts';

export const sealer: Translation<typeof english> = {
  'log.rotated':
    '日志的第 {before} 代已经结束：{leaves} 片叶都在其最后的签名头之下，最后一片叶写明下一把密钥。第 {generation} 代已经开始，其密钥为：',
  'sealer.allowed.rotation':
    '已许可一次，到 {until} 为止：第 {after} 代的密钥可以移交给下一把。现在请在服务器一侧运行：fengni log rotate-key',
  'sealer.allowed.new-generation':
    '已许可一次，到 {until} 为止：在丢失之后开始新的一代（封印进程现在第 {after} 代）。现在请在服务器一侧运行：fengni log new-generation',
  'sealer.allowed.key': '下一把密钥将是下面这一把。要核对回执的人可以在启用之前拿到它：',
  'error.sealer-away': '封印进程没有应答：{subject}',
  'remedy.sealer-away': '请启动封印服务（systemctl start fengni-sealer），然后再次运行',
  'error.sealer-not-allowed': '封印进程没有得到开始新一代的许可：{subject}',
  'remedy.sealer-not-allowed':
    '什么也没有改变；请在封印一侧以其用户运行：计划内的密钥轮换用“fengni sealer allow rotation --state 目录”，丢失之后用“fengni sealer allow new-generation --state 目录”；然后在一小时内再次运行本命令',
  'error.sealer-not-begun': '该封印进程还没有开始任何一代：{subject}',
  'remedy.sealer-not-begun': '没有可以轮换的密钥：请先启动服务器，或看“fengni status”',
  'status.field.todo': '怎么办',
  'status.field.disk': '磁盘',
  'status.disk.nearly-full': '将满：剩余 {free} MiB；新邮件得到 452 4.3.1，阅读和删除照常',
  'status.todo.disk': '请在数据目录所在的磁盘上腾出空间；之后邮件自动恢复接收',
  'status.todo.role': '它会自动重新启动；若一直没有，服务器的日志会说明原因（journalctl -u fengni）',
  'status.todo.writer': '请看服务器的日志（journalctl -u fengni）：其中有原因',
  'status.todo.down':
    '邮件照常收发，但没有封印；请启动封印服务（systemctl start fengni-sealer，journalctl -u fengni-sealer）：一步即可补上',
  'status.todo.copied':
    '封印进程的目录是另一个目录的副本，副本什么也不签；请停掉它并启动原来的；若原来的已丢失：先 fengni sealer allow new-generation，再 fengni log new-generation',
  'status.todo.rolled-back':
    '封印进程的目录被恢复到了以前的时刻（备份或整机快照）；请查明是谁所为；然后：先 fengni sealer allow new-generation，再 fengni log new-generation',
  'status.todo.lost':
    '封印进程无法知道自己签过什么：切勿放回旧的副本；先 fengni sealer allow new-generation，再 fengni log new-generation',
  'status.todo.key-lost':
    '封印进程的密钥文件不见了：若有副本，请只放回那一个文件；否则先 fengni sealer allow new-generation，再 fengni log new-generation',
  'status.todo.behind':
    '日志与封印进程处在不同的代：请再次运行被中断的命令（fengni log rotate-key 或 fengni log new-generation）',
  'status.todo.fork':
    '服务器要求签署与已签历史不同的历史：请当作攻击或误恢复的备份处理；停止服务器，保留磁盘，与保存在外的签名头比较：fengni verify --checkpoint 文件',
  'status.todo.entries':
    '账本文件无法读取，或与日志的根不符：先 fengni verify，再 fengni verify --repair；封印进程的用户能读取 DATA/ledger 吗？',
  'status.todo.unusable': '请检查封印进程目录所在的磁盘：那里有一次写入失败；然后重新启动封印服务',
};
