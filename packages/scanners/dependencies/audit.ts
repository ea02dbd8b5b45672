import type { Scanned } from '../model.ts';
import { findingOf } from './advisory.ts';
import type { LockFile } from './lock-files.ts';
import { auditNode, missingTool, type NodeAuditOptions } from './node-audit.ts';
import { auditPython, type PipAuditOptions } from './pip-audit.ts';
import type { Audit } from './port.ts';
import { rate } from './severities.ts';

export interface DependencyOptions extends PipAuditOptions, NodeAuditOptions {
  /** Ask how severe an advisory is where the tool does not say. */
  rated: boolean;
}

export interface AuditedFile extends Pick<Audit, 'packages' | 'unaudited'> {
  file: LockFile;
  findings: Scanned[];
}

const pythonKinds = new Set(['requirements', 'poetry', 'uv', 'pyproject']);
export const isPython = ({ kind }: LockFile) => pythonKinds.has(kind);

/** Audits one lock file, whatever it is of. Throws when there is no whole answer about it. */
export async function auditLockFile(file: LockFile, options: DependencyOptions): Promise<AuditedFile> {
  const { advisories, packages, unaudited } = isPython(file)
    ? await auditPython(file, options)
    : await auditNode(file, options).catch((thrown: unknown) => {
        throw missingTool(thrown, file);
      });
  const rated = options.rated ? await rate(advisories, options) : advisories;
  return { file, findings: rated.map((each) => findingOf(each, file.path)), packages, unaudited };
}
