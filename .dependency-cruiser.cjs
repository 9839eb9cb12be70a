/*
 * Who may import whom. The graph is the data's way: main -> run -> roles -> store | events -> lib -> domain. A rule says
 * what one folder may reach; everything else of services/ is closed to it, so that a new folder is closed by default.
 */
const ROLES = '(alert-api|fanout|delivery|push|stream-gateway)';

/** Files of `from` may import, of this checkout, only what matches one of `to` (a folder may always import itself). */
function only(name, from, to, comment) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from },
    to: { dependencyTypes: ['local'], pathNot: to },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Modules that need each other are one module, or hide a third one that both need.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'domain-does-no-io',
      comment: 'domain is pure: no package, and of Node only what computes.',
      severity: 'error',
      from: { path: '^services/domain/' },
      to: { pathNot: '^(services/domain/|(node:)?crypto$|(node:)?zlib$)' },
    },
    only('lib', '^services/lib/', ['^services/(lib|domain)/'], 'lib knows SDKs and the domain, nothing of alerts.'),
    only(
      'store',
      '^services/store/',
      ['^services/(store|domain|lib)/'],
      'SQL: neither Kafka records nor gRPC services.',
    ),
    only('events', '^services/events/', ['^services/(events|domain|lib)/'], 'Topics and records: no SQL.'),
    only(
      'runtime',
      '^services/runtime(\\.ts$|/)',
      ['^services/(runtime|events|domain|lib)/', '^services/store/(migrate|dead-letters)\\.ts$'],
      'What roles stand on knows no role, and its parts are its own.',
    ),
    {
      name: 'roles-meet-in-data-only',
      comment: 'Roles are processes: they meet in proto/, schemas/ and the tables, never by an import.',
      severity: 'error',
      from: { path: `^services/${ROLES}/` },
      to: { path: `^services/${ROLES}/`, pathNot: '^services/$1/' },
    },
    {
      name: 'roles',
      comment: 'A role stands on domain, store, events, lib and runtime.ts.',
      severity: 'error',
      from: { path: `^services/${ROLES}/` },
      to: {
        dependencyTypes: ['local'],
        pathNot: [`^services/${ROLES}/`, '^services/(domain|store|events|lib)/', '^services/runtime\\.ts$'],
      },
    },
    {
      name: 'who-starts-roles',
      comment: 'Only run.ts and standalone/ start roles.',
      severity: 'error',
      from: { path: '^services/', pathNot: [`^services/${ROLES}/`, '^services/run\\.ts$', '^services/standalone/'] },
      to: { path: `^services/${ROLES}/` },
    },
    only(
      'standalone',
      '^services/standalone/',
      [`^services/(standalone|lib|domain)/`, `^services/${ROLES}/`, '^services/runtime\\.ts$'],
      'standalone puts roles and embedded backends together, and does nothing itself.',
    ),
    only(
      'main',
      '^services/main\\.ts$',
      ['^services/(run|lib/lifecycle)\\.ts$'],
      'The entry hands over the process, no more.',
    ),
    only(
      'client',
      '^services/client/',
      ['^services/(client|lib|domain)/'],
      'Callers import the client: it must not bring the service with it.',
    ),
    only(
      'ops',
      '^services/ops/',
      [
        '^services/(ops|client|lib|domain|events)/',
        '^services/store/(migrate|dead-letters|state|progress)\\.ts$',
        '^services/run\\.ts$',
      ],
      'The command line speaks gRPC like everybody else; only what operators do by hand reaches further.',
    ),
    {
      name: 'tests-stay-outside',
      comment: 'Nothing that is shipped needs a test.',
      severity: 'error',
      from: { path: '^services/' },
      to: { path: '^test/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^services/lib/grpc/types/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
  },
};
