import type { Translation } from '../catalogue.ts';
import type { dns as english } from '../en/dns.ts';

export const dns: Translation<typeof english> = {
  'status.field.dns': 'DNS',
  'status.dns.validates': '{resolvers}：应答经过 DNSSEC 验证',
  'status.dns.does-not-validate': '{resolvers}：应答没有经过 DNSSEC 验证',
  'status.dns.not-trusted': '{resolvers}：自称做 DNSSEC 验证，但通往它们的路上任何人都能这样说',
  'status.dns.unavailable': '{resolvers}：没有应答',
  'status.todo.dns.does-not-validate':
    '请在本机运行做验证的解析器（apt install unbound），并写明：[dns] resolvers = ["127.0.0.1:53"]；在此之前，伪造的 DNS 应答可以左右 SPF、DKIM 与 DMARC 的结论',
  'status.todo.dns.not-trusted':
    '请在本机运行做验证的解析器；若通往解析器的路上没有别人，也可设置 [dns] trust_ad = true',
  'status.todo.dns.unavailable':
    '请检查 /etc/resolv.conf 或 [dns] resolvers：没有 DNS，就无法得知邮件究竟是谁发来的',
  'domain.dns.field.host': '{hostname} 的地址',
  'domain.dns.field.spf': 'SPF',
  'domain.dns.field.dmarc': 'DMARC',
  'domain.dns.published': '{domain} 目前发布的内容：',
  'domain.dns.none': '无',
  'domain.dns.host-absent': '无：没有人能按名称找到本服务器',
  'domain.dns.bad': '有误：{why}：{text}',
  'domain.dns.several': '有误：应只有一条记录，现有 {count} 条',
  'domain.dns.not-known': '无法查询：{why}',
};
