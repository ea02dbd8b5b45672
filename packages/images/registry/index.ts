export { type ImageConfiguration, openRegistries, type Registries, type Repository } from './client.ts';
export * from './credential.ts';
export * from './docker-config.ts';
export * from './inspect.ts';
export {
  type Descriptor,
  type ImagePlatform,
  isAttestation,
  isDigest,
  type Manifest,
  mediaTypes,
  platformName,
  sha256Of,
} from './manifest.ts';
export * from './login.ts';
export * from './merge.ts';
export * from './oidc.ts';
export type { RegistryPatience } from './retry.ts';
export type { RegistryOptions } from './transport.ts';
export * from './promotion.ts';
export { journalTag, readJournals, repositoriesOf, type TagChange } from './promotion-journal.ts';
export * from './release.ts';
export * from './release-tags.ts';
