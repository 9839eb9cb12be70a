/*
 * Who may import whom. The graph is the data's way: launch -> roles, maintenance -> runtime -> store | events | api ->
 * lib
 * -> domain. A rule says what one folder may reach; everything else of services/ is closed to it, so that a new folder
 * is closed by default.
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
    only(
      'events',
      '^services/events/',
      ['^services/(events|domain|lib)/', '^services/gen/events\\.ts$'],
      'Topics and records: no SQL.',
    ),
    only(
      'gen',
      '^services/gen/',
      ['^services/gen/'],
      'What is generated from protos and schemas needs nothing of ours.',
    ),
    only(
      'api',
      '^services/api/',
      ['^services/(api|gen|domain|lib)/'],
      'What roles that serve gRPC share: neither SQL nor Kafka records.',
    ),
    only(
      'runtime',
      '^services/runtime/',
      [
        '^services/(runtime|events|api|domain|lib)/',
        '^services/store/(migrate|audit|database-users|dead-letters|kept-dead-letters)\\.ts$',
      ],
      'What roles stand on knows no role.',
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
      comment: 'A role stands on runtime and what is below it.',
      severity: 'error',
      from: { path: `^services/${ROLES}/` },
      to: {
        dependencyTypes: ['local'],
        pathNot: [`^services/${ROLES}/`, '^services/(runtime|store|events|api|gen|lib|domain)/'],
      },
    },
    only(
      'maintenance',
      '^services/maintenance/',
      ['^services/(maintenance|runtime|store|events|lib|domain)/'],
      'Its jobs repair by the tables and topics: they know no role.',
    ),
    {
      name: 'who-starts-roles',
      comment: 'Only launch/ starts roles and maintenance.',
      severity: 'error',
      from: { path: '^services/', pathNot: [`^services/(${ROLES}|maintenance|launch)/`] },
      to: { path: `^services/(${ROLES}|maintenance)/` },
    },
    only(
      'launch',
      '^services/launch/',
      [`^services/(launch|${ROLES}|maintenance|runtime|store|events|client|lib|domain)/`],
      'launch puts roles and embedded backends together.',
    ),
    only(
      'main',
      '^services/launch/main\\.ts$',
      ['^services/(launch/run|lib/lifecycle)\\.ts$'],
      'The entry hands over the process, no more.',
    ),
    only(
      'client',
      '^services/client/',
      ['^services/(client|api/protos|gen/.*|lib/.*|domain/.*)'],
      'Callers import the client: it must not bring the service with it.',
    ),
    only(
      'cli',
      '^services/cli/',
      [
        '^services/(cli|client|gen|lib|domain|events)/',
        '^services/store/(migrate|audit|audit-chain|database-users|dead-letters|kept-dead-letters|state|progress)\\.ts$',
        '^services/launch/run\\.ts$',
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
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
  },
};
