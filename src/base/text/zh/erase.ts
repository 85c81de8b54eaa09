import type { Translation } from '../catalogue.ts';
import type { erase as english } from '../en/erase.ts';

export const erase: Translation<typeof english> = {
  'account.option.yes': 'purge：确认执行，之后无法恢复',
  'account.purged': '{address} 已销毁，连同 {copies} 份邮件。它们无法恢复；在日志中的位置和所有证明仍在。',
  'account.purged-aliases': '只指向它的别名也一并销毁：{aliases}',
  'account.purge-not-confirmed': '这会永久销毁 {address} 及其一切。尚未执行任何操作。',
  'account.purge-not-confirmed.remedy': '如果确实要这样做：fengni account purge {address} --yes',
  'hold.summary': '保全：暂停销毁的账户',
  'hold.usage':
    'hold add 地址 [--reason 文字] | release 地址 | list\n\nadd      从现在起，该账户的任何内容都不会被销毁，无论谁删除；账户照常使用\nrelease  其间删除的邮件在期限满后销毁\nlist     列出全部及其原因',
  'hold.option.reason': '原因；加密保存在日志中，不出现在公开封印里',
  'hold.added': '从现在起，{address} 的任何内容都不会被销毁。',
  'hold.released': '{address} 的保全已解除：已删除的邮件期限满后照常销毁。',
  'hold.none': '没有保全。',
  'error.account-on-hold': '该账户处于保全之中，其内容不会被销毁：{subject}',
  'remedy.account-on-hold': '请看“fengni hold list”；“fengni hold release 地址”可解除',
  'error.hold-refused': '无法对该保全执行此操作：{subject}',
  'remedy.hold-refused': '请看“fengni hold list”与“fengni account list”',
};
