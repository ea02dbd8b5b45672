import { type NamedImage, substituteImages } from '@deploy-actions/kubernetes';
import { containersOf } from './live-fields.ts';
import { type Manifest, titleOf } from './parse.ts';

/**
 * Puts images in the place of those of the same repository, in every container of the manifests. Throws `not_found`, with what is
 * there, for an image that has no container to go to. Returns `Deployment web, server: from → to` for each that changed.
 */
export function substituteIn(manifests: readonly Manifest[], images: readonly string[]): string[] {
  const containers = new Map<string, { image: unknown; container: Record<string, unknown> }>();
  for (const { object } of manifests) {
    for (const { list, container } of containersOf(object)) {
      const init = list === 'initContainers' ? ' (init)' : '';
      const name = `${titleOf(object)}, ${String(container['name'])}${init}`;
      containers.set(name, { image: container['image'], container });
    }
  }
  const all = [...containers].map(([name, { image }]): NamedImage => ({
    name,
    image: typeof image === 'string' ? image : undefined,
  }));
  const found = substituteImages({ containers: all }, [...images], { where: 'The set of manifests' });
  return found.flatMap(({ container: name, from, to }) => {
    const entry = containers.get(name);
    if (entry === undefined || from === to) return [];
    entry.container['image'] = to;
    return [`${name}: ${from} → ${to}`];
  });
}
