import type { Translation } from '../catalogue.ts';
import type { web as english } from '../en/web.ts';

export const web: Translation<typeof english> = {
  'web.title': '{host} 的封泥邮件系统',
  'web.what':
    '这台邮件服务器能证明：您读到的邮件就是收到的邮件。每封邮件到达时即计算哈希，写入只增不改的日志，并以签名封存。',
  'web.no-webmail': '这里暂时还不能用浏览器读信，请使用邮件客户端。',
  'web.programs': '设置邮件客户端',
  'web.programs.text': '用户名是完整的邮件地址。',
  'web.server': '服务器',
  'web.port': '端口',
  'web.security': '加密方式',
  'web.service.IMAP': '读信（IMAP）',
  'web.service.POP3': '收信（POP3）',
  'web.service.SMTP': '发信（SMTP）',
  'web.authority':
    '本服务器的证书由它自己签发。请让邮件客户端信任服务器数据目录中的 tls/ca.pem；它只对本系统的域名有效。',
  'web.seal': '验证封泥',
  'web.seal.text':
    '每封邮件的 Fengni-Seal 行里有它的编号。服务器管理者可以为它开出收据；任何人都能用邮件、收据和公钥离线验证。',
  'web.seal.key': '验证封泥用的公钥',
  'web.seal.checkpoint': '日志最新的公开签名头',
  'web.seal.none': '尚未封存任何邮件。',
};
