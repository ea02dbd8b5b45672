import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const templates = 'scripts/generate/workflows';

/** Actions of others, by the commit of a version tag. A template names them as `owner/action@pinned`. */
const pins: Readonly<Record<string, { version: string; commit: string }>> = {
  'actions/checkout': { version: 'v7.0.1', commit: '3d3c42e5aac5ba805825da76410c181273ba90b1' },
  'actions/setup-python': { version: 'v6.2.0', commit: 'a309ff8b426b58ec0e2a45f0f869d46889d02405' },
};

/**
 * A reusable workflow out of its template. Called from another repository, `./` is that one's: own actions are named by the
 * version that the workflow is shipped with (`@version` in the template), so that a workflow never runs the actions of
 * another version.
 *
 * Throws when the template uses an action that is neither the suite's own nor pinned here.
 */
export function reusableWorkflow(
  template: string,
  version: string,
  own: readonly string[],
  name: string,
): string {
  const used = template.replace(
    /^( *(?:- )?uses: )(\S+)@(\S+)$/gm,
    (line, key: string, action: string, ref: string) => {
      const pin = pins[action];
      if (ref === 'pinned' && pin !== undefined) return `${key}${action}@${pin.commit} # ${pin.version}`;
      const isOwn = ['org/deploy-actions', ...own.map((one) => `org/deploy-actions/${one}`)].includes(action);
      if (ref === 'version' && isOwn) return `${key}${action}@v${version}`;
      throw new Error(
        `${templates}/${name}: \`${line.trim()}\` is neither an action of the suite at \`@version\` nor one of scripts/generate/workflows.ts at \`@pinned\`.`,
      );
    },
  );
  return `# Generated from ${templates}/${name} by \`npm run gen\`.\n${used}`;
}

/** The reusable workflows: text by the name of their file. `own` are the names of the suite's actions. */
export async function reusableWorkflows(root: string, own: readonly string[]): Promise<Map<string, string>> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const names = (await readdir(join(root, templates))).toSorted();
  return new Map(
    await Promise.all(
      names.map(async (name): Promise<[string, string]> => [
        name,
        reusableWorkflow(await readFile(join(root, templates, name), 'utf8'), version, own, name),
      ]),
    ),
  );
}
