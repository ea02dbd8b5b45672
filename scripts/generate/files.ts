import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActionDefinition } from '@deploy-actions/action-kit';
import { format, resolveConfig } from 'prettier';
import { actions } from '../../actions/registry.ts';
import { actionTypesYml } from './action-types.ts';
import { actionYml } from './action-yml.ts';
import { deploySchema, knownPathsModule } from './deploy-schema.ts';
import { readme } from './readme.ts';
import { reasonCodesPage } from './reason-codes.ts';
import { releaseReadme } from './release-readme.ts';
import { stub } from './stub.ts';
import { reusableWorkflows } from './workflows.ts';

/** The action that the whole repository is, too: `uses: org/deploy-actions@v1`. */
export const rootAction = 'deploy';

export async function definitionsOf(registry: typeof actions): Promise<ActionDefinition[]> {
  return Promise.all(
    Object.entries(registry).map(async ([name, module]) => {
      const definition = await module.definition();
      if (definition.name !== name) {
        throw new Error(`actions/registry.ts lists ${name}, but its definition says ${definition.name}.`);
      }
      return definition;
    }),
  );
}

async function formatted(root: string, path: string, text: string): Promise<string> {
  const options = (await resolveConfig(join(root, path))) ?? {};
  return format(text, { ...options, filepath: path });
}

/** Everything that comes from definitions and templates: text by path, relative to the repository's root. */
export async function generatedFiles(root: string): Promise<Map<string, string>> {
  const definitions = await definitionsOf(actions);
  const files = new Map<string, string>();
  for (const definition of definitions) {
    const { name } = definition;
    files.set(`dist/${name}/action.yml`, actionYml(definition, './'));
    files.set(`dist/${name}/action-types.yml`, actionTypesYml(definition));
    files.set(`dist/${name}/main.mjs`, stub(name, 'main'));
    if (definition.mutates) files.set(`dist/${name}/post.mjs`, stub(name, 'post'));
    if (name === rootAction) {
      files.set('dist/action.yml', actionYml(definition, `./${name}/`));
      files.set('action.yml', actionYml(definition, `./dist/${name}/`));
    }
    const path = `actions/${name}/README.md`;
    const existing = await readFile(join(root, path), 'utf8').catch(() => undefined);
    files.set(path, await formatted(root, path, readme(definition, existing)));
  }
  for (const [name, text] of await reusableWorkflows(
    root,
    definitions.map((definition) => definition.name),
  )) {
    for (const folder of ['', 'dist/']) files.set(`${folder}.github/workflows/${name}`, text);
  }
  files.set('dist/deploy.schema.json', deploySchema(definitions));
  for (const [path, text] of [
    ['dist/README.md', releaseReadme(definitions)],
    ['docs/reason-codes.md', reasonCodesPage()],
    ['packages/config/known-paths.ts', knownPathsModule(definitions)],
  ] as const) {
    files.set(path, await formatted(root, path, text));
  }
  return files;
}
