import type { InputSpec } from '@deploy-actions/action-kit';

/** The form of an input's value in a few words. */
export function formOf(spec: InputSpec): string {
  switch (spec.kind) {
    case 'string':
      return spec.allowed === undefined ? 'text' : `text: ${spec.allowed}`;
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return `whole number${range(spec.min, spec.max)}`;
    case 'integers':
      return `whole numbers${range(spec.min, spec.max)}, separated by commas or lines`;
    case 'percentage':
      return 'percentage from 0 to 100';
    case 'duration':
      return `duration such as \`90s\`, \`10m\`, \`1h30m\`${range(spec.min, spec.max)}`;
    case 'enum':
      return `one of ${spec.values.map((value) => `\`${value}\``).join(', ')}`;
    case 'list':
      return [
        spec.separator === 'lines' ? 'list, one a line' : 'list, separated by commas or lines',
        ...(spec.allowed === undefined ? [] : [spec.allowed]),
      ].join('; each: ');
    case 'map':
      return 'one `name=value` a line';
    case 'command':
      return 'command line, run without a shell';
    case 'image':
      return 'image reference';
    case 'images':
      return 'image references, separated by commas or lines';
    case 'path':
      return spec.within === 'workspace' ? 'path inside the workspace' : 'path on the host';
    case 'url':
      return 'URL, http or https';
    case 'secret':
      return 'secret';
    case 'json':
      return 'JSON';
    case 'yaml':
      return 'YAML';
  }
}

function range(min: string | number | undefined, max: string | number | undefined): string {
  if (min !== undefined && max !== undefined) return ` (${min} to ${max})`;
  if (min !== undefined) return ` (at least ${min})`;
  return max === undefined ? '' : ` (at most ${max})`;
}
