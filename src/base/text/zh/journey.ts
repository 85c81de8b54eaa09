import type { Translation } from '../catalogue.ts';
import type { journey as english } from '../en/journey.ts';

export const journey: Translation<typeof english> = {
  'show.peer.local-user': '本机上的命令，由其用户 {uid} 运行',
  'show.option.as': '以该收件人的身份：只有它自己的地址，没有其他收件人及其数目',
  'show.field.parameters': '要求',
  'show.peer.unix': '本机的程序，经 Unix 套接字',
  'show.peer.unknown': '中继没有说明的对端',
  'show.peer.named': '{peer}，主机名 {name}',
  'show.peer.via': '{peer}；此为 {address} 通过 {by} 所述',
  'show.field.claims': '自称',
  'show.claims': '未经证实：邮件自身的 {count} 个 Received 字段，新的在前',
  'show.claims.unreadable': '无法读取邮件头：请运行“fengni verify”',
  'show.field.claim': '自称 {number}',
  'show.claim': '{time}，{by} 经 {protocol} 从 {from} 收到',
};
