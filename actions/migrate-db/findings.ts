import { relative, resolve } from 'node:path';
import { type Finding, identify, type Target } from '@deploy-actions/findings';
import { type Finding as LintFinding, type Plan, rules } from '@deploy-actions/migrations';

/** What was looked at: the migrations of a plan. */
export function targetOf({ database }: Plan): Target {
  return { kind: 'database', name: database.name, version: null };
}

interface Folders {
  workspace: string;
  /** Of the application, whose files are named from it. */
  directory: string;
}

/** The file of a migration, from the workspace; null when it is not known. */
export function fileFrom(
  { location: { file } }: LintFinding,
  { workspace, directory }: Folders,
): string | null {
  return file === null ? null : relative(workspace, resolve(directory, file));
}

/** What the check of a plan found, as all reports know it. Only what lies in the workspace can be annotated. */
export function asFindings(plan: Plan, found: readonly LintFinding[], folders: Folders): Finding[] {
  return identify(
    found.map((finding) => {
      const { rule, severity, migration, message, remedy, location } = finding;
      const { title, link } = rules[rule];
      const file = fileFrom(finding, folders);
      return {
        rule: { id: rule, title, help: remedy, link, tags: ['migration'] },
        severity: severity === 'error' ? 'high' : 'medium',
        message: `${message} ${remedy}`,
        target: targetOf(plan),
        subject: migration === '' ? null : { name: migration, version: null, fixedVersion: null, path: null },
        location: file === null ? null : { file, startLine: location.line, endLine: location.line },
        context: message,
      };
    }),
  );
}
