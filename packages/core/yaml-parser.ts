// A module of its own, so that it is loaded when there is YAML to read, and with no more of the library than that takes.
export { CORE_SCHEMA, load } from 'js-yaml';
