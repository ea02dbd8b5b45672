/**
 * pip-audit 2.10.1 and all that it needs, as pip's requirements with the SHA-256 of the wheels that may be installed. Wheels of pure
 * Python where there are any; of msgpack those of CPython 3.10 to 3.14 on Linux and macOS.
 */
export const pipAuditVersion = '2.10.1';

const wheels: Record<string, string[]> = {
  'boolean-py==5.0': ['ef28a70bd43115208441b53a045d1549e2f0ec6e3d08a9d142cbc41c1938e8d9'],
  'cachecontrol==0.14.4': ['b7ac014ff72ee199b5f8af1de29d60239954f223e948196fa3d84adaffc71d2b'],
  'certifi==2026.10.19.post1': ['1324c476b4811eff41a8bc2122cd0bbd4d9c7234c725446d99ab1612b3a7fdd2'],
  'charset-normalizer==3.5.3': ['96e268b0cbda016ac519513294fcd17032264085b600abaac58b93049477e132'],
  'cyclonedx-python-lib==11.12.0': ['0e807521a921a5c3cb8ce1153f8a61d29eedfe76a46aac2796b7c6b573391a54'],
  'defusedxml==0.7.1': ['a352e7e428770286cc899e2542b6cdaedb2b4953ff269a210103ec58f6198a61'],
  'filelock==4.1.0 ; python_version < "3.11"': [
    '2ce9818e3e2d8f284c1a964414447ef148d42a5fd5e2a477a7118e574b293ec1',
  ],
  'filelock==4.3.1 ; python_version >= "3.11"': [
    '79e43df8e9fe509cd83a3899a7c186c8077cbbe4d200a1ed3705c2f3bb6bc487',
  ],
  'idna==3.20': ['ab7ae7122974553370f0bdb919e1a960b2cd1bc1ef0276416d896db81c14582c'],
  'license-expression==30.4.4': ['421788fdcadb41f049d2dc934ce666626265aeccefddd25e162a26f23bcbf8a4'],
  'markdown-it-py==4.3.0': ['7aa1511a46c39138de78d9eba92ce47e63124d8003fc98b3a351909e04239efa'],
  'mdurl==0.1.2': ['84008a41e51615a49fc9966191ff91509e3c40b939176e643fd50a5c2196b8f8'],
  'msgpack==1.2.4': [
    '0626ea840cce866237c4da08439e9faa9cf79e6e4c62358978ee055961e8cff2',
    '25e1f2466c4ea0fb9b694a922f75eb92d7ce6262eda8cb8a5dada34fe990d486',
    '85b79ed643cfde70672152b3d1aee438ca647c5d2ffb7dba7226689ee9f6f44b',
    'ce22584c8b12aa7e424dab08c481afd95ad4bd3007829fd1767d28b4dbbc3167',
    '429329799c72335b0e37be65964ec5b89062e57fe7ad9ee779b886df5e34ddaf',
    'a4b47ec7422bef149223786a87df80067ac65bfc7c0565e5cf1dfbdc40acee50',
    '0c75cfda0d3ccb1f6abc20e0608ad6b226e11f317b5ac297721504d2509e2bd9',
    'a45ceb5f199d5e388f28b550ba881096a3740d4bda10e661d77f59d9a2e8187a',
    'f641971d3eec89ffca57fa36d151ad1cf1b6a214b47faca16cb165c7d45ef8be',
    '4e22c6571ab6ac9036da87d8a6fddb4baf86981844b480c0c60a4a4be417ee48',
    '112933726919f4239646cca9572e2c2fa5626358c670da8440aac09403100a48',
    '9ca1e78106675f2aed07dc37b842ce19be70010ab22c5c5c04688f0840d48539',
    'c4d5bbdbea8f5669b3a734d6c226772804fb120848f99cbe63a0ddee63b049c9',
    'aa10dc04c03408f31948ac1896a942141fd8d7a954b3612edac79f19663e4076',
    'cbb8a677da3e845713925e9a203b8a120b1e9da9989836890ba4a4a187902701',
    '36258fd0909e1bf26e94604439108846432abe4ffa9a23c9dc2f6f1c60f94b60',
    'e9c5ba0f053a7e98f013f083c9d1b2dffb26cad8c897c533d8286e44ed24c669',
    '7fabd415c41e62006c6641fcdf5b3e866f581c4e11c58328c0d0f69584b9577d',
    'ccd6e4af5347eb9828147320449bcd30e3321f6397d4583ff16047485dd8be3d',
    '9e73761fe9fc55a4e9d2df8e8f59b0979231af4dbf80b8bf90cd64c74173d779',
    'c97f5f17407e1761f23f1944be33cbf1d5ce67017db32544dcd5e16e0b1b4a3b',
    '2444a4e04f924630d059ae6eae8f91fdfcd28ed9fd17b21bacf4e74550a091f7',
    '5d65b791ce4283e02b6267742ad540899155e1b32887b9cbdda47f38f5a076b5',
    '781e856db4f2cb398e4992e2a74305295d3ebf694eec26fa0f4bc766eb9fa0a0',
    'f60de6ae13d4d2a12a483f15c5e47cb6fa2731aa32d92fb31178e2017d6574a8',
  ],
  'packageurl-python==0.17.6': ['31a85c2717bc41dd818f3c62908685ff9eebcb68588213745b14a6ee9e7df7c9'],
  'packaging==26.4': ['81383611a09c1bc0b08b76e0fd5829d7c6824c65b27a6aee339da133f4233ea2'],
  'pip==26.3': ['f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13'],
  'pip-api==0.0.35': ['66990d0da25378555cbb538db79384bab92d4617c6350dfd7a2126ba2a3a9894'],
  'pip-audit==2.10.1': ['99ef3f600a317c1945f1e89e227ef26e1c2d618429b8bd3fa6f4f7c440c4611a'],
  'pip-requirements-parser==32.0.1': ['4659bc2a667783e7a15d190f6fccf8b2486685b6dba4c19c3876314769c57526'],
  'platformdirs==4.12.4 ; python_version < "3.11"': [
    '78bfb9db2a8471ed7eebe3c3c932da413911042994e699b384fbb4493fa872d7',
  ],
  'platformdirs==4.14.8 ; python_version >= "3.11"': [
    '1e34af590de4d978631b751eb2202f2fee4497537a17c1720b12fcf57b331392',
  ],
  'py-serializable==2.2.0': ['2cce775abc5aac12115f9ff572a145c7276d04a770090334bd4e51ed9c782415'],
  'pygments==2.21.0': ['2363c69b61c4a97c838da3b130dcd6468f4848992b21a82f2a63ec34377137d9'],
  'pyparsing==3.3.3': ['ece8c00a69cf01b45d0b1dedabb469c90d8caf996d4fda40f147627a122849a4'],
  'requests==2.34.2': ['2a0d60c172f83ac6ab31e4554906c0f3b3588d37b5cb939b1c061f4907e278e0'],
  'rich==15.0.0': ['33bd4ef74232fb73fe9279a257718407f169c09b78a87ad3d296f548e27de0bb'],
  'sortedcontainers==2.4.0': ['a163dcaede0f1c021485e957a39245190e74249897e2ae4b2aa38595db237ee0'],
  'tomli==2.5.0': ['32a7b79ac57a2e83670ce329ccf675798bc5a2094783a63676866b70503f2e2b'],
  'tomli-w==1.2.0': ['188306098d013b691fcadc011abd66727d3c414c571bb01b1a174ba8c983cf90'],
  'typing-extensions==4.16.0': ['481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8'],
  'urllib3==2.8.0': ['0cf3cae568d36aa9576b28dfb35f11328f1cb974ca7647d9475ebb86c75ac6e3'],
};

/** The lines of a requirements file for `pip install --require-hashes`. */
export const pipAuditRequirements = Object.entries(wheels)
  .map(([pinned, digests]) => [pinned, ...digests.map((digest) => `--hash=sha256:${digest}`)].join(' '))
  .join('\n');
