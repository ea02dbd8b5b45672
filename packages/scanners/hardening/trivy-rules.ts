import type { Scanned } from '../model.ts';
import { spellingsOf } from '../trivy/ids.ts';
import { findingOfHit, type RuleId } from './rules.ts';

/** Trivy's checks of Dockerfiles and manifests that ask for the same as a rule. It has none for Compose files. */
const equivalents: Record<string, RuleId> = {
  'DS-0001': 'latest-tag',
  'DS-0002': 'root-user',
  'DS-0005': 'add-instead-of-copy',
  'DS-0017': 'update-alone',
  'DS-0026': 'no-health-check',
  'DS-0031': 'secret-in-image',
  'KSV-0001': 'privilege-escalation',
  'KSV-0003': 'kept-capabilities',
  'KSV-0004': 'kept-capabilities',
  'KSV-0005': 'added-capabilities',
  'KSV-0006': 'docker-socket',
  'KSV-0008': 'host-ipc',
  'KSV-0009': 'host-network',
  'KSV-0010': 'host-processes',
  'KSV-0011': 'no-cpu-limit',
  'KSV-0012': 'root-user',
  'KSV-0013': 'latest-tag',
  'KSV-0014': 'writable-root',
  'KSV-0017': 'privileged',
  'KSV-0018': 'no-memory-limit',
  'KSV-0022': 'added-capabilities',
  'KSV-0023': 'host-path',
  'KSV-0024': 'host-port',
  'KSV-0030': 'unconfined',
  'KSV-0036': 'service-account-token',
  'KSV-0104': 'unconfined',
  'KSV-0105': 'root-user',
  'KSV-0106': 'kept-capabilities',
};

/** Whether two findings are about the same lines; one without lines is about its whole file. */
function sameLines(one: Scanned, other: Scanned): boolean {
  const [a, b] = [linesIn(one), linesIn(other)];
  return a === undefined || b === undefined || (a.start <= b.end && b.start <= a.end);
}

function linesIn({ location }: Scanned): { start: number; end: number } | undefined {
  const start = location?.startLine ?? null;
  return start === null ? undefined : { start, end: location?.endLine ?? start };
}

/** A socket is a path of the host, too. */
const covers = (own: string, rule: RuleId) =>
  own === rule || (rule === 'host-path' && own === 'docker-socket');

/** With Trivy's id, by which an ignore file may name it, and its page. */
function withTrivy(finding: Scanned, id: string, link: string | null): Scanned {
  const { rule, message, aliases = [] } = finding;
  if (aliases.includes(id)) return finding;
  return {
    ...finding,
    rule: { ...rule, link: rule.link ?? link },
    message: `${message.replace(/\)$/, '')}${message.endsWith(')') ? ', ' : ' ('}Trivy ${id})`,
    aliases: [...aliases, id],
  };
}

/**
 * Findings of our rules and of Trivy's configuration scan as one list. What both found is one finding; what Trivy alone found of a rule
 * that is here is a finding of that rule; what only our rule found stays: Trivy does not know every kind of workload. Either way a finding
 * has the same rule, number and severity, whether there is a Trivy or not. Checks of Trivy that are no rule here are for trivy-scan.
 */
export function withTrivyFindings(own: readonly Scanned[], trivys: readonly Scanned[]): Scanned[] {
  const merged = [...own];
  const told = new Set<string>();
  /** What names a container is about that one, on whatever lines. */
  const keyOf = (id: string, { location, message }: Scanned) =>
    JSON.stringify([id, location?.file, message, containerIn(message) ?? location?.startLine]);
  /** Adds Trivy's id to the findings from `start` on that are the same; whether there are any. */
  const note = (id: string, rule: RuleId, found: Scanned, start: number) => {
    let any = false;
    for (const [index, each] of merged.entries()) {
      if (index < start || each.location?.file !== found.location?.file) continue;
      if (!covers(each.rule.id, rule) || !sameLines(each, found)) continue;
      merged[index] = withTrivy(each, id, found.rule.link);
      any = true;
    }
    return any;
  };
  const alone: { id: string; rule: RuleId; found: Scanned }[] = [];
  for (const found of trivys) {
    const id = spellingsOf(found.rule.id)[0] ?? found.rule.id;
    const rule = equivalents[id];
    if (rule === undefined || found.location === null) continue;
    if (note(id, rule, found, 0)) told.add(keyOf(id, found));
    else alone.push({ id, rule, found });
  }
  for (const { id, rule, found } of alone) {
    // It tells of one container more than once, also on the lines of others.
    const key = keyOf(id, found);
    if (told.has(key)) continue;
    told.add(key);
    if (!note(id, rule, found, own.length)) merged.push(ofTrivyAlone(id, rule, found));
  }
  return merged;
}

/** `app` of `Container 'app' of Deployment 'backend' should …`. */
const containerIn = (message: string) => /[Cc]ontainer ['"]([\w.-]+)/.exec(message)?.[1];

function ofTrivyAlone(
  id: string,
  rule: RuleId,
  { message, target, location, rule: { link } }: Scanned,
): Scanned {
  const container = containerIn(message);
  const subject = container === undefined ? target.name : `container ${container}`;
  const hit = { rule, subject, message: message.replace(/\.$/, '') };
  return withTrivy(findingOfHit(hit, target, location), id, link);
}
