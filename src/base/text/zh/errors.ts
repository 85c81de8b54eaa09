import type { Translation } from '../catalogue.ts';
import type { errors as english } from '../en/errors.ts';

export const errors: Translation<typeof english> = {
  'error.config-invalid': '配置有误：{subject}',
  'remedy.config-invalid':
    '请改正该设置；所有设置见“fengni config schema”和 docs/operate/configuration.zh.md',
  'error.config-unreadable': '无法读取配置文件：{subject}',
  'remedy.config-unreadable': '请检查路径和读取权限，或去掉 --config 使用默认值',
  'error.json-not-canonical': '此 JSON 不是规范形式：{subject}',
  'remedy.json-not-canonical': '该内容不是本程序写的，或已被改动；请用原件',
  'error.usage': '{subject}',
  'remedy.usage': '请看“fengni --help”',
};
